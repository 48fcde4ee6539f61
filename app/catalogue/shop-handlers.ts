import type { Request, RequestHandler } from 'express';
import { countItems } from '../cart/cart.ts';
import { currentCart } from '../cart/current-cart.ts';
import { takeFlash } from '../http/flash.ts';
import { showPage } from '../http/pages.ts';
import { canUpdateSession, describeSession, updateSession } from '../session/index.ts';
import { type Catalogue, CURRENCY } from './catalogue.ts';

export function shopHandlers({ catalogue }: { catalogue: Catalogue }) {
  const products = [...catalogue.values()];
  const offers = products.map(({ sku, name, priceCents }) => {
    return { sku, name, priceCents, currency: CURRENCY };
  });

  const show: RequestHandler = async (req, res) => {
    const flash = await look(req);
    const { expiresInSeconds } = describeSession(req);
    const { views, user = null } = req.session;
    const cart = { count: countItems(currentCart(req)) };
    const json = { views, expiresInSeconds, user, cart, products: offers };
    return showPage(req, res, 'catalogue/shop', { title: 'Shop', products, flash }, json);
  };

  return { show };
}

/** Counts the look and takes the message that was left for this page, in one write. */
async function look(req: Request): Promise<string | undefined> {
  // HEAD is no look. And what cannot be found again is not counted: the page says why.
  if (req.method === 'HEAD' || !canUpdateSession(req)) return undefined;
  return updateSession(req, (draft) => {
    draft.views += 1;
    return takeFlash(req, draft);
  });
}
