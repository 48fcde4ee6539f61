import type { MemoryStore } from 'express-session';
import { z } from 'zod';
import {
  type Backend,
  inMemory,
  inRedis,
  type RedisCommands,
  type Versioned,
} from '../session/stores/backends.ts';
import { changes } from '../session/stores/changes.ts';
import { answersWithin } from '../session/stores/deadline.ts';

/** Where documents are kept: none has an end, and none is ever deleted. */
export type DocumentBackend = Pick<Backend<Versioned>, 'get' | 'compareAndSet'>;

/** Documents in this process's memory, gone with it. */
export const memoryDocuments = (store?: MemoryStore): DocumentBackend => inMemory(parse, store);

/** Documents in Redis, under `doc:`. */
export const redisDocuments = (redis: RedisCommands): DocumentBackend =>
  inRedis(parse, redis, 'doc:');

/** What is no JSON, or null, is there all the same: of no version and no shape, so reading it throws. */
function parse(text: string): Versioned {
  try {
    return Object(JSON.parse(text));
  } catch {
    return { version: Number.NaN };
  }
}

export type Document<T> = Readonly<T & { version: number }>;
type Edit<T> = (current: Document<T> | undefined) => T;
export type Documents = ReturnType<typeof createDocuments>;

/**
 * @returns a function that gives the documents of one kind, told by `name` and `shape`. Reading what
 *   does not have that shape throws: nothing is overwritten that is not understood.
 */
export function createDocuments(backend: DocumentBackend) {
  const ask = answersWithin(1500);

  return <S extends z.ZodRawShape>(name: string, shape: S) => {
    type T = z.infer<z.ZodObject<S>>;
    // Loose: a field that a newer version of the app stored stays, for it may run beside this one.
    const data = z.object(shape).loose();

    async function read(id: string): Promise<Document<T> | undefined> {
      const kept = await ask(backend.get(`${name}:${id}`));
      return (
        kept && { ...(data.parse(kept) as T), version: z.int().positive().parse(kept.version) }
      );
    }
    const changeStored = changes<Document<T>>({
      get: read,
      compareAndSet: (id, ...args) => ask(backend.compareAndSet(`${name}:${id}`, ...args)),
    });

    /**
     * Changes a document, or makes it.
     * @param seen the document as the caller knows it, however stale, or undefined for none
     * @param edit returns the new content, made from the stored one alone, for it may run again; the
     *   very same object changes nothing
     * @returns the document as it is stored now
     * @throws StoreUnavailable, SessionBusy, and what `edit` throws: then nothing is changed
     */
    const change = (id: string, seen: Document<T> | undefined, edit: Edit<T>) =>
      changeStored(id, seen, (current) => {
        const next = edit(current);
        if (current && next === current) return current;
        return { ...(data.parse(next) as T), version: (current?.version ?? 0) + 1 };
      });

    return { read, change };
  };
}
