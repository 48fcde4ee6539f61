/**
 * A place that keeps records, each as JSON text with a field `version`. One suite of tests holds every
 * backend to this contract:
 *
 * - `get` returns the text stored under the key, or undefined when there is none. Its reader decides
 *   what malformed text means.
 * - `compareAndSet` stores `next` under the key, or deletes the key when `next` is null, if and only if
 *   the stored version is `version`. Version 0 means that the key must not exist; malformed text
 *   matches no version. Nothing can come between comparing and setting. Returns whether it stored. The
 *   key disappears by itself after `ttlMs` milliseconds (more than 0); without `ttlMs` it stays.
 * - `destroy` deletes the key, whatever its version. Deleting a missing key is not an error.
 * - Each rejects when the store cannot answer. The write may or may not have happened.
 */
export type Backend = {
  get(key: string): Promise<string | undefined>;
  compareAndSet(
    key: string,
    version: number,
    next: Versioned | null,
    ttlMs?: number,
  ): Promise<boolean>;
  destroy(key: string): Promise<void>;
};

export type Versioned = { readonly version: number };

/** The version in a stored text: 0 when there is no text, undefined when it is malformed. */
export function versionOf(text: string | undefined): unknown {
  if (text === undefined) return 0;
  try {
    return JSON.parse(text)?.version;
  } catch {
    return undefined;
  }
}
