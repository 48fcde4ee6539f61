import type { RequestHandler } from 'express';
import pLimit from 'p-limit';
import { excerpt } from '../guide/excerpt.ts';
import { type Pages, redirectOrJson } from '../http/pages.ts';
import { Refusal } from '../http/refusal.ts';
import { currentHandle, isStored } from '../session/index.ts';
import { cloakroomShop } from './cloakroom-shop.ts';
import type { PretendOutages } from './pretend-outages.ts';
import { races, runRace } from './races.ts';
import { tutorialShop } from './tutorial-shop.ts';

const MAX_WAITING = 5;

type Options = {
  pages: Pages;
  /** Absent: visitors cannot take the store down. */
  outages: PretendOutages | undefined;
};

export function labHandlers({ pages, outages }: Options) {
  const oneAtATime = pLimit(1);
  const page = {
    title: 'The race lab',
    path: '/lab', // also on the page of a result, which a browser cannot reload by GET
    outageSeconds: outages?.seconds,
    code: {
      tutorial: excerpt('app/lab/tutorial-shop.ts', 'tutorialShop'),
      here: excerpt('app/lab/cloakroom-shop.ts', 'cloakroomShop'),
    },
  };

  const show: RequestHandler = (req, res) => {
    const json = { races: [...races.keys()] };
    return pages.show(req, res, 'lab/show', { ...page, results: {} }, json);
  };

  const run: RequestHandler = async (req, res) => {
    const name = String(req.params.race);
    const race = races.get(name);
    if (!race) throw new Refusal(404, 'The lab has no race with this name.');
    if (oneAtATime.pendingCount >= MAX_WAITING)
      throw new Refusal(503, 'The lab is busy. Please try again in 2 s.', { 'Retry-After': '2' });
    const result = await oneAtATime(async () => ({
      tutorial: await runRace(race, tutorialShop),
      here: await runRace(race, cloakroomShop),
    }));
    const content = { ...page, results: { [name]: result } };
    return pages.show(req, res, 'lab/show', content, result);
  };

  const beginOutage: RequestHandler = (req, res) => {
    if (!outages) throw new Refusal(404, 'This lab cannot take the store down.');
    if (!isStored(req.session))
      throw new Refusal(
        409,
        'You have no session yet, so there is nothing to take down. Open the shop first.',
      );
    outages.begin(currentHandle(req));
    redirectOrJson(req, res, '/lab', { seconds: outages.seconds });
  };

  return { show, run, beginOutage };
}
