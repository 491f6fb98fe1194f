import { setTimeout as sleep } from 'node:timers/promises';
import prettyBytes from 'pretty-bytes';
import { configSchema } from '../../src/config/schema.ts';
import type { TestForge } from '../real/forge.ts';
import { memoryOf, processorTime } from '../real/processes.ts';
import type { CountedS3 } from './asked.ts';
import type { Bench, Row } from './row.ts';

/** What a service asks its storage for is paid for by the request; Litestream's defaults asked 240 times a second with 1,000 databases. */
const goal = 2;

/**
 * What the storage is asked while nobody does anything, over one whole `replica.step`: Litestream goes through all databases once in it.
 * With it what Litestream takes for a repository.
 */
export async function requests(
  { quick, say }: Bench,
  forge: TestForge,
  s3: CountedS3,
  repositories: number,
): Promise<Row[]> {
  const { step } = configSchema.parse({}).replica;
  const span = quick ? 30_000 : step;
  // What was just made is merged once; steps are counted from the epoch.
  if (!quick) await sleep(step - (Date.now() % step) + 60_000);
  const pid = forge.pidOf('replication');
  const busy = processorTime(pid);
  s3.taken();
  await sleep(span);
  const taken = [...s3.taken()].sort(([, one], [, other]) => other - one);
  say(taken.map(([kind, times]) => `${kind}: ${times}`).join(', '));
  const rate = (...words: string[]) =>
    taken
      .filter(([kind]) => words.every((word) => kind.split(' ').includes(word)))
      .reduce((sum, [, times]) => sum + times, 0) /
    (span / 1000);
  const lists = rate('LIST');
  const each = (who: string) =>
    ['LIST', 'GET', 'PUT'].map((method) => `${rate(who, method).toFixed(2)} ${method}`).join(', ');
  return [
    {
      name: `idle requests to the storage a second, ${repositories} repositories, over ${span / 1000} s`,
      ours: `Litestream ${each('litestream')}; management ${each('management')}`,
      instead: `Litestream's limit, one LIST a database and step: ${((repositories + 2) / (step / 1000)).toFixed(2)}`,
      goal: `${goal} LIST`,
      met: lists < goal,
    },
    {
      name: `replication, ${repositories} repositories, idle: memory (PSS) and processor time of one core, for each`,
      ours: `${prettyBytes(memoryOf(pid) / repositories)}, ${((100 * (processorTime(pid) - busy)) / span / repositories).toFixed(3)} %`,
      instead: '',
      goal: '',
      met: null,
    },
  ];
}
