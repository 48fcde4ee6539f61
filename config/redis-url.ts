export type RedisTarget = {
  kind: 'server' | 'cluster' | 'sentinel';
  tls: boolean;
  nodes: { host: string; port: number }[];
  credentials: { username?: string; password?: string };
  /** The number of the database, or the name of a sentinel's master. */
  path: string;
};

const KINDS = {
  redis: 'server',
  rediss: 'server',
  'redis+cluster': 'cluster',
  'redis+sentinel': 'sentinel',
} as const;

/** Unlike the URL class, it accepts a list of hosts. */
export function parseRedisUrl(url: string): RedisTarget | undefined {
  const [, scheme = '', login = '', hosts = '', path = ''] =
    /^([a-z+]+):\/\/(?:([^@/]*)@)?([^@/]+)(?:\/([\w.-]*))?$/.exec(url) ?? [];
  const kind = Object.hasOwn(KINDS, scheme) ? KINDS[scheme as keyof typeof KINDS] : undefined;
  const nodes = hosts.split(',').flatMap((host) => parseHost(host) ?? []);
  if (!kind || nodes.length < hosts.split(',').length) return undefined;
  if (kind === 'server' && (nodes.length > 1 || !/^\d*$/.test(path))) return undefined;
  if (kind === 'cluster' && path !== '') return undefined;
  if (kind === 'sentinel' && path === '') return undefined;
  const [, username = '', password = ''] = /^([^:]*):?(.*)$/.exec(login) ?? [];
  const credentials: RedisTarget['credentials'] = {};
  try {
    if (username) credentials.username = decodeURIComponent(username);
    if (password) credentials.password = decodeURIComponent(password);
  } catch {
    return undefined; // a malformed escape such as %zz
  }
  return { kind, tls: scheme === 'rediss', nodes, credentials, path };
}

function parseHost(host: string): { host: string; port: number } | undefined {
  if (!URL.canParse(`redis://${host}`)) return undefined;
  const { hostname, port } = new URL(`redis://${host}`);
  if (hostname === '' || port === '0') return undefined;
  // Node takes an IPv6 address without the brackets that a URL needs.
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 6379) };
}
