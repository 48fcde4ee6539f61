/** Who asks for a job. */
export type Client = {
  address: string;
  account: string;
  /** Throws when nobody waits for the outcome any more. */
  requirePresence: () => void;
};

type Job = Client & { start: () => void; refuse: (reason: Error) => void };

/**
 * Runs a few jobs at once. Addresses take turns, and so do the accounts of an address: a flood delays
 * mostly itself. When too many jobs wait, the last job of the busiest address is refused. No job waits
 * for long: otherwise the server would cut the connection without a response.
 * @param refusal makes the error of a job that lost its place
 * @returns `inTurn(client, work)`, which runs `work` when its turn comes
 */
export function fairQueue(
  concurrency: number,
  maxWaiting: number,
  refusal: () => Error,
  maxWaitMs = 10_000,
) {
  const waiting: Job[] = [];
  let running = 0;

  async function inTurn<T>(client: Client, work: () => Promise<T>): Promise<T> {
    const { promise, resolve: start, reject: refuse } = Promise.withResolvers<void>();
    const job = { ...client, start, refuse };
    waiting.push(job);
    const tooLong = setTimeout(giveUp, maxWaitMs, job).unref();
    if (running < concurrency) startNext();
    else if (waiting.length > maxWaiting) giveUp(lastOfLongest());
    await promise.finally(() => clearTimeout(tooLong));
    try {
      client.requirePresence();
      return await work();
    } finally {
      running -= 1;
      moveOthersBack(client);
      startNext();
    }
  }

  function startNext(): void {
    const job = waiting.shift();
    if (!job) return;
    running += 1;
    moveOthersBack(job);
    job.start();
  }

  /** The address's other jobs go to the end of the line, and the account's other jobs behind those. */
  function moveOthersBack({ address, account }: Client): void {
    const rank = (job: Job) => (job.address !== address ? 0 : job.account !== account ? 1 : 2);
    waiting.sort((a, b) => rank(a) - rank(b));
  }

  function lastOfLongest(): Job | undefined {
    const ofAddress = longest(waiting, ({ address }) => address);
    return longest(ofAddress, ({ account }) => account).at(-1);
  }

  function giveUp(job: Job | undefined): void {
    if (!job || !waiting.includes(job)) return;
    waiting.splice(waiting.indexOf(job), 1);
    job.refuse(refusal());
  }

  return inTurn;
}

/** The largest group. If several are equally large, the last of them. */
const longest = (jobs: Job[], keyOf: (job: Job) => string) =>
  Map.groupBy(jobs, keyOf)
    .values()
    .reduce((most, group) => (group.length >= most.length ? group : most), []);
