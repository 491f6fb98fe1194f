import { cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import prettyBytes from 'pretty-bytes';
import { pathsUnder } from '../../src/config/paths.ts';
import { parseConfig } from '../../src/config/config.ts';
import { messageOf } from '../../src/errors.ts';
import { checkPrograms } from '../../src/inspect/programs.ts';
import { run } from '../../src/system/run.ts';
import { ownVersion } from '../../src/system/version.ts';
import { startForge } from '../real/forge.ts';
import { startS3 } from '../real/s3.ts';
import { counted } from './asked.ts';
import { bringAllBack } from './bring-back.ts';
import { closed } from './closed.ts';
import { create, created } from './create.ts';
import { firstPage } from './first-page.ts';
import { idle } from './idle.ts';
import { list } from './list.ts';
import { fillUpTo } from './many.ts';
import { mirror } from './mirror.ts';
import { page } from './page.ts';
import { push } from './push.ts';
import { requests } from './requests.ts';
import { makeLarge, ofSize, restoreOne } from './restore.ts';
import { type Bench, leftOut, type Row, showRows } from './row.ts';
import { version } from './version.ts';

// npm run bench [-- --quick] [--json] [--only WORD]: measures, over an hour without --quick, and prints one table.
// Exit code 4 when a goal is missed.

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
  },
});
const say = (text: string) => void process.stderr.write(`bench: ${text}\n`);
const bench: Bench = { quick: values.quick, say };
const rows: Row[] = [];

const asked = (item: string) => item.includes(values.only);

/** One item; that it fails is said in its row, and doesn't keep the others from being measured. */
async function measure(name: string, work: () => Promise<Row[]>): Promise<void> {
  if (!asked(name)) return;
  say(name);
  rows.push(...(await work().catch((error: unknown) => [failed(name, error)])));
}

const failed = (name: string, error: unknown): Row => ({
  ...leftOut(name, '', `failed: ${messageOf(error).split('\n').slice(0, 2).join(' ').slice(0, 160)}`),
  met: false,
});

async function inDirectory(): Promise<void> {
  await using forge = await startForge();
  const [some, many, most] = bench.quick ? [15, 30, 40] : [100, 500, 1_000];
  await forge.json('repo', 'create', 'bench', '--visibility', 'public');
  const stored = join(forge.root, 'var/backups/fossilrepo');
  const pushes = (item: string, count: number) =>
    measure(item, async () => {
      await fillUpTo(forge, count);
      return push(bench, forge, 'bench', { kind: 'directory', stored }, count);
    });
  await pushes('push directory', 1);
  await measure('repo create', () => create(bench, forge));
  await measure('page', () => page(bench, forge, 'bench'));
  await measure('idle few', async () => {
    const few = created(bench.quick).length + 1;
    await fillUpTo(forge, few);
    return idle(bench, forge, few);
  });
  await pushes('push directory some', some);
  if (['repo list', 'idle many'].some(asked)) {
    say(`making ${many} repositories`);
    await fillUpTo(forge, many);
  }
  await measure('repo list', () => list(bench, forge));
  await measure('idle many', () => idle(bench, forge, many));
  await pushes('push directory most', most);
}

async function restored(): Promise<void> {
  await using forge = await startForge();
  const stored = join(forge.root, 'var/backups/fossilrepo');
  await forge.json('repo', 'create', 'small', '--visibility', 'public');
  const large = bench.quick ? [5] : [50, 500];
  await measure('closed small', () => closed(bench, forge, 'small', '250 kB'));
  for (const megabytes of large)
    await measure(`restore ${megabytes}`, () => restoreOne(bench, forge, stored, megabytes));
  const [first = 0] = large;
  await measure('closed large', async () => {
    if (!asked(`restore ${first}`)) await makeLarge(forge, ofSize(first), first);
    return closed(bench, forge, ofSize(first), `${first} MB`);
  });
}

async function inS3(): Promise<void> {
  await using storage = await startS3();
  await using s3 = await counted(storage);
  await using forge = await startForge({ s3 });
  const [some, most] = bench.quick ? [15, 40] : [100, 1_000];
  await forge.json('repo', 'create', 'bench', '--visibility', 'public');
  const pushes = (item: string, count: number) =>
    measure(item, async () => {
      await fillUpTo(forge, count);
      return push(bench, forge, 'bench', { kind: 'S3', stored: s3.folder }, count);
    });
  await pushes('push S3', 1);
  await pushes('push S3 some', some);
  await pushes('push S3 most', most);
  await measure('requests S3', async () => {
    await fillUpTo(forge, most);
    return requests(bench, forge, s3, most);
  });
}

async function machine(): Promise<string> {
  const programs = await checkPrograms(parseConfig('', pathsUnder('/')), run, { kind: 'foreground' });
  return [
    `${new Date().toISOString().slice(0, 16)}Z, fossilrepo ${ownVersion}, Node ${process.versions.node}`,
    ...programs.map(({ message }) => message.replace(/^.*\//, '')),
    `${cpus().length} × ${cpus()[0]?.model ?? 'processor'}, ${prettyBytes(totalmem())}, load ${loadavg()
      .map((load) => load.toFixed(1))
      .join(' ')} at the start`,
  ].join('; ');
}

const about = await machine();
await measure('version', () => version(bench));
const withDirectory = ['repo create', 'page', 'idle few', 'repo list', 'idle many'];
const pushed = (kind: string) => ['', ' some', ' most'].map((count) => `push ${kind}${count}`);
if ([...withDirectory, ...pushed('directory')].some(asked))
  await inDirectory().catch((error: unknown) => rows.push(failed('the forge with a directory', error)));
if ([...pushed('S3'), 'requests S3'].some(asked))
  await inS3().catch((error: unknown) => rows.push(failed('the forge with S3', error)));
if (['closed small', 'closed large', 'restore 5', 'restore 50', 'restore 500'].some(asked))
  await restored().catch((error: unknown) => rows.push(failed('the forge with large repositories', error)));
await measure('mirror', () => mirror(bench));
await measure('bring back', () => bringAllBack(bench));
await measure('first page', () => firstPage(bench));
process.stdout.write(
  values.json ? `${JSON.stringify({ about, rows }, null, 2)}\n` : `${about}\n\n${showRows(rows)}\n`,
);
if (rows.some(({ met }) => met === false)) process.exitCode = 4;
