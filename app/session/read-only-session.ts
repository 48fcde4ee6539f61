import type { Request, Response } from 'express';
import type { Session, SessionData } from 'express-session';
import type { SessionRecord } from './record.ts';

/** What to do instead of calling these methods of express-session. */
const INSTEAD = {
  save: 'There is nothing to save: updateSession stores the change before it returns',
  reload: 'There is nothing to reload: updateSession starts from the newest session',
  regenerate: 'Call renewSession(req, (old) => …) instead of req.session.regenerate',
  destroy: 'Call endSession(req, res) instead of req.session.destroy',
  touch: 'There is nothing to touch: each request restarts the idle clock',
} as const;

/** Calling one does not compile, and the compiler's message contains the sentence. */
type Instead = {
  [Method in keyof typeof INSTEAD]: (this: (typeof INSTEAD)[Method], ...args: unknown[]) => never;
};
/** `toJSON` returns the session as the store keeps it. */
type Readable = SessionRecord & { toJSON(): SessionRecord };
export type ReadOnlySession = Omit<Session & SessionData, keyof Instead> & Instead & Readable;

declare module 'express-serve-static-core' {
  interface Request {
    // The session of this module, not of express-session.
    session: ReadOnlySession;
  }
}

/** The requests whose answer is ending: now express-session calls `save` and `touch`. */
const ending = new WeakSet<object>();

export function noteEnd(req: Request, res: Response): void {
  const end = res.end.bind(res) as (...args: unknown[]) => Response;
  res.end = (...args: unknown[]) => {
    ending.add(req);
    return end(...args);
  };
}

/**
 * A view of a session that throws at every write. A frozen object would not do: in sloppy mode, which
 * much code on npm uses, JavaScript ignores a write to it, and the change is lost without a word.
 */
export const readOnly = <S extends object>(session: S): S =>
  new Proxy<S>(session, new ReadOnly(session));

class ReadOnly implements ProxyHandler<object> {
  readonly #session: object;
  /** Made when they are first read, and kept, so that a field is always the same object. */
  readonly #views = new Map<object, object>();

  constructor(session: object) {
    this.#session = session;
  }

  get(target: object, name: string): unknown {
    const isSession = target === this.#session;
    const value: unknown = Reflect.get(target, name);
    if (typeof value === 'object' && value !== null)
      // express-session changes the cookie.
      return isSession && (name === 'cookie' || name === 'req') ? value : this.#viewOf(value);
    // Without this, express-session's hash of the session would take four times as long.
    if (name === 'toJSON' && value === undefined)
      return () => (isSession ? fieldsOf(target) : target);
    if (typeof value === 'function' && isSession) return methodOf(target, name, value);
    return value;
  }

  #viewOf(value: object): object {
    let view = this.#views.get(value);
    if (!view) {
      // A copy: a proxy of a frozen object must return what is in it, and no view.
      view = new Proxy(Array.isArray(value) ? [...value] : { ...value }, this);
      this.#views.set(value, view);
    }
    return view;
  }

  set(): never {
    return refuseWrite();
  }

  deleteProperty(): never {
    return refuseWrite();
  }

  defineProperty(): never {
    return refuseWrite();
  }

  setPrototypeOf(): never {
    return refuseWrite();
  }
}

function refuseWrite(): never {
  throw new TypeError('req.session is read only: change it with updateSession(req, (draft) => …)');
}

function fieldsOf({ cookie, ...fields }: { cookie?: unknown }): unknown {
  return fields;
}

function methodOf(session: { req?: object }, name: string, method: unknown): unknown {
  // express-session touches a session as soon as the headers are sent, so `touch` may always run.
  if (name === 'touch' || !Object.hasOwn(INSTEAD, name) || ending.has(session.req ?? {}))
    return method;
  return () => {
    throw new Error(INSTEAD[name as keyof typeof INSTEAD]);
  };
}
