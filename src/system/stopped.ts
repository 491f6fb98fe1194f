/** Whether somebody ended the work. A deadline (`AbortSignal.timeout`) is not somebody: what took too long has failed. */
export const isStopped = (signal: AbortSignal | undefined): boolean =>
  signal?.aborted === true &&
  !(signal.reason instanceof DOMException && signal.reason.name === 'TimeoutError');
