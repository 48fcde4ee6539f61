import type { ErrorRequestHandler, Request, RequestHandler, Response } from 'express';
import type { Catalogue } from '../catalogue/catalogue.ts';
import { leaveFlash } from '../http/flash.ts';
import { textField, wholeNumberField } from '../http/form-fields.ts';
import { type Pages, redirectOrJson } from '../http/pages.ts';
import { invalidField, Refusal } from '../http/refusal.ts';
import { returnPath } from '../http/return-path.ts';
import { type Carts, unmerge } from './account-carts.ts';
import {
  addLine,
  type Cart,
  countItems,
  MAX_QUANTITY,
  priceCart,
  quantityOf,
  setLine,
} from './cart.ts';
import { changeAccountCart, changeCart, currentCart } from './current-cart.ts';

type Options = { carts: Carts; catalogue: Catalogue; pages: Pages };

export function cartHandlers({ carts, catalogue, pages }: Options) {
  const show: RequestHandler = (req, res) => {
    const content = contentFor(req);
    return pages.show(req, res, 'cart/show', content, content.cart);
  };

  const contentFor = (req: Request) => {
    const cart = priceCart(currentCart(req), catalogue);
    const { orderId, version } = req.accountCart?.cart ?? {};
    const removed = namesOf(req.session.removed ?? {});
    return { title: 'Your cart', cart, MAX_QUANTITY, orderId, version, removed };
  };

  /** If a change does not fit into the cart, shows the cart and the reason. */
  const showUnchanged: ErrorRequestHandler = (error: unknown, req, _res, next) => {
    const refused = error instanceof Refusal && error.status === 409;
    if (refused) req.errorPage = { view: 'cart/show', content: contentFor(req) };
    next(error);
  };

  const add: RequestHandler = async (req, res) => {
    const product = catalogue.get(textField(req.body, 'sku'));
    if (!product) throw invalidField('sku', 'names no product of this shop');
    const { sku, name } = product;
    const range = { min: 1, max: MAX_QUANTITY, ifAbsent: 1 };
    const quantity = wholeNumberField(req.body, 'quantity', range);
    await changeCart(req, carts, `${name} added.`, (cart) => {
      const fuller = addLine(cart, sku, quantity);
      if (fuller) return fuller;
      const limit = `A cart holds at most ${MAX_QUANTITY} of each product.`;
      const already = `Yours already has ${quantityOf(cart, sku)} × ${name}.`;
      throw new Refusal(409, `${limit} ${already} Nothing was changed.`);
    });
    // The shop's own form asks to stay in the shop.
    const { next } = req.body;
    respond(req, res, next === undefined ? '/cart' : returnPath(next));
  };

  const set: RequestHandler = async (req, res) => {
    const product = catalogue.get(String(req.params.sku));
    if (!product) throw new Refusal(404, 'No product has this sku.');
    const quantity = wholeNumberField(req.body, 'quantity', { min: 0, max: MAX_QUANTITY });
    const { name } = product;
    const sentence = quantity === 0 ? '' : `${name}: quantity ${quantity}.`;
    await changeCart(req, carts, sentence, (cart) => setLine(cart, product.sku, quantity));
    respond(req, res);
  };

  const clear: RequestHandler = async (req, res) => {
    await changeCart(req, carts, '', () => ({}));
    respond(req, res);
  };

  /** Twice is the same as once: lines that are in the cart again stay as they are. */
  const undo: RequestHandler = async (req, res) => {
    const { removed } = req.session;
    const sentence = 'The items you removed are back in your cart.';
    if (removed) await changeCart(req, carts, sentence, (cart) => ({ ...removed, ...cart }));
    respond(req, res);
  };

  const undoMerge: RequestHandler = async (req, res) => {
    const { guest = '' } = req.session;
    const nothing = 'There is nothing to undo: your cart has changed since you logged in.';
    await changeAccountCart(req, carts, (cart) => {
      if (countItems(cart.merged[guest] ?? {}) === 0) throw new Refusal(409, nothing);
      return unmerge(cart, guest);
    });
    await leaveFlash(req, 'The items from this device were removed from your cart.');
    respond(req, res);
  };

  const respond = (req: Request, res: Response, path = '/cart') =>
    redirectOrJson(req, res, path, () => priceCart(currentCart(req), catalogue));

  const namesOf = (cart: Cart) =>
    Object.keys(cart).flatMap((sku) => catalogue.get(sku)?.name ?? []);

  return { show, add: [add, showUnchanged], set, clear, undo, undoMerge };
}
