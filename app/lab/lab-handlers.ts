import type { RequestHandler } from 'express';
import pLimit from 'p-limit';
import { excerpt } from '../guide/excerpt.ts';
import { type Pages, redirectOrJson } from '../http/pages.ts';
import { Refusal } from '../http/refusal.ts';
import { currentHandle, isStored } from '../session/index.ts';
import type { pretendOutages } from './pretend-outages.ts';
import { races, runRace } from './races.ts';
import { thisShopsWay } from './this-shops-way.ts';
import { tutorialWay } from './tutorial-way.ts';

const MOST_WAITING = 5;

type Options = {
  pages: Pages;
  /** Absent: visitors cannot let the store go away. */
  outages: ReturnType<typeof pretendOutages> | undefined;
};

/** The race lab: the tutorials' way and this shop's way, run side by side at the press of a button. */
export function labHandlers({ pages, outages }: Options) {
  const oneAtATime = pLimit(1);
  const page = {
    title: 'The race lab',
    path: '/lab', // the page of a race's outcome has this path, too
    outageSeconds: outages?.seconds,
    code: {
      tutorial: excerpt('app/lab/tutorial-way.ts', 'tutorialWay'),
      here: excerpt('app/lab/this-shops-way.ts', 'thisShopsWay'),
    },
  };

  const show: RequestHandler = (req, res) => {
    const json = { races: [...races.keys()] };
    return pages.show(req, res, 'lab/show', { ...page, results: {} }, json);
  };

  const run: RequestHandler = async (req, res) => {
    const name = String(req.params.race);
    const race = races.get(name);
    if (!race) throw new Refusal(404, 'The lab has no such race.');
    if (oneAtATime.pendingCount >= MOST_WAITING)
      throw new Refusal(503, 'The lab is busy. Please try again.', { 'Retry-After': '2' });
    const result = await oneAtATime(async () => ({
      tutorial: await runRace(race, tutorialWay),
      here: await runRace(race, thisShopsWay),
    }));
    const content = { ...page, results: { [name]: result } };
    return pages.show(req, res, 'lab/show', content, result);
  };

  const beginOutage: RequestHandler = (req, res) => {
    if (!outages) throw new Refusal(404, 'The store stays where it is.');
    if (!isStored(req.session))
      throw new Refusal(409, 'You hold no ticket yet, so nothing of yours can be out of reach.');
    outages.begin(currentHandle(req));
    redirectOrJson(req, res, '/lab', { seconds: outages.seconds });
  };

  return { show, run, beginOutage };
}
