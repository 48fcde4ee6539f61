import type { RequestHandler } from 'express';
import { countItems } from '../cart/cart.ts';
import { renderPage, wantsJson } from '../respond.ts';
import { describeSession } from '../session/update-session.ts';
import { countView } from '../visits/count-view.ts';
import { type Catalogue, CURRENCY, formatCents } from './catalogue.ts';

export function shopHandlers({ catalogue }: { catalogue: Catalogue }) {
  const show: RequestHandler = async (req, res) => {
    const flash = await countView(req);
    if (!wantsJson(req)) {
      const { products } = catalogue;
      return renderPage(req, res, 'catalogue/shop', {
        title: 'Shop',
        products,
        formatCents,
        flash,
      });
    }
    const { views, expiresInSeconds } = describeSession(req);
    const { user = null, cart } = req.session;
    const products = catalogue.products.map(({ sku, name, priceCents }) => ({
      sku,
      name,
      priceCents,
      currency: CURRENCY,
    }));
    res.json({ views, expiresInSeconds, user, cart: { count: countItems(cart) }, products });
  };

  return { show };
}
