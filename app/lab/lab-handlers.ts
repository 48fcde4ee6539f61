import type { RequestHandler } from 'express';
import pLimit from 'p-limit';
import { excerpt } from '../guide/excerpt.ts';
import { leaveFlash } from '../http/flash.ts';
import { type Pages, redirectOrJson } from '../http/pages.ts';
import { Refusal } from '../http/refusal.ts';
import { currentHandle, describeDevice, isStored, type SessionOptions } from '../session/index.ts';
import { stealCookie } from './cookie-theft.ts';
import { losslessShop } from './lossless-shop.ts';
import type { PretendOutages } from './pretend-outages.ts';
import { races, runRace } from './races.ts';
import { resultLinks, withResult } from './result-links.ts';
import { tutorialShop } from './tutorial-shop.ts';

const MAX_WAITING = 5;
const THEFT = 'theft';

type Options = {
  pages: Pages;
  /** Absent: visitors cannot take the store down. */
  outages: PretendOutages | undefined;
  secret: string;
  session: Pick<SessionOptions, 'cookie'>;
};

export function labHandlers({ pages, outages, secret, session }: Options) {
  const oneAtATime = pLimit(1);
  const links = resultLinks(secret);
  const page = {
    title: 'The race lab',
    outageSeconds: outages?.seconds,
    code: {
      tutorial: excerpt('app/lab/tutorial-shop.ts', 'tutorialShop'),
      here: excerpt('app/lab/lossless-shop.ts', 'losslessShop'),
    },
  };

  const show: RequestHandler = (req, res) => {
    const results = links.read(req.query.results);
    const isBound = describeDevice(req)?.provedAt !== undefined;
    const own = { cookie: session.cookie.name, isBound };
    const content = { ...page, results, kept: links.write(results), own };
    return pages.show(req, res, 'lab/show', content, { races: [...races.keys(), THEFT] });
  };

  const run: RequestHandler = async (req, res) => {
    const name = String(req.params.race);
    const race = races.get(name);
    if (!race && name !== THEFT) throw new Refusal(404, 'The lab has no race with this name.');
    if (oneAtATime.pendingCount >= MAX_WAITING)
      throw new Refusal(503, 'The lab is busy. Please try again in 2 s.', { 'Retry-After': '2' });
    const result = await oneAtATime(async () => ({
      tutorial: race ? await runRace(race, tutorialShop) : await stealCookie(false),
      here: race ? await runRace(race, losslessShop) : await stealCookie(true),
    }));
    const results = withResult(links.read(req.query.results), name, result);
    redirectOrJson(req, res, `/lab${links.write(results)}#${name}`, () => result);
  };

  const beginOutage: RequestHandler = async (req, res) => {
    if (!outages) throw new Refusal(404, 'This lab cannot take the store down.');
    if (!isStored(req.session))
      throw new Refusal(
        409,
        'You have no session yet, so there is nothing to take down. Open the shop first.',
      );
    await leaveFlash(req, 'The store is back, and nothing was lost.');
    outages.begin(currentHandle(req));
    const kept = links.write(links.read(req.query.results));
    redirectOrJson(req, res, `/lab${kept}`, () => ({ seconds: outages.seconds }));
  };

  return { show, run, beginOutage };
}
