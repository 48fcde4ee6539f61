import type { Request } from 'express';
import {
  canUpdateSession,
  isNew,
  type SessionDraft,
  SessionGone,
  TooManyConflicts,
  updateSession,
} from '../session/index.ts';

// A flash is a sentence that a form leaves for the page it redirects to. Programs neither leave nor
// take one: they read the outcome in the answer.

/**
 * Leaves a sentence, in a write of its own. For use after a change to a document: a session that has
 * ended, or that is too busy, does not undo that change.
 */
export async function leaveFlash(req: Request, sentence: string): Promise<void> {
  if (req.wantsJson) return;
  await updateSession(req, (draft) => leaveFlashInDraft(req, draft, sentence)).catch(
    (error: unknown) => {
      if (!(error instanceof SessionGone || error instanceof TooManyConflicts)) throw error;
    },
  );
}

/** Leaves a sentence as part of a change to the session. */
export function leaveFlashInDraft(req: Request, draft: SessionDraft, sentence: string): void {
  if (req.wantsJson) return;
  // A new session may begin with a sentence that nobody has read yet: that the old one is gone.
  const unread = isNew(req.session) && draft.flash ? `${draft.flash} ` : '';
  draft.flash = unread + sentence;
}

/** Takes the sentence, in a write of its own. Without a sentence there is no write. */
export async function takeFlash(req: Request): Promise<string | undefined> {
  if (!req.session?.flash || req.method === 'HEAD' || !canUpdateSession(req)) return undefined;
  return updateSession(req, (draft) => takeFlashFromDraft(req, draft));
}

/** Takes the sentence as part of a change to the session. */
export function takeFlashFromDraft(req: Request, draft: SessionDraft): string | undefined {
  if (req.wantsJson) return undefined;
  const { flash } = draft;
  delete draft.flash;
  return flash;
}
