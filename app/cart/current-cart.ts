import type { Request } from 'express';
import { leaveFlash, leaveFlashInDraft } from '../http/flash.ts';
import { requireDeliverableCookie, updateSession } from '../session/index.ts';
import { type AccountCart, type Carts, edited, merge } from './account-carts.ts';
import { type Cart, countItems, MAX_QUANTITY } from './cart.ts';

type OwnedCart = { accountId: string; cart: AccountCart };

declare module 'express-serve-static-core' {
  interface Request {
    /** The cart of the account that is logged in. A guest has none here: it is in the session. */
    accountCart?: OwnedCart;
  }
}

/** The cart of the visitor: a user's is the account's, a guest's is in the session. */
export const currentCart = (req: Request): Cart => req.accountCart?.cart.lines ?? req.session.cart;

/** How many items that cart holds. */
export const itemCount = (req: Request): number => countItems(currentCart(req));

/** The account's cart. Behind `requireUser` there is one. */
export const accountCartOf = (req: Request) => req.accountCart as OwnedCart;

/** How many items this session's guest added to the account's cart. They can be taken out again. */
export const addedAtLogIn = (req: Request): number =>
  countItems(req.accountCart?.cart.merged[req.session.guest ?? ''] ?? {});

/**
 * Changes the visitor's cart, and leaves `sentence` for the next page. When it returns, the change is
 * stored.
 * @throws what `updateSession` throws, and what `edit` throws: then nothing is changed
 */
export async function changeCart(
  req: Request,
  carts: Carts,
  sentence: string,
  edit: (cart: Cart) => Cart,
): Promise<void> {
  if (!req.accountCart) {
    await updateSession(req, (draft) => {
      draft.cart = edit(draft.cart);
      leaveFlashInDraft(req, draft, sentence);
    });
    return;
  }
  requireDeliverableCookie(req);
  await changeAccountCart(req, carts, (cart) => edited(cart, edit(cart.lines)));
  await leaveFlash(req, sentence);
}

/** Changes the account's cart. Someone must be logged in. */
export async function changeAccountCart(
  req: Request,
  carts: Carts,
  edit: (cart: AccountCart) => AccountCart,
): Promise<void> {
  const { accountId, cart } = accountCartOf(req);
  req.accountCart = { accountId, cart: await carts.change(accountId, cart, edit) };
}

/**
 * Moves the guest's lines, which log-in left in the session, to the account's cart. If it fails
 * halfway, the session's next request continues it. Nothing is added twice.
 */
export async function adoptGuestCart(req: Request, carts: Carts): Promise<void> {
  const { guest = '', cart: lines } = req.session;
  if (!req.accountCart || Object.keys(lines).length === 0) return;
  let left = 0;
  await changeAccountCart(req, carts, (cart) => {
    const merged = merge(cart, guest, lines);
    // An earlier request added them and said so: the cart may have been changed since.
    left = merged === cart ? 0 : countItems(lines) - countItems(merged.merged[guest] ?? {});
    return merged;
  });
  await updateSession(req, (draft) => {
    draft.cart = {};
    const sentence = `${left} of its items did not fit: a cart holds ${MAX_QUANTITY} of a product.`;
    if (left > 0)
      leaveFlashInDraft(req, draft, `${draft.flash ?? ''} This device: ${sentence}`.trim());
  });
}
