// This file is at the root of app/ because it combines several features, and http/, which renders
// it, must not depend on any feature.

import type { Request } from 'express';
import type { DemoAccount } from './accounts/accounts.ts';
import { addedAtLogIn, currentItemCount } from './cart/current-cart.ts';
import { formatCents } from './catalogue/catalogue.ts';
import { highlight } from './guide/highlight.ts';
import type { Assets } from './http/assets.ts';
import { diagnose } from './inspector/proxy-doctor.ts';
import type { Recorder } from './inspector/recorder.ts';
import { describeSession } from './session/index.ts';

type Options = {
  production: boolean;
  demoAccounts: readonly DemoAccount[];
  session: { idleMs: number; absoluteMs: number };
  toolbar?: boolean;
  lab?: object | undefined;
};

/** What every page shows around its content. While the store is down, a page has no session. */
export function pageFrame(options: Options, recorder: Recorder, assets: Assets) {
  const { idleMs, absoluteMs } = options.session;
  const constants = {
    asset: assets.url,
    formatCents,
    highlight,
    // Only in development, where these passwords are no secret.
    demoLogins: options.production ? [] : options.demoAccounts,
    idleMinutes: Math.round(Math.min(idleMs, absoluteMs) / 60_000),
    lab: options.lab !== undefined,
  };
  return (req: Request): object => {
    const { session, account } = req;
    return {
      ...constants,
      recording: options.toolbar ? recorder.currentRequest() : undefined,
      user: session?.user,
      itemCount: session ? currentItemCount(req) : 0,
      ticket: session && { ...describeSession(req), views: session.views },
      addedAtLogIn: session ? addedAtLogIn(req) : 0,
      temporaryPassword: account?.passwordExpiresAt !== undefined,
      proxyProblem: session && diagnose(req),
    };
  };
}
