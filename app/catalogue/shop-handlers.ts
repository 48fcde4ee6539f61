import type { Request, RequestHandler } from 'express';
import { countItems } from '../cart/cart.ts';
import { currentCart } from '../cart/current-cart.ts';
import { takeFlash } from '../flash.ts';
import { renderPage } from '../respond.ts';
import { canUpdateSession, describeSession, updateSession } from '../session/session.ts';
import { countView } from '../visits/views.ts';
import { wantsJson } from '../wants-json.ts';
import { type Catalogue, CURRENCY, formatCents } from './catalogue.ts';

export function shopHandlers({ catalogue }: { catalogue: Catalogue }) {
  const show: RequestHandler = async (req, res) => {
    const flash = await look(req);
    if (!wantsJson(req)) {
      const { products } = catalogue;
      return renderPage(req, res, 'catalogue/shop', {
        title: 'Shop',
        products,
        formatCents,
        flash,
      });
    }
    const { expiresInSeconds } = describeSession(req);
    const { views, user = null } = req.session;
    const products = catalogue.products.map(({ sku, name, priceCents }) => ({
      sku,
      name,
      priceCents,
      currency: CURRENCY,
    }));
    res.json({
      views,
      expiresInSeconds,
      user,
      cart: { count: countItems(currentCart(req)) },
      products,
    });
  };

  return { show };
}

/** Counts the look and takes the message that was left for this page, in one write. */
async function look(req: Request): Promise<string | undefined> {
  // HEAD is no look. And what cannot be found again is not counted: the page says why.
  if (req.method === 'HEAD' || !canUpdateSession(req)) return undefined;
  return updateSession(req, (draft) => {
    countView(draft);
    return takeFlash(req, draft);
  });
}
