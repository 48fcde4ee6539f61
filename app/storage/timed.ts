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
    Object.entries(backend).map(([operation, ask]) => [
      operation,
      async (...args: never[]) => {
        const started = performance.now();
        const end = (outcome: RoundTrip['outcome']) =>
          tell({ operation, outcome, ms: performance.now() - started });
        try {
          const value = await ask(...args);
          end(value === false ? 'refused' : 'ok');
          return value;
        } catch (error) {
          end('failed');
          throw error;
        }
      },
    ]),
  ) as B;
