import type { Request, RequestHandler } from 'express';
import type { Pages } from '../http/pages.ts';
import {
  currentHandle,
  describeDevice,
  isStored,
  readCookie,
  type SessionOptions,
} from '../session/index.ts';
import type { Recorder } from './recorder.ts';

type Options = {
  session: SessionOptions;
  storeName: string | undefined;
  recorder: Recorder;
  pages: Pages;
};

export function xrayHandlers({ session, storeName, recorder, pages }: Options) {
  const { cookie, secrets, idleMs, absoluteMs, now = Date.now } = session;

  /** `?live`: an open page asks again and again, which must not keep its session alive. */
  const show: RequestHandler = (req, res) => {
    const isLive = 'live' in req.query;
    if (isLive) recorder.ignorePoll();
    const xray = isStored(req.session)
      ? {
          stored: true,
          store: storeName,
          cookie,
          ticket: ticketOf(req),
          device: describeDevice(req),
          coat: coatOf(req),
          clocks: clocksOf(req),
          requests: recorder.recall(req),
        }
      : { stored: false, store: storeName, cookie };
    // Without `req.session`, express-session touches nothing, and no flash is taken.
    if (isLive) Reflect.deleteProperty(req, 'session');
    return pages.show(req, res, 'inspector/xray', { title: 'Your session', xray }, xray);
  };

  /** The cookie as it was sent, masked, so that onlookers cannot use it. */
  function ticketOf(req: Request) {
    const sent = readCookie(req.headers.cookie, cookie.name, secrets);
    return {
      id: mask(req.sessionID),
      signature: mask(sent?.signature ?? ''),
      /** 1: the newest secret, which signs. 2 or more: an older one, which will be removed. */
      verifiedBy: (sent?.signedBy ?? -1) + 1,
      secrets: secrets.length,
    };
  }

  function coatOf(req: Request) {
    const document = req.session.toJSON();
    const bytes = Buffer.byteLength(JSON.stringify(document));
    return { handle: currentHandle(req), bytes, document };
  }

  function clocksOf(req: Request) {
    const { createdAt, lastSeenAt } = req.session;
    const seconds = (ms: number) => Math.floor(ms / 1000);
    return {
      idleSeconds: seconds(idleMs),
      wasIdleForSeconds: seconds(now() - lastSeenAt),
      idleSecondsLeft: seconds(Math.min(lastSeenAt + idleMs, createdAt + absoluteMs) - now()),
      absoluteSeconds: seconds(absoluteMs),
      absoluteSecondsLeft: seconds(createdAt + absoluteMs - now()),
    };
  }

  return { show };
}

const mask = (secret: string) => `${secret.slice(0, 4)}${'•'.repeat(12)}`;
