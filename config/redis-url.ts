/** Where Redis is, and what kind it is. */
export type RedisTarget = {
  kind: 'server' | 'cluster' | 'sentinel';
  tls: boolean;
  nodes: { host: string; port: number }[];
  credentials: { username?: string; password?: string };
  /** The database's number, or for a sentinel the name of its master. */
  path: string;
};

const KINDS = {
  redis: 'server',
  rediss: 'server',
  'redis+cluster': 'cluster',
  'redis+sentinel': 'sentinel',
} as const;

/**
 * Reads `redis://`, `rediss://`, `redis+cluster://host:port,…` or
 * `redis+sentinel://host:port,…/master-name`, each with `user:password@` before the hosts if needed.
 * The URL class reads one host only, so a list of them is taken apart here.
 * @returns undefined where it is none of these
 */
export function parseRedisUrl(url: string): RedisTarget | undefined {
  const [, scheme = '', login = '', hosts = '', path = ''] =
    /^([a-z+]+):\/\/(?:([^@/]*)@)?([^@/]+)(?:\/([\w.-]*))?$/.exec(url) ?? [];
  const kind = Object.hasOwn(KINDS, scheme) ? KINDS[scheme as keyof typeof KINDS] : undefined;
  const nodes = hosts.split(',').map(parseHost);
  if (!kind || nodes.includes(undefined)) return undefined;
  if (kind === 'server' && (nodes.length > 1 || !/^\d*$/.test(path))) return undefined;
  if (kind === 'cluster' && path !== '') return undefined;
  if (kind === 'sentinel' && path === '') return undefined;
  try {
    const [, username = '', password = ''] = /^([^:]*):?(.*)$/.exec(login) ?? [];
    return {
      kind,
      tls: scheme === 'rediss',
      nodes: nodes.filter((node) => node !== undefined),
      credentials: {
        ...(username && { username: decodeURIComponent(username) }),
        ...(password && { password: decodeURIComponent(password) }),
      },
      path,
    };
  } catch {
    return undefined; // a malformed escape such as %zz
  }
}

function parseHost(host: string): { host: string; port: number } | undefined {
  if (!URL.canParse(`redis://${host}`)) return undefined;
  const { hostname, port } = new URL(`redis://${host}`);
  if (hostname === '' || port === '0') return undefined;
  // Node takes the address of IPv6 without the brackets that a URL needs.
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 6379) };
}
