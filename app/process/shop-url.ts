import { isIPv6 } from 'node:net';

export const listenUrl = (host: string, port: number): string =>
  `http://${isIPv6(host) ? `[${host}]` : host}:${port}`;

/** The URL for the developer's browser. localhost is not every address that begins with 127. */
export const shopUrl = (host: string, port: number): string =>
  listenUrl(['127.0.0.1', '0.0.0.0', '::'].includes(host) ? 'localhost' : host, port);
