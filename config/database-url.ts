import { statfsSync } from 'node:fs';
import { dirname, isAbsolute, resolve } from 'node:path';

export type DatabaseTarget =
  | { kind: 'sqlite'; path: string }
  | { kind: 'postgres' | 'mysql'; url: string; host: string };

/** Used in development. The folder is created if it is missing, and git ignores it. */
export const DEVELOPMENT_DATABASE = 'sqlite:.data/shop.db';

/** @throws TypeError or URIError when the URL is malformed */
export function parseDatabaseUrl(url: string): DatabaseTarget {
  const [, path] = /^sqlite:(?!\/\/)(.+)$/s.exec(url) ?? [];
  if (path !== undefined && path !== ':memory:') return { kind: 'sqlite', path };
  const { protocol, hostname, pathname } = new URL(url);
  const isServer = /^(postgres|postgresql|mysql):\/\//.test(url) && hostname !== '';
  if (!isServer || pathname.length < 2) throw new TypeError('no server and database');
  decodeURIComponent(url); // a malformed escape such as %zz would fail only when a driver connects
  const host = hostname.replace(/^\[|\]$/g, '');
  return { kind: protocol === 'mysql:' ? 'mysql' : 'postgres', url, host };
}

/** For people: the whole path, or the server and the database, without user and password. */
export function nameOfDatabase(target: DatabaseTarget): string {
  if (target.kind === 'sqlite') return resolve(target.path);
  const { protocol, host, pathname } = new URL(target.url);
  return `${protocol}//${host}${pathname}`;
}

// File systems on which another machine may write: SQLite cannot lock there, and loses data.
const NETWORK_FILE_SYSTEMS: Record<number, string> = {
  26985: 'NFS',
  4283649346: 'CIFS',
  4266872130: 'SMB',
  16914839: '9p',
  198183888: 'Lustre',
  1196443219: 'GPFS',
  12805120: 'Ceph',
};

/** Why SQLite could not serve from this path, or undefined. */
export function problemOfSqlite(path: string, production: boolean): string | undefined {
  if (production && !isAbsolute(path))
    return 'must name an absolute path, such as sqlite:/var/lib/cloakroom/shop.db';
  if (`sqlite:${path}` === DEVELOPMENT_DATABASE) return undefined;
  try {
    const network = NETWORK_FILE_SYSTEMS[statfsSync(dirname(path)).type >>> 0];
    if (network === undefined) return undefined;
    return `is on a network file system (${network}), where SQLite loses data. Use a local disk, or postgres:// or mysql://`;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : error;
    return `names a file in ${JSON.stringify(dirname(path))}, which cannot be opened (${String(code)})`;
  }
}
