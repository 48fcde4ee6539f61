import type { RequestHandler } from 'express';
import { countItems } from '../cart/cart.ts';
import { currentCart } from '../cart/current-cart.ts';
import { showPage } from '../respond.ts';
import { canUpdateSession, describeSession, updateSession } from '../session/session.ts';
import { type Catalogue, CURRENCY } from './catalogue.ts';

export function shopHandlers({ catalogue }: { catalogue: Catalogue }) {
  const products = [...catalogue.values()];
  const offers = products.map(({ sku, name, priceCents }) => {
    return { sku, name, priceCents, currency: CURRENCY };
  });

  const show: RequestHandler = async (req, res) => {
    // HEAD is no look. And what cannot be found again is not counted: the page says why.
    if (req.method !== 'HEAD' && canUpdateSession(req))
      await updateSession(req, (draft) => {
        draft.views += 1;
      });
    const { expiresInSeconds } = describeSession(req);
    const { views, user = null } = req.session;
    const cart = { count: countItems(currentCart(req)) };
    const json = { views, expiresInSeconds, user, cart, products: offers };
    return showPage(req, res, 'catalogue/shop', { title: 'Shop', products }, json);
  };

  return { show };
}
