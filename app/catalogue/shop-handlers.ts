import type { Request, RequestHandler } from 'express';
import { takeFlashFromDraft } from '../http/flash.ts';
import type { Pages } from '../http/pages.ts';
import { canUpdateSession, describeSession, updateSession } from '../session/index.ts';
import { type Catalogue, CURRENCY } from './catalogue.ts';

type Options = {
  catalogue: Catalogue;
  pages: Pages;
  currentItemCount: (req: Request) => number;
};

export function shopHandlers({ catalogue, pages, currentItemCount }: Options) {
  const products = [...catalogue.values()];
  const productsAsJson = products.map(({ sku, name, priceCents }) => {
    return { sku, name, priceCents, currency: CURRENCY };
  });

  const show: RequestHandler = async (req, res) => {
    const flash = await countView(req);
    const { expiresInSeconds } = describeSession(req);
    const { views, user = null } = req.session;
    const cart = { count: currentItemCount(req) };
    const json = { views, expiresInSeconds, user, cart, products: productsAsJson };
    return pages.show(req, res, 'catalogue/shop', { title: 'Shop', products, flash }, json);
  };

  return { show };
}

/** Counts the view and takes the flash in one write. */
async function countView(req: Request): Promise<string | undefined> {
  if (req.method === 'HEAD' || !canUpdateSession(req)) return undefined;
  return updateSession(req, (draft) => {
    draft.views += 1;
    return takeFlashFromDraft(req, draft);
  });
}
