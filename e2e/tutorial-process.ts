// One of the processes that run the tutorials' app, before and after the one line that changes.
import { RedisStore } from 'connect-redis';
import { createClient, createCluster } from 'redis';
import { dropInStore, redisBackend } from '../app/session/index.ts';
import { listen } from '../test-support/listen.ts';
import { tutorialApp } from '../test-support/tutorial-app.ts';

const [gate = '', ...urls] = process.argv.slice(2);
const pause = () => fetch(gate);

const clusterOf = (addresses: string) =>
  createCluster({ rootNodes: addresses.split(',').map((each) => ({ url: `redis://${each}` })) });

const origins = await Promise.all(
  urls.map(async (url) => {
    const [, addresses] = url.split('redis+cluster://');
    const client = addresses ? clusterOf(addresses) : createClient({ url });
    client.on('error', () => {});
    await client.connect();
    const stores = {
      before: new RedisStore({ client }),
      after: dropInStore(redisBackend(client), { counters: ['items'] }),
    };
    const before = await listen(tutorialApp(stores.before, pause));
    const after = await listen(tutorialApp(stores.after, pause));
    return { before: before.origin, after: after.origin };
  }),
);
process.stdout.write(`Listening: ${JSON.stringify(origins)}\n`);
