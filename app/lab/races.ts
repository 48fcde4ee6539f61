import { once } from 'node:events';
import type {
  IncomingHttpHeaders,
  IncomingMessage,
  OutgoingHttpHeaders,
  RequestListener,
} from 'node:http';
import { duplexPair } from 'node:stream';
import { text } from 'node:stream/consumers';
import { nodeHttp } from '../http/node-http.ts';

/** The shop waits for `pause` in a slow request. */
type CreateShop = (pause: () => Promise<void>) => RequestListener;
type Visit = (
  method: 'GET' | 'POST',
  path: string,
  headers?: OutgoingHttpHeaders,
) => Promise<{ status: number; body: string; headers: IncomingHttpHeaders }>;
type Shown = { user: string | null; cart: Record<string, number> };
type Race = {
  /** @returns the statuses of the responses */
  run: (visit: Visit, meanwhile: (path: string) => Promise<number[]>) => Promise<number[]>;
  /** How many of the `total` expected outcomes the shop shows afterwards. */
  countRight: (shown: Shown) => number;
  total: number;
};

export const races = new Map<string, Race>()
  .set('adds', {
    run: (visit) =>
      Promise.all(Array.from({ length: 20 }, async () => (await visit('POST', '/add/hat')).status)),
    countRight: ({ cart }) => cart.hat ?? 0,
    total: 20,
  })
  /** The visitor logs out during a slow request, and must stay logged out. */
  .set('log-out', {
    run: (_visit, meanwhile) => meanwhile('/log-out'),
    countRight: ({ user }) => (user === null ? 1 : 0),
    total: 1,
  })
  /** One tab slowly adds a hat. Meanwhile, another tab adds a coat. */
  .set('tabs', {
    run: (_visit, meanwhile) => meanwhile('/add/coat'),
    countRight: ({ cart }) => Object.keys(cart).length,
    total: 2,
  });

export async function runRace({ run, countRight, total }: Race, createShop: CreateShop) {
  const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>();
  const { promise: released, resolve: goOn } = Promise.withResolvers<void>();
  const visit = visitorOf(
    createShop(() => {
      arrive();
      return released;
    }),
  );
  /** Posts to `path` during a slow add of a hat. */
  const meanwhile = async (path: string) => {
    const add = visit('POST', '/add/hat?slow');
    await Promise.race([arrived, add]);
    const { status } = await visit('POST', path);
    goOn();
    return [status, (await add).status];
  };
  await visit('POST', '/log-in');
  const started = performance.now();
  const answers = await run(visit, meanwhile);
  const { body } = await visit('GET', '/');
  const ms = performance.now() - started;
  await visit('POST', '/log-out');
  return { right: countRight(JSON.parse(body) as Shown), total, answers, ms };
}

/** HTTP through memory, with a cookie jar. */
export function visitorOf(app: RequestListener): Visit {
  const server = nodeHttp.createServer(app);
  let cookie = '';
  return async (method, path, more) => {
    const [ours, theirs] = duplexPair();
    server.emit('connection', theirs);
    const headers = { host: 'lab', cookie, ...more };
    const asked = nodeHttp.request({ method, path, headers, createConnection: () => ours }).end();
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    const [line] = response.headers['set-cookie'] ?? [];
    if (line) [cookie = ''] = line.split(';', 1);
    const { statusCode: status = 0, headers: received } = response;
    return { status, body: await text(response), headers: received };
  };
}
