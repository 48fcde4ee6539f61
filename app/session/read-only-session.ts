import type { Cookie, Session, SessionData } from 'express-session';
import { copyOf, type SessionRecord } from './record.ts';

/** What to do instead of calling these methods of express-session. */
const INSTEAD = {
  save: 'There is nothing to save: updateSession has stored its change. To log out, call endSession',
  reload: 'There is nothing to reload: updateSession starts from the newest session',
  regenerate: 'Call renewSession(req, (old) => …) instead of req.session.regenerate',
  destroy: 'Call endSession(req, res) instead of req.session.destroy',
  touch: 'There is nothing to touch: each request restarts the idle clock',
} as const;

/** A call of one of these methods does not compile, and the compiler's message contains the advice. */
type Instead = {
  [Method in keyof typeof INSTEAD]: (this: (typeof INSTEAD)[Method], ...args: unknown[]) => never;
};
/** `toJSON` returns the session as the store keeps it. */
type Readable = SessionRecord & { readonly cookie: Readonly<Cookie>; toJSON(): SessionRecord };
type Replaced = keyof Instead | 'cookie';
export type ReadOnlySession = Omit<Session & SessionData, Replaced> & Instead & Readable;

declare module 'express-serve-static-core' {
  interface Request {
    // The session of this module, not of express-session.
    session: ReadOnlySession;
  }
}

type Fields = { readonly [name: string]: unknown };

/**
 * A view of a session that throws at every write. A frozen object would not do: in sloppy mode, which
 * much code on npm uses, JavaScript ignores a write to it, and the change is lost without a word.
 */
export const readOnlyView = <S extends object>(session: S): S =>
  new Proxy(session as Fields, new SessionView(session as Fields)) as S;

class WriteGuard implements ProxyHandler<Fields> {
  readonly set = throwOnWrite;
  readonly deleteProperty = throwOnWrite;
  readonly defineProperty = throwOnWrite;
  readonly setPrototypeOf = throwOnWrite;
}

class SessionView extends WriteGuard {
  readonly #session: Fields;
  /** Of nested objects. Each is made once, so that a field is always the same object. */
  #views: Map<object, object> | undefined;
  #plain: object | undefined;
  #isTouched = false;

  constructor(session: Fields) {
    super();
    this.#session = session;
  }

  get(target: Fields, name: string): unknown {
    const value = target[name];
    if (name === 'toJSON' && (value === undefined || target === this.#session))
      // With a key, the caller is JSON.stringify, which needs no copy. Without this method,
      // express-session's hash of the session would take four times as long.
      return (key?: string) => (key === undefined ? copyOf : asItIs)(this.#plainOf(target));
    if (typeof value === 'object' && value !== null) {
      if (target !== this.#session) return this.#viewOf(value);
      if (name === 'cookie') return this.#cookieOf(value as Fields);
      return name === 'req' ? value : this.#viewOf(value);
    }
    if (typeof value === 'function' && target === this.#session) return this.#methodOf(name, value);
    return value;
  }

  /** Writable after a call of `touch`, which restarts the cookie's `maxAge`. */
  #cookieOf(cookie: Fields): Fields {
    return this.#isTouched ? cookie : new Proxy(cookie, WRITE_GUARD);
  }

  #plainOf(target: Fields): object {
    if (target !== this.#session) return target;
    if (!this.#plain) {
      const { cookie, ...fields } = target;
      this.#plain = fields;
    }
    return this.#plain;
  }

  #viewOf(value: object): object {
    this.#views ??= new Map();
    let view = this.#views.get(value);
    if (!view) {
      // The target is a copy, because a proxy of a frozen object may not return views of what is in it.
      view = new Proxy(Array.isArray(value) ? [...value] : { ...value }, this);
      this.#views.set(value, view);
    }
    return view;
  }

  #methodOf(name: string, method: unknown): unknown {
    // express-session calls `touch` as the headers go out or as the response ends, whichever comes first.
    // Only after that may it call `save`.
    if (name === 'touch') this.#isTouched = true;
    if (name === 'touch' || !Object.hasOwn(INSTEAD, name) || (name === 'save' && this.#isTouched))
      return method;
    return () => {
      throw new Error(INSTEAD[name as keyof typeof INSTEAD]);
    };
  }
}

const WRITE_GUARD = new WriteGuard();

const asItIs = (value: object) => value;

function throwOnWrite(): never {
  throw new TypeError('req.session is read only: change it with updateSession(req, (draft) => …)');
}
