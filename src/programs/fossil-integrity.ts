import { OperatorError } from '../errors.ts';

/**
 * What `test-integrity` printed: how many artifacts were looked at, and one line for each that is wrong.
 * @throws OperatorError when it ended before its last line
 */
export function readTestIntegrity(stdout: string): { artifacts: number; errors: string[] } {
  const lines = stdout.split(/[\r\n]+/).map((line) => line.trim());
  const summary = lines
    .map((line) => /^(\d+) non-phantom blobs \(out of \d+ total\) checked:\s+(\d+) errors$/.exec(line))
    .find(Boolean);
  if (!summary)
    throw new OperatorError('fossil test-integrity did not get to its end.', {
      next: `It said: ${
        lines
          .filter((line) => !isProgress(line))
          .slice(-3)
          .join(' · ') || 'nothing'
      }`,
    });
  const errors = lines.filter((line) =>
    /^(wrong hash|size mismatch|public artifact .* is a delta)/.test(line),
  );
  const counted = Number(summary[2]);
  return {
    artifacts: Number(summary[1]),
    errors:
      errors.length >= counted
        ? errors
        : [...errors, `${counted - errors.length} more that Fossil does not name`],
  };
}

/** What SQLite said at the end of `test-integrity`, of 2.21 as of 2.26: empty when all is well. That it said nothing is an error. */
export function databaseErrors(stdout: string): string[] {
  const [, said] = /^low-level database integrity-check: ([^]*)$/m.exec(stdout) ?? [];
  if (said === undefined) return ['fossil test-integrity ended before it said what SQLite found'];
  return said.trim() === 'ok' ? [] : [said.trim()];
}

const isProgress = (line: string): boolean =>
  /^\d+\/\d+$/.test(line) || line.startsWith('skip phantom') || line === '';
