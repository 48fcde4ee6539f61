import type { Request } from 'express';
import type { Account } from '../accounts/accounts.ts';
import { leaveFlash, tell } from '../http/flash.ts';
import { requireDeliverableCookie, updateSession } from '../session/index.ts';
import { type AccountCart, type Carts, edited, merge } from './account-carts.ts';
import { type Cart, countItems, MAX_QUANTITY } from './cart.ts';

/** The cart of whoever asks: a user's is the account's, a guest's is in the session. */
export const currentCart = (req: Request): Cart => req.accountCart?.lines ?? req.session.cart;

/** How many items of this session's guest are in the account's cart, and may be taken out again. */
export const addedAtLogIn = (req: Request): number =>
  countItems(req.accountCart?.merged[req.session.guest ?? ''] ?? {});

/**
 * Changes that cart, and leaves `sentence` for the next page. When it returns, the change is stored.
 * @throws what `updateSession` throws, and what `edit` throws: then nothing is changed
 */
export async function changeCart(
  req: Request,
  carts: Carts,
  sentence: string,
  edit: (cart: Cart) => Cart,
): Promise<void> {
  if (!req.account) {
    await updateSession(req, (draft) => {
      draft.cart = edit(draft.cart);
      leaveFlash(req, draft, sentence);
    });
    return;
  }
  requireDeliverableCookie(req);
  await changeAccountCart(req, carts, (cart) => edited(cart, edit(cart.lines)));
  await tell(req, sentence);
}

/** Changes the cart of a user's account, which must be there. */
export async function changeAccountCart(
  req: Request,
  carts: Carts,
  edit: (cart: AccountCart) => AccountCart,
): Promise<void> {
  const { account, accountCart } = req as { account: Account; accountCart: AccountCart };
  req.accountCart = await carts.change(account.id, accountCart, edit);
}

/**
 * Moves the guest's lines, which log-in left in the session, to the account's cart. Where it fails
 * half-way, the next request of the session goes on; nothing is added twice.
 */
export async function adoptGuestCart(req: Request, carts: Carts): Promise<void> {
  const { guest = '', cart: lines } = req.session;
  if (!req.account || Object.keys(lines).length === 0) return;
  let left = 0;
  await changeAccountCart(req, carts, (cart) => {
    const merged = merge(cart, guest, lines);
    // Added by an earlier request, which said so: the cart may have been changed since.
    left = merged === cart ? 0 : countItems(lines) - countItems(merged.merged[guest] ?? {});
    return merged;
  });
  await updateSession(req, (draft) => {
    draft.cart = {};
    const sentence = `${left} of its items did not fit: a cart holds ${MAX_QUANTITY} of a product.`;
    if (left > 0) leaveFlash(req, draft, `${draft.flash ?? ''} This device: ${sentence}`.trim());
  });
}
