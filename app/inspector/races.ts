import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, request } from 'node:http';
import { duplexPair } from 'node:stream';
import { json } from 'node:stream/consumers';

/** A way to keep sessions: a little shop that waits for `pause` where a request is slow. */
export type Way = (pause: () => Promise<void>) => RequestListener;
type Outcome = {
  /** How many of `of` came out right. */
  kept: number;
  of: number;
  /** What the requests were answered, in their order. */
  answers: number[];
};
type Answer = { status: number; body: { user: string | null; cart: Record<string, number> } };
type Visitor = (method: 'GET' | 'POST', path: string) => Promise<Answer>;
type Slow = { arrived: Promise<void>; goOn: () => void };
type Race = (visit: Visitor, slow: Slow) => Promise<Outcome>;

const races = {
  /** Twenty adds of one visitor at once. */
  adds: async (visit) => {
    const adds = await Promise.all(Array.from({ length: 20 }, () => visit('POST', '/add/hat')));
    const { body } = await visit('GET', '/');
    return { kept: body.cart.hat ?? 0, of: 20, answers: adds.map(({ status }) => status) };
  },
  /** A log-out while a slow request is under way: is the visitor logged out afterwards? */
  'log-out': async (visit, { arrived, goOn }) => {
    const add = visit('POST', '/add/hat?slow');
    await Promise.race([arrived, add]);
    const { status } = await visit('POST', '/log-out');
    goOn();
    const late = await add;
    const { body } = await visit('GET', '/');
    return { kept: body.user === null ? 1 : 0, of: 1, answers: [status, late.status] };
  },
  /** One tab adds a hat, slowly, the other a coat meanwhile. */
  tabs: async (visit, { arrived, goOn }) => {
    const hat = visit('POST', '/add/hat?slow');
    await Promise.race([arrived, hat]);
    const coat = await visit('POST', '/add/coat');
    goOn();
    const { status } = await hat;
    const { body } = await visit('GET', '/');
    return { kept: Object.keys(body.cart).length, of: 2, answers: [coat.status, status] };
  },
} satisfies Record<string, Race>;

export type RaceName = keyof typeof races;
export const isRace = (name: string): name is RaceName => Object.hasOwn(races, name);

/** Runs a race with a new visitor, who logs in and at the end out, so that nothing is left behind. */
export async function runRace(name: RaceName, way: Way): Promise<Outcome & { ms: number }> {
  const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>();
  const { promise: released, resolve: goOn } = Promise.withResolvers<void>();
  const visit = visitorOf(
    way(async () => {
      arrive();
      await released;
    }),
  );
  await visit('POST', '/log-in');
  const started = performance.now();
  const outcome = await races[name](visit, { arrived, goOn });
  const ms = performance.now() - started;
  await visit('POST', '/log-out');
  return { ...outcome, ms };
}

/** Real HTTP with a cookie jar, through memory: no port is opened. */
function visitorOf(app: RequestListener): Visitor {
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
    const isJson = answer.headers['content-type']?.startsWith('application/json');
    const body = isJson ? await json(answer) : answer.resume() && {};
    return { status: answer.statusCode ?? 0, body: body as Answer['body'] };
  };
}
