export type RedisTarget = {
  kind: 'server' | 'cluster' | 'sentinel';
  tls: boolean;
  nodes: { host: string; port: number }[];
  credentials: { username?: string; password?: string };
  /** The number of the database, or the name of a sentinel's master. */
  path: string;
};

const SERVER = { kind: 'server', path: /^\d*$/ } as const;
const SCHEMES = new Map<string, { kind: RedisTarget['kind']; path: RegExp }>([
  ['redis', SERVER],
  ['rediss', SERVER],
  ['redis+cluster', { kind: 'cluster', path: /^$/ }],
  ['redis+sentinel', { kind: 'sentinel', path: /./ }],
]);

/**
 * Unlike the URL class, it accepts a list of hosts.
 * @throws TypeError or URIError when the URL is malformed
 */
export function parseRedisUrl(url: string): RedisTarget {
  const [, name = '', login = '', hosts = '', path = ''] =
    /^([a-z+]+):\/\/(?:([^@/]*)@)?([^@/]+)(?:\/([\w.-]*))?$/.exec(url) ?? [];
  const scheme = SCHEMES.get(name);
  const nodes = hosts.split(',').map(parseHost);
  if (!scheme?.path.test(path) || (scheme === SERVER && nodes.length > 1))
    throw new TypeError('wrong kind of URL');
  const [, username, password] = /^([^:]*):?(.*)$/.exec(login) ?? [];
  const credentials: RedisTarget['credentials'] = {};
  if (username) credentials.username = decodeURIComponent(username);
  if (password) credentials.password = decodeURIComponent(password);
  return { kind: scheme.kind, tls: name === 'rediss', nodes, credentials, path };
}

function parseHost(host: string): { host: string; port: number } {
  const { hostname, port } = new URL(`redis://${host}`);
  if (hostname === '' || port === '0') throw new TypeError('no host');
  // Node takes an IPv6 address without the brackets that a URL needs.
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 6379) };
}
