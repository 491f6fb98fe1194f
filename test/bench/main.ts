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
import { create, created } from './create.ts';
import { firstPage } from './first-page.ts';
import { idle } from './idle.ts';
import { list } from './list.ts';
import { fillUpTo } from './many.ts';
import { page } from './page.ts';
import { push } from './push.ts';
import { type Bench, leftOut, type Row, showRows } from './row.ts';
import { version } from './version.ts';

// npm run bench [-- --quick] [--json] [--only WORD]: measures, some 15 minutes without --quick, and prints one table.
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

/** One item; that it fails is said in its row, and doesn't keep the others from being measured. */
async function measure(name: string, work: () => Promise<Row[]>): Promise<void> {
  if (!name.includes(values.only)) return;
  say(name);
  rows.push(...(await work().catch((error: unknown) => [failed(name, error)])));
}

const failed = (name: string, error: unknown): Row => ({
  ...leftOut(name, '', `failed: ${messageOf(error).split('\n').slice(0, 2).join(' ').slice(0, 160)}`),
  met: false,
});

async function inDirectory(): Promise<void> {
  await using forge = await startForge();
  const many = bench.quick ? 30 : 500;
  await forge.json('repo', 'create', 'bench', '--visibility', 'public');
  await measure('repo create', () => create(bench, forge));
  await measure('page', () => page(bench, forge, 'bench'));
  const stored = join(forge.root, 'var/backups/fossilrepo');
  await measure('push directory', () => push(bench, forge, 'bench', { kind: 'directory', stored }));
  await measure('idle few', () => idle(bench, forge, created(bench.quick).length + 1));
  if (!['repo list', 'idle many'].some((name) => name.includes(values.only))) return;
  say(`making ${many} repositories`);
  await fillUpTo(forge, many);
  await measure('repo list', () => list(bench, forge));
  await measure('idle many', () => idle(bench, forge, many));
}

async function inS3(): Promise<void> {
  await using s3 = await startS3();
  await using forge = await startForge({ s3 });
  await forge.json('repo', 'create', 'bench', '--visibility', 'public');
  await measure('push S3', () => push(bench, forge, 'bench', { kind: 'S3', stored: s3.folder }));
}

async function machine(): Promise<string> {
  const programs = await checkPrograms(parseConfig('', pathsUnder('/')), run);
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
if (
  ['repo create', 'page', 'push directory', 'idle few', 'repo list', 'idle many'].some((name) =>
    name.includes(values.only),
  )
)
  await inDirectory().catch((error: unknown) => rows.push(failed('the forge with a directory', error)));
if ('push S3'.includes(values.only))
  await inS3().catch((error: unknown) => rows.push(failed('the forge with S3', error)));
await measure('first page', () => firstPage(bench));
process.stdout.write(
  values.json ? `${JSON.stringify({ about, rows }, null, 2)}\n` : `${about}\n\n${showRows(rows)}\n`,
);
if (rows.some(({ met }) => met === false)) process.exitCode = 4;
