type Ask = (...args: never[]) => Promise<unknown>;

export type RoundTrip = {
  operation: string;
  /** refused: compare-and-set found another version. */
  outcome: 'ok' | 'refused' | 'failed';
  ms: number;
};

/** The same backend, which tells how long it took to answer each question. */
export const timed = <B extends Record<string, Ask>>(backend: B, tell: (trip: RoundTrip) => void) =>
  Object.fromEntries(
    Object.keys(backend).map((operation) => [
      operation,
      (...args: never[]) => {
        const started = performance.now();
        const end = (outcome: RoundTrip['outcome']) =>
          tell({ operation, outcome, ms: performance.now() - started });
        const answer = (backend[operation] as Ask)(...args);
        answer.then(
          (value) => end(value === false ? 'refused' : 'ok'),
          () => end('failed'),
        );
        return answer;
      },
    ]),
  ) as B;
