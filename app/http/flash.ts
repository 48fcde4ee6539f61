import type { Request } from 'express';
import {
  canUpdateSession,
  isNew,
  type SessionDraft,
  SessionGone,
  TooManyConflicts,
  updateSession,
} from '../session/index.ts';

// A flash is a sentence that a form leaves for the page it redirects to. pages.ts takes it, or
// shop-handlers.ts as it counts the view, and views/_head.ejs shows it. Programs do not use it.

/**
 * For use after a change to a document. That change stands even if the session has ended or is
 * busy.
 */
export async function leaveFlash(
  req: Request,
  sentence: string,
  alsoChange: (draft: SessionDraft) => void = () => {},
): Promise<void> {
  if (req.wantsJson) return;
  try {
    await updateSession(req, (draft) => {
      alsoChange(draft);
      leaveFlashInDraft(req, draft, sentence);
    });
  } catch (error) {
    if (!(error instanceof SessionGone || error instanceof TooManyConflicts)) throw error;
  }
}

export function leaveFlashInDraft(req: Request, draft: SessionDraft, sentence: string): void {
  if (req.wantsJson || sentence === '') return;
  // A new session may start with a flash, which says that the last session has ended.
  const unread = isNew(req.session) && draft.flash ? `${draft.flash} ` : '';
  draft.flash = unread + sentence;
}

export async function takeFlash(req: Request): Promise<string | undefined> {
  if (!req.session?.flash || req.method === 'HEAD' || !canUpdateSession(req)) return undefined;
  return updateSession(req, (draft) => takeFlashFromDraft(req, draft));
}

export function takeFlashFromDraft(req: Request, draft: SessionDraft): string | undefined {
  if (req.wantsJson) return undefined;
  const { flash } = draft;
  delete draft.flash;
  return flash;
}
