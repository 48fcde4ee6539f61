import type { Request } from 'express';
import { wantsJson } from './respond.ts';
import type { SessionDraft } from './session/session-data.ts';

// A flash is a sentence that a form leaves for the page it redirects to. Programs neither leave nor
// take one: they read the outcome in the answer.

export function leaveFlash(req: Request, draft: SessionDraft, sentence: string): void {
  if (!wantsJson(req)) draft.flash = sentence;
}

/** @returns the sentence, once */
export function takeFlash(req: Request, draft: SessionDraft): string | undefined {
  if (wantsJson(req)) return undefined;
  const { flash } = draft;
  delete draft.flash;
  return flash;
}
