import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import prettyBytes from 'pretty-bytes';
import { parseConfig } from '../../src/config/config.ts';
import { pathsUnder, programHome } from '../../src/config/paths.ts';
import { checkPrograms } from '../../src/inspect/programs.ts';
import { run } from '../../src/system/run.ts';
import type { Row } from './fault.ts';
import { renderPage } from './table.ts';

// npm run faults [-- --tries N] [--seed N] [--only WORDS] [--print] [--results FOLDER]: tries each fault so often, 20 times when left out, and writes
// docs/reliability.md; --print shows it instead, and so does --only, since the file has all of them. What each file of faults came to is
// kept in --results, and so is what is there from a former run. Exit code 1 when one failed.

const { values } = parseArgs({
  options: {
    tries: { type: 'string', default: process.env['FAULT_TRIES'] ?? '20' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    only: { type: 'string', default: '' },
    print: { type: 'boolean', default: false },
    results: { type: 'string' },
  },
});
const results = values.results ?? mkdtempSync(join(tmpdir(), 'faults-'));
const started = performance.now();
const day = new Date().toISOString().slice(0, 10);
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
const rows = readdirSync(results)
  .sort()
  .flatMap((name) => JSON.parse(readFileSync(join(results, name), 'utf8')) as Row[]);
if (values.results === undefined) rmSync(results, { recursive: true });

const programs = await checkPrograms(parseConfig('', pathsUnder('/')), run);
const about = [
  ...programs.map(({ message }) => message.replace(/^.*\//, '')),
  `Node ${process.versions.node}`,
  `${cpus().length} × ${cpus()[0]?.model ?? 'processor'}, ${prettyBytes(totalmem())}`,
].join(', ');
const page = renderPage(
  readFileSync(join(import.meta.dirname, 'reliability.md'), 'utf8'),
  { about, day, seed: values.seed, tries: Number(values.tries), took: performance.now() - started },
  rows,
);
if (values.print || values.only !== '') process.stdout.write(page);
else writeFileSync(join(programHome, 'docs/reliability.md'), page);
process.exitCode = status === 0 ? 0 : 1;
