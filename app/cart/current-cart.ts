import type { Request } from 'express';
import { leaveFlash, leaveFlashInDraft } from '../http/flash.ts';
import {
  canUpdateSession,
  requireDeliverableCookie,
  type SessionDraft,
  updateSession,
} from '../session/index.ts';
import { type AccountCart, type Carts, merge, withLines } from './account-carts.ts';
import { type Cart, countItems, MAX_QUANTITY, removedLines } from './cart.ts';

type OwnedCart = { accountId: string; cart: AccountCart };

declare module 'express-serve-static-core' {
  interface Request {
    /** The cart of the account that is logged in. A guest's cart is in the session. */
    accountCart?: OwnedCart;
  }
}

export const currentCart = (req: Request): Cart =>
  req.accountCart?.cart.lines ?? req.session.cart ?? {};

export const currentItemCount = (req: Request): number => countItems(currentCart(req));

/** Only behind `requireUser`. */
export const accountCartOf = (req: Request) => req.accountCart as OwnedCart;

export const addedAtLogIn = (req: Request): number =>
  countItems(req.accountCart?.cart.merged[req.session.guest ?? ''] ?? {});

/**
 * Changes the visitor's cart, and leaves `sentence` as a flash. If `edit` throws, nothing changes. If lines
 * are removed, the cart page says so and offers to undo it.
 */
export async function changeCart(
  req: Request,
  carts: Carts,
  sentence: string,
  edit: (cart: Cart) => Cart,
): Promise<void> {
  if (!req.accountCart) {
    await updateSession(req, (draft) => {
      const before = draft.cart ?? {};
      draft.cart = edit(before);
      noteRemoved(draft, before, draft.cart);
      leaveFlashInDraft(req, draft, sentence);
    });
    return;
  }
  requireDeliverableCookie(req);
  let before: Cart = {};
  await changeAccountCart(req, carts, (cart) => {
    before = cart.lines;
    return withLines(cart, edit(before));
  });
  await leaveFlash(req, sentence, (draft) => noteRemoved(draft, before, currentCart(req)));
}

/** A change that changed nothing, such as the second of a double click, leaves the note as it is. */
function noteRemoved(draft: SessionDraft, before: Cart, after: Cart): void {
  const removed = removedLines(before, after);
  if (countItems(removed) > 0) draft.removed = removed;
  else if (countItems(after) !== countItems(before)) delete draft.removed;
}

/** Only behind `requireUser`. */
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
 * halfway, the next request of the session continues. Nothing is added twice.
 */
export async function adoptGuestCart(req: Request, carts: Carts): Promise<void> {
  const { guest = '', cart: lines = {} } = req.session;
  if (!req.accountCart || Object.keys(lines).length === 0 || !canUpdateSession(req)) return;
  let didNotFit = 0;
  await changeAccountCart(req, carts, (cart) => {
    const merged = merge(cart, guest, lines);
    // If an earlier request added the lines, it also left the flash.
    const isFirst = merged !== cart;
    didNotFit = isFirst ? countItems(lines) - countItems(merged.merged[guest] ?? {}) : 0;
    return merged;
  });
  await updateSession(req, (draft) => {
    delete draft.cart;
    if (didNotFit === 0) return;
    const items = didNotFit === 1 ? '1 item' : `${didNotFit} items`;
    const limit = `a cart holds at most ${MAX_QUANTITY} of each product`;
    const sentence = `${items} from this device did not fit: ${limit}.`;
    leaveFlashInDraft(req, draft, `${draft.flash ?? ''} ${sentence}`.trim());
  });
}
