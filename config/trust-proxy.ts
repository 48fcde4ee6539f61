import { BlockList, isIP } from 'node:net';

/** @returns a value for Express's `trust proxy`. @throws RangeError when it would trust everyone */
export function parseTrustProxy(value: string): number | string[] | false {
  if (value === 'none') return false;
  if (/^\d$/.test(value)) return Number(value);
  const addresses = value.split(',').map((address) => address.trim());
  if (!addresses.every(isTrustable)) throw new RangeError('not the addresses of proxies');
  return addresses;
}

function isTrustable(address: string): boolean {
  if (['loopback', 'linklocal', 'uniquelocal'].includes(address)) return true;
  const [ip = '', bits, ...rest] = address.split('/');
  const longest = { 4: 32, 6: 128 }[isIP(ip)];
  if (longest === undefined || rest.length > 0) return false;
  if (bits === undefined) return true;
  if (!/^\d{1,3}$/.test(bits) || +bits < 1 || +bits > longest) return false;
  // A range that covers everyone (0.0.0.0/0, or half of it) would mean the same as `true`.
  if (longest === 32) return +bits >= 8;
  // So would all of IPv4 in IPv6 notation, however it is spelled.
  const range = new BlockList();
  range.addSubnet(ip, +bits, 'ipv6');
  const everyone = ['8.8.8.8', '200.8.8.8'].every((v4) => range.check(`::ffff:${v4}`, 'ipv6'));
  return +bits >= 16 && !everyone;
}
