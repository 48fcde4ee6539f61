import type { IncomingHttpHeaders } from 'node:http';
import { alsoNamed, readCookie } from './cookie.ts';
import { crossSiteSign } from './cross-site.ts';
import type { Lifecycle } from './lifecycle.ts';
import { hasMoved, type SessionRecord } from './record.ts';
import { sessionHandle } from './session-id.ts';
import type { OldStore } from './stores/old-store.ts';

/**
 * - ended: it was destroyed, by a log-out in this browser or otherwise
 * - expired: its idle or its absolute clock ran out
 * - renewed: it has a new id. The rights of the visitor may have changed, and whoever opened the socket
 *   may not know the new id (session fixation), so the socket ends. Its browser can open another.
 * - revoked: `isRevoked` says so
 */
export type EndReason = 'ended' | 'expired' | 'renewed' | 'revoked';

export type OpenSessionOptions = {
  /** How often the session of an open socket is read again, in milliseconds. Default: 3000 */
  askEveryMs?: number;
  /**
   * Whether something outside the store has ended this session. It is called only for sessions of
   * sockets, each time one is read. Default: never
   */
  isRevoked?: (session: SessionRecord, handle: string) => Promise<boolean>;
};

export type OpenSession = {
  readonly handle: string;
  /** As last read. */
  readonly fields: SessionRecord;
  /**
   * Reads the session again and again, until it has ended or the returned function is called: call it
   * when the socket closes. Reading restarts no clock. A store that does not answer is asked again: an
   * outage ends no session.
   */
  onEnd(listener: (reason: EndReason) => void): () => void;
};

type Options = OpenSessionOptions & {
  cookie: { name: string; attributes: { secure: boolean } };
  secrets: readonly string[];
  importFrom?: OldStore;
  /** False if the session is bound to a browser's key, which these headers do not prove. */
  mayOpen: (session: SessionRecord, headers: IncomingHttpHeaders) => boolean;
};
type Listener = (reason: EndReason) => void;
type Watch = { record: SessionRecord; listeners: Set<Listener>; timer?: NodeJS.Timeout };

export type OpenSessions = ReturnType<typeof createOpenSessions>;

/** The sessions of sockets. Each has one timer and one read for all its sockets. */
export function createOpenSessions({ find, load, expiresAt, now }: Lifecycle, options: Options) {
  const { cookie, secrets, importFrom, mayOpen } = options;
  const { askEveryMs = 3000, isRevoked = async () => false } = options;
  const oldName = importFrom?.cookieName ?? cookie.name;
  const watches = new Map<string, Watch>();

  async function read(handle: string, before?: SessionRecord): Promise<SessionRecord | EndReason> {
    const record = await find(handle);
    if (!record) return before && expiresAt(before) <= now() + askEveryMs ? 'expired' : 'ended';
    if (hasMoved(record)) return 'renewed';
    return (await isRevoked(record, handle)) ? 'revoked' : record;
  }

  /** See `sessionOf`. */
  async function open(headers: IncomingHttpHeaders): Promise<OpenSession | undefined> {
    const cookies = alsoNamed(headers.cookie, oldName, cookie.name);
    const sent = readCookie(cookies, cookie.name, secrets);
    if (!sent || sent.signedBy < 0) return undefined;
    if (crossSiteSign(headers, headers.host, cookie.attributes.secure)) return undefined;
    const handle = sessionHandle(sent.id);
    const record = await (importFrom ? load(sent.id) : find(handle));
    if (!record || hasMoved(record) || (await isRevoked(record, handle))) return undefined;
    if (!mayOpen(record, headers)) return undefined;
    return {
      handle,
      get fields() {
        return watches.get(handle)?.record ?? record;
      },
      onEnd: (listener) => watch(handle, record, listener),
    };
  }

  function watch(handle: string, record: SessionRecord, listener: Listener): () => void {
    const watched = watches.get(handle) ?? begin(handle, record);
    const own: Listener = (reason) => listener(reason); // a caller may pass the same one twice
    watched.listeners.add(own);
    return () => {
      if (!watched.listeners.delete(own) || watched.listeners.size > 0) return;
      clearTimeout(watched.timer);
      watches.delete(handle);
    };
  }

  function begin(handle: string, record: SessionRecord): Watch {
    const watched: Watch = { record, listeners: new Set() };
    watches.set(handle, watched);
    const askLater = () => {
      watched.timer = setTimeout(() => void ask(), askEveryMs).unref();
    };
    const ask = async () => {
      const found = await read(handle, watched.record).catch(() => watched.record);
      if (watched.listeners.size === 0) return; // closed meanwhile
      if (typeof found !== 'string') {
        watched.record = found;
        return askLater();
      }
      watches.delete(handle);
      // Each in a task of its own: if one throws, the others are still called.
      for (const listener of watched.listeners) queueMicrotask(() => listener(found));
      watched.listeners.clear();
    };
    askLater();
    return watched;
  }

  return { open };
}
