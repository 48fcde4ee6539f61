import { hash, randomBytes } from 'node:crypto';

/** 256 bits from the operating system's generator, as 43 URL-safe characters. */
export const newSessionId = () => randomBytes(32).toString('base64url');

/**
 * The name under which the store keeps a session: the SHA-256 of its id. So a stolen copy of the store
 * holds no usable cookie. There is no salt, because nobody can guess 256 random bits from their hash.
 */
export const sessionHandle = (id: string) => hash('sha256', id, 'base64url');
