type Operation = (...args: never[]) => Promise<unknown>;

export type RoundTrip = {
  operation: string;
  /** refused: compare-and-set found another version. */
  outcome: 'ok' | 'refused' | 'failed';
  ms: number;
};

export const timed = <B extends Record<string, Operation>>(
  backend: B,
  onTrip: (trip: RoundTrip) => void,
) =>
  Object.fromEntries(
    Object.keys(backend).map((operation) => [
      operation,
      (...args: never[]) => {
        const started = performance.now();
        const end = (outcome: RoundTrip['outcome']) =>
          onTrip({ operation, outcome, ms: performance.now() - started });
        const answer = (backend[operation] as Operation)(...args);
        answer.then(
          (value) => end(value === false ? 'refused' : 'ok'),
          () => end('failed'),
        );
        return answer;
      },
    ]),
  ) as B;
