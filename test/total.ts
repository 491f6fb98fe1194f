import { readFileSync } from 'node:fs';
import { z } from 'zod';

// test/total.ts REPORT...: adds up vitest's JSON reports and the stages that have none, and says "N passed, N failed".
// A report that is missing counts as one failure: vitest died before it could write it.

const schema = z.object({
  numPassedTests: z.number(),
  numFailedTests: z.number(),
  numPendingTests: z.number(),
  numTodoTests: z.number(),
  testResults: z.array(
    z.object({ status: z.string(), assertionResults: z.array(z.object({ status: z.string() })) }),
  ),
});

let passed = 0;
let failed = 0;
let left = 0;
for (const path of process.argv.slice(2)) {
  const counts = count(path);
  passed += counts.passed;
  failed += counts.failed;
  left += counts.left;
}
if (left > 0) process.stdout.write(`${left} left out\n`);
process.stdout.write(`${passed} passed, ${failed} failed\n`);
if (failed > 0) process.exitCode = 1;

function count(path: string): { passed: number; failed: number; left: number } {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return { passed: 0, failed: 1, left: 0 };
  }
  const report = schema.parse(JSON.parse(text));
  // A file that could not be loaded, or whose set-up failed, has failed without any failed test.
  const broken = report.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  );
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken.length,
    left: report.numPendingTests + report.numTodoTests,
  };
}
