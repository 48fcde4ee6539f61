import { isIPv4, isIPv6, SocketAddress } from 'node:net';
import type { Request, RequestHandler } from 'express';
import type { Logger } from 'pino';

/**
 * Freezes `req.protocol`, which may be HTTPS in capitals, and `req.ip`. Express computes both at
 * each use, and once the client has left it would return http and no address.
 */
export function rememberClient(log: Logger): RequestHandler {
  let warned = false;
  return (req, _res, next) => {
    const forwardedFor = req.get('X-Forwarded-For') ?? '';
    const { client, isProxy } = clientAddress(req, forwardedFor);
    Object.defineProperties(req, {
      protocol: { value: req.protocol.toLowerCase() === 'https' ? 'https' : 'http' },
      ip: { value: client },
    });
    if (isProxy && !warned)
      log.warn(
        { forwardedFor, client },
        'X-Forwarded-For has no address for the client, so the address of the proxy counts instead',
      );
    warned ||= isProxy;
    next();
  };
}

/**
 * Walks from this end to the first hop that is not trusted, as Express does. But Express takes
 * `1.2.3.4:50001`, which some load balancers send, literally. Each port would then count as a new
 * client, and a trusted proxy that appends its port would be taken for the client.
 */
function clientAddress(req: Request, forwardedFor: string) {
  const trusts: (address: string | undefined, hop: number) => boolean =
    req.app.get('trust proxy fn');
  const hops = forwardedFor.split(',').map((hop) => hop.trim());
  let client = canonicalAddress(req.socket.remoteAddress ?? '');
  for (const [n, hop] of hops.filter(Boolean).reverse().entries()) {
    if (!trusts(client, n)) break;
    const address = canonicalAddress(hop);
    // The visitor may have written this text, so it must not decide who the client is.
    if (address === undefined) return { client, isProxy: true };
    client = address;
  }
  return { client, isProxy: false };
}

/**
 * @returns the address without port, brackets and zone, and an IPv4 address in IPv6 notation as IPv4;
 *   undefined for anything else
 */
export function canonicalAddress(text: string): string | undefined {
  if (isIPv4(text)) return text;
  const [, v4, v6 = text] = /^(?:([\d.]+):\d+|\[([^\]]*)\](?::\d+)?)$/.exec(text) ?? [];
  if (v4 !== undefined) return isIPv4(v4) ? v4 : undefined;
  const [address = ''] = v6.split('%', 1);
  if (!isIPv6(address)) return undefined;
  return new SocketAddress({ address, family: 'ipv6' }).address.replace(/^::ffff:(?=.*\.)/, '');
}
