import type { ErrorRequestHandler, Request, RequestHandler } from 'express';
import { accountOf } from '../accounts/identify.ts';
import { type AccountCart, type Carts, withoutOrder } from '../cart/account-carts.ts';
import { priceCart, totalsOf } from '../cart/cart.ts';
import { accountCartOf } from '../cart/current-cart.ts';
import { type Catalogue, CURRENCY } from '../catalogue/catalogue.ts';
import { leaveFlash } from '../http/flash.ts';
import { textField, wholeNumberField } from '../http/form-fields.ts';
import { type Pages, redirectOrJson } from '../http/pages.ts';
import { Refusal } from '../http/refusal.ts';
import type { Order, Orders } from './orders.ts';

type Options = { orders: Orders; carts: Carts; catalogue: Catalogue; pages: Pages };

/** Only behind `requireUser`. */
export function orderHandlers({ orders, carts, catalogue, pages }: Options) {
  /**
   * The order gets the id that the cart already holds, so sending the form twice places one order.
   * Then the ordered items leave the cart, and the cart gets the id of the next order. If this
   * stops halfway, sending the form again continues the same order.
   */
  const checkOut: RequestHandler = async (req, res) => {
    const { accountId, cart } = accountCartOf(req);
    const id = textField(req.body, 'order') || cart.orderId;
    const order =
      (await orders.find(id)) ?? (await orders.place(newOrder(req, id, accountId, cart)));
    if (order.accountId !== accountId) throw cartHasChanged();
    await carts.change(accountId, cart, (current) =>
      current.orderId === id ? withoutOrder(current, quantitiesOf(order)) : current,
    );
    // This completed an earlier order that had stopped halfway, but the form showed another one.
    if (!matchesForm(req, order.cartVersion ?? cart.version, totalsOf(order.lines).totalCents))
      throw new Refusal(409, 'Your earlier order was placed; this one was not. See your orders.');
    await leaveFlash(req, 'Thank you. Your order is placed.');
    redirectOrJson(req, res.status(201), `/orders/${id}`, () => asJson(order));
  };

  function newOrder(req: Request, id: string, accountId: string, cart: AccountCart): Order {
    const { lines, totalCents } = priceCart(cart.lines, catalogue);
    // If the form showed another cart or other prices, the buyer has to see this cart first.
    if (id !== cart.orderId || !matchesForm(req, cart.version, totalCents)) throw cartHasChanged();
    if (lines.length === 0) throw new Refusal(409, 'Your cart is empty.');
    return { id, accountId, cartVersion: cart.version, placedAt: Date.now(), lines };
  }

  const show: RequestHandler = async (req, res) => {
    const order = await orders.find(String(req.params.id));
    // Another account's order looks the same as one that does not exist.
    if (!order || order.accountId !== req.account?.id)
      throw new Refusal(404, 'You have no order with this number.');
    const json = asJson(order);
    return pages.show(req, res, 'orders/show', { title: 'Your order', order: json }, json);
  };

  const showAll: RequestHandler = async (req, res) => {
    const page = await orders.ofAccount(accountOf(req).id, pageStart(req.query.before));
    const list = page.orders.map(asJson);
    const next = page.before && `/orders?before=${page.before}`;
    if (next) res.links({ next });
    const content = { title: 'Your orders', orders: list, next };
    return pages.show(req, res, 'orders/list', content, { orders: list });
  };

  return { checkOut: [checkOut, brokenForm], show, showAll };
}

/** Anything but a page's own link leads to the first page. */
const pageStart = (before: unknown) =>
  typeof before === 'string' && /^[1-9]\d{0,8}$/.test(before) ? Number(before) : undefined;

/** Whether the form showed this cart at these prices. A program need not send what it saw. */
function matchesForm(req: Request, version: number, totalCents: number): boolean {
  const isShown = (name: string, now: number) =>
    wholeNumberField(req.body, name, { min: 0, max: 1e12, ifAbsent: now }) === now;
  return isShown('version', version) && isShown('totalCents', totalCents);
}

/** A buyer cannot correct hidden fields, so they are shown the cart, as after an outdated form. */
const brokenForm: ErrorRequestHandler = (error: unknown, req, _res, next) => {
  const broken = error instanceof Refusal && error.status === 422 && !req.wantsJson;
  next(broken ? cartHasChanged() : error);
};

const cartHasChanged = () =>
  new Refusal(
    409,
    'Your cart has changed, so nothing was ordered. Check the cart and order again.',
  );

const quantitiesOf = ({ lines }: Order) =>
  Object.fromEntries(lines.map(({ sku, quantity }) => [sku, quantity]));

const asJson = ({ id, placedAt, lines }: Order) => ({
  id,
  placedAt: new Date(placedAt).toISOString(),
  ...totalsOf(lines),
  currency: CURRENCY,
});
