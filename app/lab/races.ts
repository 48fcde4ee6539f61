import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, request } from 'node:http';
import { duplexPair } from 'node:stream';
import { text } from 'node:stream/consumers';

/** A way to keep sessions: a little shop that waits for `pause` where a request is slow. */
export type Way = (pause: () => Promise<void>) => RequestListener;
type Visit = (method: 'GET' | 'POST', path: string) => Promise<{ status: number; body: string }>;
type Shop = { user: string | null; cart: Record<string, number> };
type Race = {
  /** @returns what the requests were answered, in their order */
  run: (visit: Visit, meanwhile: (path: string) => Promise<number[]>) => Promise<number[]>;
  /** How many of `of` came out right, by what the shop shows afterwards. */
  kept: (shop: Shop) => number;
  of: number;
};

export const races = new Map<string, Race>()
  /** Twenty adds of one visitor at once. */
  .set('adds', {
    run: (visit) =>
      Promise.all(Array.from({ length: 20 }, async () => (await visit('POST', '/add/hat')).status)),
    kept: ({ cart }) => cart.hat ?? 0,
    of: 20,
  })
  /** A log-out while a slow request is under way: is the visitor logged out afterwards? */
  .set('log-out', {
    run: (_visit, meanwhile) => meanwhile('/log-out'),
    kept: ({ user }) => (user === null ? 1 : 0),
    of: 1,
  })
  /** One tab adds a hat, slowly, the other a coat meanwhile. */
  .set('tabs', {
    run: (_visit, meanwhile) => meanwhile('/add/coat'),
    kept: ({ cart }) => Object.keys(cart).length,
    of: 2,
  });

/** Runs a race with a new visitor, who logs in and at the end out, so that nothing is left behind. */
export async function runRace({ run, kept, of }: Race, way: Way) {
  const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>();
  const { promise: released, resolve: goOn } = Promise.withResolvers<void>();
  const visit = visitorOf(
    way(() => {
      arrive();
      return released;
    }),
  );
  /** Posts to `path` while a slow add of a hat is under way. */
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
  return { kept: kept(JSON.parse(body) as Shop), of, answers, ms };
}

/** Real HTTP with a cookie jar, through memory: no port is opened. */
function visitorOf(app: RequestListener): Visit {
  const server = createServer(app);
  let cookie = '';
  return async (method, path) => {
    const [ours, theirs] = duplexPair();
    server.emit('connection', theirs);
    const headers = { host: 'lab', cookie };
    const asked = request({ method, path, headers, createConnection: () => ours }).end();
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    const [line] = answer.headers['set-cookie'] ?? [];
    if (line) [cookie = ''] = line.split(';', 1);
    return { status: answer.statusCode ?? 0, body: await text(answer) };
  };
}
