import { z } from 'zod';
import { answersWithin, type Backend, compareAndSetLoop } from '../session/index.ts';

/** Documents never expire and are never deleted. */
export type DocumentBackend = Pick<Backend, 'get' | 'compareAndSet'>;

export type Document<T> = Readonly<T & { version: number }>;
type Edit<T> = (current: Document<T> | undefined) => T;
export type Documents = ReturnType<typeof createDocuments>;

/** How many documents of a kind a process keeps parsed. */
const MAX_PARSED = 500;

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

    const parsed = new Map<string, { text: string; document: Document<T> }>();

    /** Parses each version once. Requests share the result, so it is frozen. */
    function parse(id: string, text: string): Document<T> {
      const known = parsed.get(id);
      if (known?.text === text) return known.document;
      const document = freeze(stored.parse(JSON.parse(text)) as Document<T>);
      parsed.set(id, { text, document });
      const [oldest = ''] = parsed.keys();
      if (parsed.size > MAX_PARSED) parsed.delete(oldest);
      return document;
    }

    async function read(id: string): Promise<Document<T> | undefined> {
      const text = await ask(backend.get(`${name}:${id}`));
      return text === undefined ? undefined : parse(id, text);
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

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    Object.freeze(value);
    Object.values(value).forEach(freeze);
  }
  return value;
}
