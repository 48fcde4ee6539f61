import type { MemoryStore } from 'express-session';
import { z } from 'zod';
import {
  type Backend,
  inMemory,
  inRedis,
  type RedisCommands,
  type Versioned,
} from '../session/backends.ts';
import { answersWithin } from '../session/deadline.ts';
import { SessionBusy } from '../session/session-errors.ts';
import { backOff, turns } from '../session/turns.ts';

/** Where documents are kept: none has an end, and none is ever deleted. */
export type DocumentBackend = Pick<Backend<Versioned>, 'get' | 'compareAndSet'>;

/** Documents in this process's memory, gone with it. */
export const memoryDocuments = (store?: MemoryStore): DocumentBackend =>
  inMemory<Versioned>(JSON.parse, store);

/** Documents in Redis, under `doc:`. */
export const redisDocuments = (redis: RedisCommands): DocumentBackend =>
  inRedis<Versioned>(JSON.parse, redis, 'doc:');

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
      const kept = await ask(backend.get(`${name}:${id}`));
      return kept && { ...data.parse(kept), version: z.int().positive().parse(kept.version) };
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
          if (await ask(backend.compareAndSet(`${name}:${id}`, version, document))) return document;
          await backOff(attempt);
          current = await read(id);
        }
        throw new SessionBusy(`${name} is changed too often at once`);
      });

    return { read, change };
  };
}
