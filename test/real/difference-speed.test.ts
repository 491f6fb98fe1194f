import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { fossilEnvironment } from '../../src/programs/fossil.ts';
import { differenceOf } from '../../src/repos/contents/difference.ts';
import { newerThan } from '../../src/repos/contents/receipts.ts';
import { summaryOf } from '../../src/repos/contents/summary.ts';
import { run } from '../../src/system/run.ts';

const checkins = 20_000;

/** A history for `git fast-import`: four new files in each check-in, and a branch now and then. */
function history(): string {
  const data = (text: string) => `data ${Buffer.byteLength(text)}\n${text}\n`;
  const parts: string[] = [];
  for (let index = 1; index <= checkins; index++) {
    const branch = index % 500 === 0 ? `side-${index / 500}` : 'master';
    parts.push(`commit refs/heads/${branch}\nmark :${index}\n`);
    parts.push(
      `committer Person <p@example.com> ${1_600_000_000 + index * 60} +0000\n`,
      data(`Check-in ${index}\n`),
    );
    if (index > 1) parts.push(`from :${index - 1}\n`);
    for (let file = 0; file < 4; file++)
      parts.push(`M 100644 inline f${(index * 7 + file * 13) % 40}\n`, data(`line ${index} ${file}\n`));
  }
  return parts.join('');
}

/** Processor seconds: other work on the machine does not count. */
function measure<T>(name: string, work: () => T): { result: T; seconds: number } {
  const before = process.cpuUsage();
  const result = work();
  const { user, system } = process.cpuUsage(before);
  const seconds = (user + system) / 1e6;
  process.stdout.write(`${name} of ${checkins} check-ins: ${seconds.toFixed(2)} s\n`);
  return { result, seconds };
}

test('20,000 check-ins are compared in seconds', { timeout: 300_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'difference-speed-'));
  try {
    const [file, other, stream, home] = ['one.fossil', 'other.fossil', 'stream', 'home'].map((name) =>
      join(folder, name),
    );
    if (!file || !other || !stream || !home) throw new Error('four names');
    mkdirSync(home);
    writeFileSync(stream, history());
    await run({
      argv: ['sh', '-c', 'exec fossil import --git "$1" <"$2"', 'sh', file, stream],
      env: fossilEnvironment(home),
    });
    copyFileSync(file, other);
    {
      using database = new DatabaseSync(other, { enableForeignKeyConstraints: false });
      database.exec(`DELETE FROM blob WHERE rid IN (SELECT objid FROM event ORDER BY mtime DESC LIMIT 5000);
        DELETE FROM event WHERE objid NOT IN (SELECT rid FROM blob)`);
    }
    const same = measure('difference of none', () => differenceOf(file, file));
    expect(same.result.same).toBe(true);
    const lost = measure('difference', () => differenceOf(file, other));
    expect(lost.result.kinds.checkins.lost.count).toBe(5_000);
    expect(lost.result.artifacts.lost).toBe(5_000);
    expect(lost.result.kinds.checkins.lost.items[0]?.title).toBe(`Check-in ${checkins}`);
    const summary = measure('summary', () => summaryOf(file));
    expect(summary.result.checkins).toBe(checkins);
    expect(summary.result.artifacts).toBeGreaterThan(5 * checkins - 1);
    const newer = measure('receipts', () => newerThan(file, 0));
    expect(newer.result.checkins).toBe(checkins);
    for (const { seconds } of [same, lost, summary, newer]) expect(seconds).toBeLessThan(6);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
