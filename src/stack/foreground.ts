import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Config } from '../config/config.ts';
import type { Paths } from '../config/paths.ts';
import { OperatorError } from '../errors.ts';
import { caddyReload } from '../programs/caddy.ts';
import { readIfThere } from '../system/files.ts';
import type { Run } from '../system/run.ts';
import { type Part, type PartName, partNames, stackOf } from './parts.ts';
import type { PartState, Supervisor } from './supervisor.ts';
import { hasStorageKeys } from '../secrets/load.ts';

const upRecord = z.object({
  pid: z.int(),
  /** With the process's number it names one process: numbers are used again. */
  started: z.string(),
  parts: z.partialRecord(z.enum(partNames), z.object({ pid: z.int(), fingerprint: z.string() })),
});

/** What `fossilrepo up` last wrote of itself. */
export type UpRecord = z.output<typeof upRecord>;

/** Tells two ways of starting a part apart, its secrets' content included. */
export function fingerprint(part: Part, paths: Pick<Paths, 'secrets'>): string {
  const hash = createHash('sha256').update(JSON.stringify([part.argv, part.env]));
  for (const name of part.credentials) hash.update(`${name} ${readIfThere(join(paths.secrets, name)) ?? ''}`);
  return hash.digest('hex');
}

/** What runs under `fossilrepo up`, or undefined when it doesn't run. */
export function readUp(paths: Pick<Paths, 'up'>): UpRecord | undefined {
  const text = readIfThere(paths.up);
  const read = text === undefined ? undefined : upRecord.safeParse(JSON.parse(text));
  return read?.success && startOf(read.data.pid) === read.data.started ? read.data : undefined;
}

/** Parts as children of a `fossilrepo up`, which starts a part again, with today's arguments, whenever it ends. */
export function foregroundSupervisor(paths: Paths, config: Config, run: Run): Supervisor {
  return {
    kind: 'foreground',
    states: () => {
      const up = readUp(paths);
      const stack = stackOf(config, paths, hasStorageKeys(paths));
      const state = (name: PartName): PartState => {
        const part = up?.parts[name];
        if (!isAlive(part?.pid)) return 'stopped';
        return part.fingerprint === fingerprint(stack[name], paths) ? 'running' : 'outdated';
      };
      return Promise.resolve(new Map(partNames.map((part) => [part, state(part)])));
    },
    // `fossilrepo up` does itself what units do with systemd.
    atRest: () => Promise.resolve(new Set()),
    processes: () => {
      const running = Object.entries(readUp(paths)?.parts ?? {});
      return Promise.resolve(new Map(running.map(([name, { pid }]) => [name as PartName, pid])));
    },
    act: async (part, action) => {
      const up = readUp(paths);
      const pid = up?.parts[part]?.pid;
      if (action === 'reload' && part === 'edge') {
        await run(caddyReload(config.programs.caddy, paths.caddyfile, paths.edgeSocket));
        return;
      }
      if (up === undefined || action === 'stop')
        throw new OperatorError(
          `${part} can't be ${action === 'stop' ? 'stopped' : 'started'} alone without systemd.`,
          {
            next: 'Start all with fossilrepo up, or end that with Ctrl-C.',
          },
        );
      // One that has ended is started again by up within a second, with what is written now.
      if (isAlive(pid)) process.kill(pid, 'SIGTERM');
      for (let waited = 0; waited < 2 * patience; waited += 100) {
        const now = readUp(paths)?.parts[part]?.pid;
        if (now !== undefined && now !== pid && isAlive(now)) return;
        // As systemd does. Litestream waits 5 s for its storage, for one database after the other (Store.Close in its store.go).
        if (waited === patience && now === pid && isAlive(now)) process.kill(now, 'SIGKILL');
        await sleep(100);
      }
      throw new OperatorError(`${part} did not come back.`, { next: 'Read what fossilrepo up says of it.' });
    },
  };
}

/** How long a part may take to end by itself. Milliseconds. */
const patience = 10_000;

const isAlive = (pid: number | undefined): pid is number => pid !== undefined && startOf(pid) !== '';

/** When a process was started, in the kernel's ticks since boot (field 22 of proc_pid_stat(5)); empty when it has ended. */
export function startOf(pid: number): string {
  const stat = readIfThere(`/proc/${pid}/stat`) ?? '';
  // The program's name, in brackets, may hold anything.
  const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return state === 'Z' || state === 'X' ? '' : (fields[18] ?? '');
}
