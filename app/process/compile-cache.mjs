// Keeps compiled code, so that later starts are faster and take less memory. In a read-only folder,
// nothing is kept. Node.js loads this file first: loading any TypeScript before it would load a compiler.
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

process.env.NODE_COMPILE_CACHE ||= join(import.meta.dirname, '../../node_modules/.cache/compile');
enableCompileCache(process.env.NODE_COMPILE_CACHE);
