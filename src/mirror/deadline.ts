import ms from 'ms';
import { RemoteError } from './remote/error.ts';

/** Aborts a run, with all that it has started, when its time is over. What was not done then has failed. @param time milliseconds */
export function deadlineIn(time: number): AbortSignal {
  const ended = new AbortController();
  const late = () =>
    ended.abort(
      new RemoteError(
        'timeout',
        `It was ended at its deadline of ${ms(time)}. Run fossilrepo sync again: it goes on from what is there; with --deadline it may take longer.`,
      ),
    );
  setTimeout(late, time).unref();
  return ended.signal;
}

const isLate = (signal: AbortSignal | undefined): boolean => signal?.reason instanceof RemoteError;

/** Whether somebody ended the work. A deadline is not somebody: what took too long has failed. */
export const isStopped = (signal: AbortSignal | undefined): boolean =>
  signal?.aborted === true && !isLate(signal);

/** Why work failed: of what a deadline ended, that it did, and not how git took it. */
export const causeOf = (error: unknown, signal: AbortSignal | undefined): unknown =>
  isLate(signal) ? signal?.reason : error;
