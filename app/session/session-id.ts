import { hash, randomBytes } from 'node:crypto';

/** 256 bits from the operating system's generator, as 43 URL-safe characters. */
export const newSessionId = () => randomBytes(32).toString('base64url');

/**
 * What the backend knows a session by: the SHA-256 of its id. A stolen dump of the store therefore
 * holds no usable cookie. No salt: an id is random enough that it cannot be guessed from its hash.
 */
export const sessionHandle = (id: string) => hash('sha256', id, 'base64url');
