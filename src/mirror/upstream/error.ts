import { OperatorError } from '../../errors.ts';
import type { RemoteErrorKind } from '../remote/error.ts';

/**
 * Why an upstream could not be followed, besides what a remote can do wrong: `rewritten`: its branches no longer lead to what was taken.
 * `unrelated`: it is another project. `marks`: what was imported and what is known of it don't fit. `archived`: nothing may be written
 * here. `incomplete`: it did not come whole.
 */
export type UpstreamErrorKind =
  RemoteErrorKind | 'rewritten' | 'unrelated' | 'marks' | 'archived' | 'incomplete';

/** An upstream that could not be followed; nothing was changed. */
export class UpstreamError extends OperatorError {
  override name = 'UpstreamError';
  readonly kind: UpstreamErrorKind;

  constructor(kind: UpstreamErrorKind, message: string, options: { next?: string } = {}) {
    super(message, { ...options, ...(kind === 'rewritten' && { exit: 'check' as const }) });
    this.kind = kind;
  }
}

/** What to do about a history that was rewritten. @param repository the name of the one that follows it */
export const afterRewrite = (repository: string): string =>
  `Ask its owners. To take the new history beside the old one: fossilrepo upstream accept ${repository}`;
