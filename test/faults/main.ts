import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import prettyBytes from 'pretty-bytes';
import { parseConfig } from '../../src/config/config.ts';
import { pathsUnder, programHome } from '../../src/config/paths.ts';
import { checkPrograms } from '../../src/inspect/programs.ts';
import { run } from '../../src/system/run.ts';
import { pageWith, readRecord, writeRecord } from './page.ts';
import { recordRun, type Recorded, resultsSchema } from './record.ts';

// npm run faults [-- --tries N] [--seed N] [--only WORDS] [--add] [--print] [--results FOLDER]: tries each fault so often, 20 times when left
// out, or those whose names have the words, and writes their rows into docs/reliability.md; the others' stay. --add counts the tries to those
// that are there; --print writes nothing and shows the page as it would be with the run's rows alone. What each file of faults came to is kept in
// --results, and so is what is there from a former run. Exit code 1 when one failed.

const { values } = parseArgs({
  options: {
    tries: { type: 'string', default: process.env['FAULT_TRIES'] ?? '20' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    only: { type: 'string', default: '' },
    add: { type: 'boolean', default: false },
    print: { type: 'boolean', default: false },
    results: { type: 'string' },
  },
});
const results = values.results ?? mkdtempSync(join(tmpdir(), 'faults-'));
const { status } = spawnSync(
  process.execPath,
  [
    join(programHome, 'node_modules/vitest/vitest.mjs'),
    'run',
    '--project',
    'faults',
    '--testNamePattern',
    values.only,
  ],
  {
    cwd: programHome,
    stdio: 'inherit',
    env: {
      ...process.env,
      FAULT_TRIES: values.tries,
      FAULT_SEED: values.seed,
      FAULT_RESULTS: results,
    },
  },
);
const found = readdirSync(results)
  .sort()
  .map((name) => resultsSchema.parse(JSON.parse(readFileSync(join(results, name), 'utf8'))));
if (values.results === undefined) rmSync(results, { recursive: true });

const programs = await checkPrograms(parseConfig('', pathsUnder('/')), run, { kind: 'foreground' });
const about = [
  ...programs.map(({ message }) => message.replace(/^.*\//, '').replace(' is version ', ' ')),
  `Node ${process.versions.node}`,
  `${cpus().length} × ${cpus()[0]?.model ?? 'processor'}, ${prettyBytes(totalmem())}`,
].join(', ');
const known = readRecord();
// A file that could not be read to the end says nothing of its faults.
const suite = [
  ...found.flatMap(({ faults }) => faults),
  ...(status === 0 ? [] : known.map(({ fault }) => fault)),
];
const tried = found.flatMap(({ day, seed, rows }) =>
  rows.map((row): Recorded => ({ ...row, runs: [{ day, seed, about }] })),
);
if (values.print) process.stdout.write(pageWith(tried));
else {
  const rows = recordRun(known, suite, tried, values);
  writeRecord(rows);
  const kept = tried.filter((row) => !values.add && !rows.includes(row));
  for (const { fault, tries } of kept)
    process.stderr.write(`docs/reliability.md keeps its row of more tries than these ${tries}: ${fault}\n`);
}
process.exitCode = status === 0 ? 0 : 1;
