import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestForge } from '../real/forge.ts';
import { cloneOf } from './clone.ts';
import { type Bench, percentile, type Row, time } from './row.ts';

/**
 * How long a name is closed while its repository is restored in its place under pushes, seen from outside: from the first request that
 * was answered 503 until the first that was not again.
 */
export async function closed(
  { quick, say }: Bench,
  forge: TestForge,
  name: string,
  what: string,
): Promise<Row[]> {
  using clone = await cloneOf(forge, name);
  const ended = new AbortController();
  const pushing = (async () => {
    while (!ended.signal.aborted) {
      await clone.commit();
      // One that meets the closed name is tried again with the next.
      await clone.push().catch(() => undefined);
      await sleep(100);
    }
  })();
  const times: number[] = [];
  try {
    for (let round = 0; round < (quick ? 1 : 7); round++) {
      const stop = new AbortController();
      const watching = watch(forge, name, stop.signal);
      await forge.json('restore', name, '--at', 'now', '--yes');
      stop.abort();
      times.push(await watching);
      say(`${name} was closed for ${time(times.at(-1) ?? 0)}`);
    }
  } finally {
    ended.abort();
    await pushing;
  }
  return [
    {
      name: `name closed during a restore, ${what}, under pushes, p50 / max`,
      ours: `${time(percentile(times, 50))} / ${time(Math.max(...times))}`,
      instead: '',
      goal: '',
      met: null,
    },
  ];
}

/** Asks every 5 ms. @returns for how long the answer was 503, in milliseconds @throws Error when it never was */
async function watch(forge: TestForge, name: string, stop: AbortSignal): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let first: number | undefined;
  let last = 0;
  try {
    while (!stop.aborted) {
      const status = await ask(agent, forge.ports.http, `${name}.localhost:${forge.ports.http}`);
      const now = performance.now();
      if (status === 503) first ??= now;
      else if (first !== undefined && last < first) last = now;
      await sleep(5);
    }
  } finally {
    agent.destroy();
  }
  if (first === undefined || last < first) throw new Error(`${name} was not seen closed and open again`);
  return last - first;
}

const ask = (agent: Agent, port: number, host: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const asked = request(
      { agent, host: '127.0.0.1', port, path: '/style.css', headers: { host } },
      (answer) => {
        answer.resume();
        answer.on('end', () => resolve(answer.statusCode ?? 0));
      },
    );
    asked.on('error', reject);
    asked.end();
  });
