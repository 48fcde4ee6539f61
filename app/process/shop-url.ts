import { isIPv6 } from 'node:net';

export const listenUrl = (host: string, port: number): string =>
  `http://${isIPv6(host) ? `[${host}]` : host}:${port}`;

/** The URL for the developer's browser. localhost does not stand for every 127.x address. */
export const shopUrl = (host: string, port: number): string =>
  listenUrl(['127.0.0.1', '0.0.0.0', '::'].includes(host) ? 'localhost' : host, port);
