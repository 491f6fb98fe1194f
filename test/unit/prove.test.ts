import { afterEach, expect, test } from 'vitest';
import { answerFindings } from '../../src/commands/prove.ts';
import { exitCodes } from '../../src/errors.ts';
import type { Finding } from '../../src/health/finding.ts';

const before = process.exitCode;
afterEach(() => {
  process.exitCode = before;
});

const finding: Finding = { level: 'red', about: 'demo', what: 'It is gone.', next: 'Bring it back.' };

test.each([
  ['what is wrong after an install is a check that failed', undefined, [finding], exitCodes.check],
  ['that some repositories are not back is told still', exitCodes.partly, [finding], exitCodes.partly],
  ['nothing wrong changes nothing', undefined, [], undefined],
])('%s', (_what, set, findings, expected) => {
  process.exitCode = set;
  const warned: string[] = [];
  answerFindings({ warn: (text) => warned.push(text) }, findings);
  const answered = process.exitCode;
  process.exitCode = before;
  expect(answered).toBe(expected);
  expect(warned).toEqual(findings.map(() => 'It is gone. Bring it back.'));
});
