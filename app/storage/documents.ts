import { z } from 'zod';
import { compareAndSet, type RedisCommands } from '../session/backends.ts';
import { answersWithin } from '../session/deadline.ts';
import { SessionBusy } from '../session/session-errors.ts';
import { backOff, turns } from '../session/turns.ts';

/**
 * What a place that keeps documents has to do: the contract of a `SessionBackend`, for any JSON text
 * with a field `version`, and without an end.
 */
export type DocumentBackend = {
  get(key: string): Promise<string | undefined>;
  /** Stores `text` if and only if the stored version is `version`; 0: there must be none. */
  compareAndSet(key: string, version: number, text: string): Promise<boolean>;
};

/** Documents in this process's memory, gone with it. */
export function memoryDocuments(
  kept = new Map<string, { version: number; text: string }>(),
): DocumentBackend {
  return {
    get: async (key) => kept.get(key)?.text,
    compareAndSet: async (key, version, text) => {
      if ((kept.get(key)?.version ?? 0) !== version) return false;
      kept.set(key, { version: version + 1, text });
      return true;
    },
  };
}

/** Documents in Redis, under `doc:`, each for good. */
export const redisDocuments = (redis: RedisCommands): DocumentBackend => ({
  get: async (key) => (await redis.get(`doc:${key}`)) ?? undefined,
  compareAndSet: (key, version, text) => compareAndSet(redis, `doc:${key}`, version, text),
});

export type Document<T> = Readonly<T & { version: number }>;
type Edit<T> = (current: Document<T> | undefined) => T;
export type Documents = ReturnType<typeof createDocuments>;

const MOST_ATTEMPTS = 100;

/**
 * @returns a function that gives the documents of one kind, told by `name` and `shape`. Reading what
 *   does not have that shape throws: nothing is overwritten that is not understood.
 */
export function createDocuments(backend: DocumentBackend) {
  const ask = answersWithin(1500);

  return <S extends z.ZodRawShape>(name: string, shape: S) => {
    type T = z.infer<z.ZodObject<S>>;
    const data = z.object(shape);
    const inTurn = turns<Document<T>>();

    async function read(id: string): Promise<Document<T> | undefined> {
      const text = await ask(backend.get(`${name}:${id}`));
      if (text === undefined) return undefined;
      const json = JSON.parse(text);
      return { ...data.parse(json), version: z.int().positive().parse(json.version) };
    }

    /**
     * Changes a document by compare-and-set, or makes it.
     * @param seen the document as the caller knows it, however stale, or undefined for none
     * @param edit returns the new content, made from the stored one alone, for it may run again; the
     *   very same object changes nothing
     * @returns the document as it is stored now
     * @throws StoreUnavailable, SessionBusy, and what `edit` throws: then nothing is changed
     */
    const change = (id: string, seen: Document<T> | undefined, edit: Edit<T>) =>
      inTurn(id, async (before) => {
        let current = (before?.version ?? 0) > (seen?.version ?? 0) ? before : seen;
        for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt++) {
          const next = edit(current);
          if (current && next === current) return current;
          const version = current?.version ?? 0;
          const document = { ...data.parse(next), version: version + 1 };
          const text = JSON.stringify(document);
          if (await ask(backend.compareAndSet(`${name}:${id}`, version, text))) return document;
          await backOff(attempt);
          current = await read(id);
        }
        throw new SessionBusy(`${name} is changed too often at once`);
      });

    return { read, change };
  };
}
