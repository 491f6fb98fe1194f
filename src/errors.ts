/**
 * What the process answers to the shell. 0 done · 1 failed · 2 wrong usage · 3 configuration invalid ·
 * 4 a check failed · 5 busy · 6 partly done · 130 cancelled.
 */
export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  configuration: 3,
  check: 4,
  busy: 5,
  partly: 6,
  cancelled: 130,
} as const;

export type ExitCause = Exclude<keyof typeof exitCodes, 'done'>;

/** Something that the operator can mend: what happened, what to do next, and the exit code that says which kind it is. */
export class OperatorError extends Error {
  override name = 'OperatorError';
  readonly next: string | undefined;
  readonly exit: ExitCause;

  /**
   * @param message what happened, one sentence, with the value that was wrong
   * @param options.next what to do now, one sentence
   */
  constructor(message: string, options: { next?: string; exit?: ExitCause; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.next = options.next;
    this.exit = options.exit ?? 'failed';
  }
}

/** Whether somebody else is at work on it. */
export const isBusy = (error: unknown): boolean => error instanceof OperatorError && error.exit === 'busy';

/** The first line that a person needs of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Node's error code (`ENOENT`, `EEXIST` …), or undefined. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
