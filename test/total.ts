import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { z } from 'zod';

// test/total.ts FOLDER: adds up the stages that left their exit codes there, and vitest's reports of those that have one; names
// again what failed, because that was printed long before; the last line is "N passed, N failed".

const schema = z.object({
  numPassedTests: z.number(),
  numPendingTests: z.number(),
  numTodoTests: z.number(),
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      message: z.string(),
      assertionResults: z.array(
        z.object({ status: z.string(), fullName: z.string(), failureMessages: z.array(z.string()) }),
      ),
    }),
  ),
});

/** As much of a failure as tells which one it is. */
const shownLines = 12;

const folder = process.argv[2] ?? '.';
let passed = 0;
let left = 0;
const failures: string[] = [];
for (const stage of readdirSync(folder).filter((name) => name.endsWith('.exit'))) {
  const code = Number(readFileSync(join(folder, stage), 'utf8'));
  const report = readReport(join(folder, stage.replace(/exit$/, 'json')));
  const failed = report?.testResults.flatMap(failuresOf) ?? [];
  passed += report?.numPassedTests ?? (code === 0 ? 1 : 0);
  left += (report?.numPendingTests ?? 0) + (report?.numTodoTests ?? 0);
  // As one that died before its report, or had an error outside any test.
  if (code !== 0 && failed.length === 0) failed.push(`${stage.replace(/\.exit$/, '')}: exit code ${code}`);
  failures.push(...failed);
}
for (const failure of failures) process.stdout.write(`failed: ${failure}\n\n`);
if (left > 0) process.stdout.write(`${left} left out\n`);
process.stdout.write(`${passed} passed, ${failures.length} failed\n`);
if (failures.length > 0) process.exitCode = 1;

function readReport(path: string): z.infer<typeof schema> | undefined {
  if (!existsSync(path)) return undefined;
  return schema.parse(JSON.parse(readFileSync(path, 'utf8')));
}

function failuresOf(file: z.infer<typeof schema>['testResults'][number]): string[] {
  const name = relative('.', file.name);
  const tests = file.assertionResults.filter((test) => test.status === 'failed');
  // A file that could not be loaded, or whose set-up failed, has failed without any failed test.
  if (file.status === 'failed' && tests.length === 0) return [`${name}\n${shown(file.message)}`];
  return tests.map((test) => `${name} > ${test.fullName}\n${shown(test.failureMessages.join('\n'))}`);
}

function shown(message: string): string {
  return stripVTControlCharacters(message)
    .split('\n')
    .filter((line) => !line.includes('/node_modules/'))
    .slice(0, shownLines)
    .map((line) => `  ${line}`)
    .join('\n');
}
