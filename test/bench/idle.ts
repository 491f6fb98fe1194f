import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import prettyBytes from 'pretty-bytes';
import { type PartName, partNames } from '../../src/stack/parts.ts';
import type { TestForge } from '../real/forge.ts';
import { memoryOf as shareOf, processorTime } from '../real/processes.ts';
import type { Bench, Row } from './row.ts';

/** What one would run by hand for the same repositories. */
const bare: readonly PartName[] = ['repositories', 'replication', 'edge'];

/**
 * Memory and processor time of the four parts while nobody does anything; beside it the three programs among them. The sum of RSS counts a
 * page as often as there are processes that share it (Fossil's libraries, Node's program while a command runs); PSS counts it once.
 */
export async function idle({ quick }: Bench, forge: TestForge, repositories: number): Promise<Row[]> {
  // What just happened is not idleness.
  await sleep(quick ? 2_000 : 30_000);
  const span = quick ? 10_000 : 60_000;
  const before = new Map(partNames.map((part) => [part, processorTime(forge.pidOf(part))]));
  await sleep(span);
  const share = (parts: readonly PartName[]) =>
    parts.reduce((sum, part) => sum + processorTime(forge.pidOf(part)) - (before.get(part) ?? 0), 0) / span;
  const memory = (parts: readonly PartName[], kind: Kind) =>
    parts.reduce((sum, part) => sum + memoryOf(forge.pidOf(part), kind), 0);
  const proportional = (parts: readonly PartName[]) =>
    parts.reduce((sum, part) => sum + shareOf(forge.pidOf(part)), 0);
  const all = (parts: readonly PartName[]) =>
    [memory(parts, 'VmRSS'), proportional(parts), memory(parts, 'RssAnon')]
      .map((bytes) => prettyBytes(bytes))
      .join(' / ');
  const each = partNames.map((part) => `${part} ${prettyBytes(memory([part], 'VmRSS'))}`).join(', ');
  return [
    {
      name: `idle memory, ${repositories} repositories, RSS / PSS / anonymous of it`,
      ours: `${all(partNames)} (${each})`,
      instead: `Fossil, Litestream and Caddy alone: ${all(bare)}`,
      goal: repositories <= 10 ? '200 MB' : '',
      met: repositories <= 10 ? memory(partNames, 'VmRSS') <= 200e6 : null,
    },
    {
      name: `idle processor time, ${repositories} repositories, of one core over ${span / 1000} s`,
      ours: `${(share(partNames) * 100).toFixed(1)} %`,
      instead: `Fossil, Litestream and Caddy alone, the canary's visit included: ${(share(bare) * 100).toFixed(1)} %`,
      goal: '',
      met: null,
    },
  ];
}

/** Resident memory, and what of it is no file's content: only the latter cannot be dropped when memory is short (proc_pid_status(5)). */
type Kind = 'VmRSS' | 'RssAnon';

/** Bytes. */
function memoryOf(pid: number, kind: Kind): number {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`^${kind}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1024;
}
