import type { ErrorRequestHandler, IRouter, RequestHandler } from 'express';
import { Refusal } from './refusal.ts';

type Handler = RequestHandler | (RequestHandler | ErrorRequestHandler)[];
export type Route = [verb: 'get' | 'post', path: string, ...handlers: Handler[]];

const list = new Intl.ListFormat('en-GB');

/** Adds the routes, and a 405 for every other method of their paths. */
export function mount(router: IRouter, routes: Route[]): void {
  for (const [path, same] of Map.groupBy(routes, (route) => route[1])) {
    const route = router.route(path);
    for (const [verb, , ...handlers] of same) route[verb](...handlers);
    const allow = same.flatMap(([verb]) => (verb === 'get' ? ['GET', 'HEAD'] : ['POST']));
    const message = allow.includes('GET')
      ? `This address accepts ${list.format(allow)} only.`
      : "This page can't be opened directly.";
    route.all(() => {
      throw new Refusal(405, message, { Allow: allow.join(', ') });
    });
  }
}
