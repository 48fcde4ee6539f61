/**
 * `node:http`. `import 'node:http'` would also load the WebSocket client that it exports, which takes
 * 16 MB of each process and 20 ms of its start.
 */
export const nodeHttp = process.getBuiltinModule('node:http');
