import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { beginAnew } from '../../src/backup/begin-anew.ts';
import { hexTxid } from '../../src/backup/location.ts';
import { pathsUnder } from '../../src/config/paths.ts';
import { openStore } from '../../src/store/store.ts';

// What lies in the replica here is named as Litestream names it; how it goes on from that, replica-moved.test.ts sees.

const root = mkdtempSync(join(tmpdir(), 'begin-anew-'));
afterAll(() => rmSync(root, { recursive: true }));

/** A database's history in a replica, as `[level, first, last]`. */
async function afterBeginning(
  history: readonly [level: number, min: number, max: number][],
  marks: string,
): Promise<{ erased: string[]; left: boolean; marks: unknown }> {
  const replica = mkdtempSync(join(root, 'replica-'));
  const part = join(replica, 'instance/repos/1');
  const marksFile = join(replica, 'instance/high-water.json');
  for (const [level, min, max] of history) {
    const file = join(part, `ltx/${level}/${hexTxid(min)}-${hexTxid(max)}.ltx`);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, 'LTX1');
  }
  writeFileSync(marksFile, marks);
  using store = openStore({ database: join(replica, 'store.db') });
  const erased = await beginAnew(
    {
      config: { replica: { url: `file://${replica}`, endpoint: undefined, region: 'auto' } },
      secrets: { storage: undefined },
      instance: 'instance',
      store,
      paths: pathsUnder(root),
    },
    [{ id: '1', file: join(root, 'one.fossil') }],
  );
  const left = existsSync(part);
  return { erased, left, marks: JSON.parse(readFileSync(marksFile, 'utf8')) as unknown };
}

test('a history that Litestream can go on with stays, and so do the marks', async () => {
  const whole = await afterBeginning(
    [
      [9, 1, 5],
      [0, 5, 5],
      [0, 6, 6],
    ],
    '{"1":6,"2":3}',
  );
  expect(whole).toEqual({ erased: [], left: true, marks: { 1: 6, 2: 3 } });
});

test('one of merged transactions alone goes with its mark', async () => {
  const merged = await afterBeginning([[9, 1, 5]], '{"1":5,"2":3}');
  expect(merged).toMatchObject({ erased: ['1'], marks: { 2: 3 } });
});

test('marks that are damaged keep none from beginning anew, and are written anew', async () => {
  const damaged = await afterBeginning([[9, 1, 5]], '{"1":');
  expect(damaged).toMatchObject({ erased: ['1'], marks: {} });
});

test('the rest of one whose beginning was taken away by a try that was killed goes, too', async () => {
  const rest = await afterBeginning(
    [
      [0, 5, 5],
      [0, 6, 6],
    ],
    '{}',
  );
  expect(rest.erased).toEqual(['1']);
});
