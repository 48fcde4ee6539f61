/** Who asks for a job. */
export type Client = {
  address: string;
  account: string;
  /** Throws when nobody waits for the outcome any more. */
  requirePresence: () => void;
};

type Job = Client & { start: () => void; refuse: (reason: Error) => void };

/**
 * Runs a few jobs at once. Addresses take turns, and so do the accounts of an address: a flood waits
 * behind itself. When too many jobs wait, the longest line loses its last one.
 * @param refusal makes the error of a job that lost its place
 * @returns `inTurn(client, work)`, which runs `work` when its turn comes
 */
export function fairQueue(concurrency: number, maxWaiting: number, refusal: () => Error) {
  const waiting: Job[] = [];
  let running = 0;

  async function inTurn<T>(client: Client, work: () => Promise<T>): Promise<T> {
    const { promise, resolve: start, reject: refuse } = Promise.withResolvers<void>();
    waiting.push({ ...client, start, refuse });
    if (running < concurrency) startNext();
    else if (waiting.length > maxWaiting) refuseOne();
    await promise;
    try {
      client.requirePresence();
      return await work();
    } finally {
      running -= 1;
      goToTheEnd(client);
      startNext();
    }
  }

  function startNext(): void {
    const job = waiting.shift();
    if (!job) return;
    running += 1;
    goToTheEnd(job);
    job.start();
  }

  /** The others of this address wait behind everybody, and behind these the others of this account. */
  function goToTheEnd({ address, account }: Client): void {
    const rank = (job: Job) => (job.address !== address ? 0 : job.account !== account ? 1 : 2);
    waiting.sort((a, b) => rank(a) - rank(b));
  }

  function refuseOne(): void {
    const job = longest(
      longest(waiting, ({ address }) => address),
      ({ account }) => account,
    ).at(-1);
    if (!job) return;
    waiting.splice(waiting.indexOf(job), 1);
    job.refuse(refusal());
  }

  return inTurn;
}

/** The largest group; of several, the one that came last. */
const longest = (jobs: Job[], keyOf: (job: Job) => string) =>
  Map.groupBy(jobs, keyOf)
    .values()
    .reduce((most, group) => (group.length >= most.length ? group : most), []);
