import type { Request, RequestHandler, Response } from 'express';
import { type Catalogue, formatCents } from '../catalogue/catalogue.ts';
import { invalidField, Refusal } from '../errors.ts';
import { textField, wholeNumberField } from '../fields.ts';
import { leaveFlash, takeFlash } from '../flash.ts';
import { renderPage, wantsJson } from '../respond.ts';
import { updateSession } from '../session/session.ts';
import { addLine, MAX_QUANTITY, priceCart, quantityOf, setLine } from './cart.ts';

export function cartHandlers({ catalogue }: { catalogue: Catalogue }) {
  const show: RequestHandler = async (req, res) => {
    if (wantsJson(req)) return res.json(priceCart(req.session.cart, catalogue));
    const flash = await flashOf(req);
    const cart = priceCart(req.session.cart, catalogue);
    renderPage(req, res, 'cart/show', {
      title: 'Your cart',
      cart,
      formatCents,
      flash,
      MAX_QUANTITY,
    });
  };

  const add: RequestHandler = async (req, res) => {
    const product = catalogue.find(textField(req.body, 'sku'));
    if (!product) throw invalidField('sku', 'must name a product of this shop');
    const { sku, name } = product;
    const quantity = wholeNumberField(req.body, 'quantity', {
      min: 1,
      max: MAX_QUANTITY,
      ifAbsent: 1,
    });
    await updateSession(req, (draft) => {
      const cart = addLine(draft.cart, sku, quantity);
      if (!cart) throw tooMany(name, quantityOf(draft.cart, sku));
      draft.cart = cart;
      leaveFlash(req, draft, `${name} added.`);
    });
    answer(req, res);
  };

  const set: RequestHandler = async (req, res) => {
    const product = catalogue.find(String(req.params.sku));
    if (!product) throw new Refusal(404, 'There is no product with this sku.');
    const quantity = wholeNumberField(req.body, 'quantity', { min: 0, max: MAX_QUANTITY });
    await updateSession(req, (draft) => {
      draft.cart = setLine(draft.cart, product.sku, quantity);
      leaveFlash(req, draft, `${product.name} ${quantity === 0 ? 'removed' : `now ${quantity}`}.`);
    });
    answer(req, res);
  };

  const clear: RequestHandler = async (req, res) => {
    await updateSession(req, (draft) => {
      draft.cart = {};
      leaveFlash(req, draft, 'Your cart is empty now.');
    });
    answer(req, res);
  };

  const answer = (req: Request, res: Response) =>
    wantsJson(req) ? res.json(priceCart(req.session.cart, catalogue)) : res.redirect(303, '/cart');

  return { show, add, set, clear };
}

const tooMany = (name: string, already: number) =>
  new Refusal(
    409,
    `A cart holds at most ${MAX_QUANTITY} of one product, and yours has ${already} of ${name}. Nothing was changed.`,
  );

/** Taking the message is a write, so it is done only if there is one. */
async function flashOf(req: Request): Promise<string | undefined> {
  if (!req.session.flash || req.method === 'HEAD') return undefined;
  return updateSession(req, (draft) => takeFlash(req, draft));
}
