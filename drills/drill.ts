// npm run drill:NAME does what docs/runbook.md says for an event, and checks each line of it.
import { drills } from './drill-list.ts';
import { runDrill } from './run-drill.ts';

const [name = ''] = process.argv.slice(2);
const print = (line: string) => process.stdout.write(`${line}\n`);
try {
  const drill = drills[name];
  if (!drill) throw new Error(`Choose one of: ${Object.keys(drills).join(', ')}`);
  await runDrill(name, drill, print);
} catch (error) {
  print(`\nNOT AS THE RUNBOOK SAYS: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}
