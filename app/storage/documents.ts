import { z } from 'zod';
import { answersWithin, type Backend, compareAndSetLoop } from '../session/index.ts';

/** Documents never expire and are never deleted. */
export type DocumentBackend = Pick<Backend, 'get' | 'compareAndSet'>;

export type Document<T> = Readonly<T & { version: number }>;
type Edit<T> = (current: Document<T> | undefined) => T;
export type Documents = ReturnType<typeof createDocuments>;

/** The version of a document that the first change will store. */
export const NEW_DOCUMENT = 0;

/**
 * @returns a function that gives access to the documents of one kind, by its `name` and `shape`.
 *   Reading a document of another shape throws, so that nothing unknown is overwritten.
 * @param answerWithinMs how long the backend may take for one answer, in milliseconds
 */
export function createDocuments(backend: DocumentBackend, { answerWithinMs = 1500 } = {}) {
  const ask = answersWithin(answerWithinMs);

  return <S extends z.ZodRawShape>(name: string, shape: S) => {
    type T = z.infer<z.ZodObject<S>>;
    // Loose: it keeps the fields of a newer version of the app that runs beside this one.
    const data = z.object(shape).loose();
    const stored = data.extend({ version: z.int().positive() });

    async function read(id: string): Promise<Document<T> | undefined> {
      const text = await ask(backend.get(`${name}:${id}`));
      return text === undefined ? undefined : (stored.parse(JSON.parse(text)) as Document<T>);
    }
    const commit = compareAndSetLoop<Document<T>>({
      get: read,
      compareAndSet: (id, version, next) =>
        ask(backend.compareAndSet(`${name}:${id}`, version, next)),
    });

    /**
     * Changes a document, or creates it.
     * @param seen the document as the caller knows it, however stale, or undefined for none
     * @param edit makes the new content from the stored one alone, because it may run again; it returns
     *   its argument to change nothing
     * @returns the document as stored
     * @throws StoreUnavailable, TooManyConflicts, and whatever `edit` throws; then nothing is changed
     */
    const change = (id: string, seen: Document<T> | undefined, edit: Edit<T>) =>
      commit(id, seen, (current) => {
        const next = edit(current);
        if (current && next === current) return current;
        return { ...(data.parse(next) as T), version: (current?.version ?? NEW_DOCUMENT) + 1 };
      });

    return { read, change };
  };
}
