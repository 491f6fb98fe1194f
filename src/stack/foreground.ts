import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Config } from '../config/config.ts';
import type { Paths } from '../config/paths.ts';
import { OperatorError } from '../errors.ts';
import { caddyReload } from '../programs/caddy.ts';
import { readIfThere } from '../system/files.ts';
import type { Run } from '../system/run.ts';
import { type Part, type PartName, partNames } from './parts.ts';
import type { PartState, Supervisor } from './supervisor.ts';

const upRecord = z.object({
  pid: z.int(),
  parts: z.partialRecord(z.enum(partNames), z.object({ pid: z.int(), fingerprint: z.string() })),
});

/** What `fossilrepo up` last wrote of itself. */
export type UpRecord = z.output<typeof upRecord>;

/** Tells two ways of starting a part apart. */
export const fingerprint = (part: Part) => JSON.stringify([part.argv, part.env, part.credentials]);

/** What runs under `fossilrepo up`, or undefined when it doesn't run. */
export function readUp(paths: Pick<Paths, 'up'>): UpRecord | undefined {
  const text = readIfThere(paths.up);
  const read = text === undefined ? undefined : upRecord.safeParse(JSON.parse(text));
  return read?.success && isAlive(read.data.pid) ? read.data : undefined;
}

/** Parts as children of a `fossilrepo up`, which starts a part again, with today's arguments, whenever it ends. */
export function foregroundSupervisor(paths: Paths, config: Config, run: Run): Supervisor {
  return {
    kind: 'foreground',
    states: () => {
      const up = readUp(paths);
      const state = (part: PartName): PartState => (isAlive(up?.parts[part]?.pid) ? 'running' : 'stopped');
      return Promise.resolve(new Map(partNames.map((part) => [part, state(part)])));
    },
    act: async (part, action) => {
      const pid = readUp(paths)?.parts[part]?.pid;
      if (action === 'reload' && part === 'edge') {
        await run(caddyReload(config.programs.caddy, paths.caddyfile, paths.edgeSocket));
        return;
      }
      if (pid === undefined || action === 'start' || action === 'stop')
        throw new OperatorError(
          `${part} can't be ${action === 'stop' ? 'stopped' : 'started'} alone without systemd.`,
          {
            next: 'Start all with fossilrepo up, or end that with Ctrl-C.',
          },
        );
      process.kill(pid, 'SIGTERM');
      for (let waited = 0; waited < 20_000; waited += 100) {
        const now = readUp(paths)?.parts[part]?.pid;
        if (now !== undefined && now !== pid && isAlive(now)) return;
        await sleep(100);
      }
      throw new OperatorError(`${part} did not come back.`, { next: 'Read what fossilrepo up says of it.' });
    },
  };
}

function isAlive(pid: number | undefined): boolean {
  return pid !== undefined && existsSync(`/proc/${pid}`);
}
