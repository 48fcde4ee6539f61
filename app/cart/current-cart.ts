import type { Request } from 'express';
import { leaveFlash } from '../flash.ts';
import { updateSession } from '../session/session.ts';
import { SessionGone } from '../session/session-errors.ts';
import { sessionHandle } from '../session/session-id.ts';
import { wantsJson } from '../wants-json.ts';
import { type Cart, countItems, MAX_QUANTITY } from './cart.ts';
import { type Carts, merge } from './carts.ts';

/** The cart of whoever asks: a user's is the account's, a guest's is in the session. */
export const currentCart = (req: Request): Cart => req.accountCart?.lines ?? req.session.cart;

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
  req.accountCart = await carts.change(req.account.id, req.accountCart, (cart) => ({
    ...cart,
    lines: edit(cart.lines),
  }));
  await tell(req, sentence);
}

/** Leaves a sentence for the next page of a user, whose cart was changed; the Undo is over. */
export async function tell(req: Request, sentence: string): Promise<void> {
  if (wantsJson(req) && req.session.merged === undefined) return;
  try {
    await updateSession(req, (draft) => {
      delete draft.merged;
      leaveFlash(req, draft, sentence);
    });
  } catch (error) {
    // Logged out meanwhile: the cart is changed all the same, and there is nobody to tell.
    if (!(error instanceof SessionGone)) throw error;
  }
}

/**
 * Moves the guest's lines, which log-in left in the session, to the account's cart. Where it fails
 * half-way, the next request of the session goes on; nothing is added twice.
 */
export async function adoptGuestCart(req: Request, carts: Carts): Promise<void> {
  const guest = req.session.cart;
  if (!req.account || Object.keys(guest).length === 0) return;
  const handle = sessionHandle(req.sessionID);
  req.accountCart = await carts.change(req.account.id, req.accountCart, (cart) =>
    merge(cart, handle, guest),
  );
  const added = countItems(req.accountCart.merged[handle] ?? {});
  const left = countItems(guest) - added;
  await updateSession(req, (draft) => {
    draft.cart = {};
    draft.merged =
      `${items(added)} from this device ${added === 1 ? 'was' : 'were'} added to your cart.` +
      (left > 0 ? ` ${items(left)} did not fit: it holds ${MAX_QUANTITY} of one product.` : '');
  });
}

const items = (count: number) => `${count} ${count === 1 ? 'item' : 'items'}`;
