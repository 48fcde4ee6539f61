import type { SessionDraft } from '../session/session-data.ts';

/** One more look at the shop. */
export function countView(draft: SessionDraft): void {
  draft.views += 1;
}
