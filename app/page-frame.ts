// At the root of app/: every page has this frame, and http/, which shows it, may know no feature.

import type { Request } from 'express';
import type { DemoAccount } from './accounts/accounts.ts';
import { addedAtLogIn, itemCount } from './cart/current-cart.ts';
import { formatCents } from './catalogue/catalogue.ts';
import { colour } from './guide/highlight.ts';
import { diagnose } from './inspector/proxy-doctor.ts';
import type { Recorder } from './inspector/recorder.ts';
import { describeSession } from './session/index.ts';

type Settings = {
  production: boolean;
  demoAccounts: readonly DemoAccount[];
  session: { idleMs: number; absoluteMs: number };
  lab?: object;
};

/** What is the same on every page, whoever looks at it. */
export const constantsOfPages = ({ production, demoAccounts, session, lab }: Settings) => ({
  formatCents,
  colour,
  // Passwords are shown where they are no secret: on the developer's own machine.
  demoLogins: production ? [] : demoAccounts,
  idleMinutes: Math.round(Math.min(session.idleMs, session.absoluteMs) / 60_000),
  lab: lab !== undefined,
});

/**
 * What surrounds a page for this visitor: the user, the number of items, the ticket. Without a session
 * (the store is down) it shows none of them.
 * @param toolbar shows at the foot of each page what the request did to the session
 */
export const pageFrame =
  (recorder: Recorder, toolbar: boolean) =>
  (req: Request): object => {
    const { session, account } = req;
    return {
      recording: toolbar ? recorder.currentRequest() : undefined,
      user: session?.user,
      itemCount: session ? itemCount(req) : 0,
      ticket: session && { ...describeSession(req), views: session.views },
      addedAtLogIn: session ? addedAtLogIn(req) : 0,
      temporaryPassword: account?.passwordExpiresAt !== undefined,
      proxyProblem: session && diagnose(req),
    };
  };
