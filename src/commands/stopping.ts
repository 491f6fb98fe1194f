/** Aborted by whoever ends this process: nothing that it started lives on. */
export function stopping(): AbortSignal {
  const ended = new AbortController();
  // The listeners stay: see serve.ts.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => ended.abort());
  return ended.signal;
}
