import { describe, expect, test } from 'vitest';
import { filesFor, headerBytes, type HistoryFile, newestTxid } from '../../src/backup/history.ts';
import { momentAt } from '../../src/backup/moment.ts';
import { parseInstant, showInstant } from '../../src/system/instant.ts';

const file = (level: number, min: number, max: number): HistoryFile => ({
  key: `${level}/${min}-${max}`,
  bytes: 1000,
  modified: new Date(max * 1000),
  level,
  min,
  max,
});
const keys = (files: readonly HistoryFile[]) => files.map(({ key }) => key);

describe('the files that give a state', () => {
  const history = [
    ...Array.from({ length: 20 }, (_, index) => file(0, index + 1, index + 1)),
    file(1, 1, 6),
    file(1, 7, 12),
    file(2, 1, 12),
    file(9, 1, 4),
    file(9, 1, 15),
  ];

  test('are the newest snapshot before it and what leads furthest from there', () => {
    expect(keys(filesFor(history, 14).files)).toEqual(['9/1-4', '2/1-12', '0/13-13', '0/14-14']);
    expect(keys(filesFor(history, 15).files)).toEqual(['9/1-15']);
    expect(keys(filesFor(history, 17).files)).toEqual(['9/1-15', '0/16-16', '0/17-17']);
    expect(keys(filesFor(history, 3).files)).toEqual(['0/1-1', '0/2-2', '0/3-3']);
    expect(newestTxid(history)).toBe(20);
  });

  test('end at what is missing, which is named', () => {
    const without = history.filter(({ key }) => key !== '0/17-17');
    expect(filesFor(without, 18)).toMatchObject({ missing: 17 });
    expect(filesFor(without, 16)).toMatchObject({ missing: undefined });
    expect(filesFor([], 1)).toEqual({ files: [], missing: 1 });
  });

  test('go around what is missing where others hold the same', () => {
    const without = history.filter(({ key }) => key !== '0/9-9');
    expect(keys(filesFor(without, 12).files)).toEqual(['9/1-4', '2/1-12']);
    expect(filesFor(without, 9)).toMatchObject({ missing: 9 });
  });
});

describe('the moment of an instant', () => {
  /** The header of a file whose last transaction was taken out at its own second. */
  const header = (max: number): Buffer => {
    const bytes = Buffer.alloc(headerBytes);
    bytes.write('LTX1', 'latin1');
    bytes.writeBigUInt64BE(BigInt(max * 1000), 32);
    return bytes;
  };
  const refuse = () => Promise.reject(new Error('only reads headers'));
  const store = {
    ...{ describe: '', get: refuse, put: refuse, delete: refuse },
    list: () => {
      throw new Error('only reads headers');
    },
    head: (key: string) =>
      Promise.resolve({ bytes: header(Number(key.split('-')[1])), dated: undefined, surely: false }),
  };
  const at = (files: HistoryFile[], second: number) =>
    momentAt(
      { store, kind: 'directory', key: 'k', files },
      { at: new Date(second * 1000), known: newestTxid(files) },
    );
  // Its single transactions are kept no more.
  const merged = [file(1, 1, 10), file(1, 11, 20), file(1, 21, 30), file(9, 1, 15)];

  test('a snapshot that ends within a merged file is a moment, too', async () => {
    expect(await at(merged, 17)).toMatchObject({ txid: 15, takenAt: new Date(15_000), merged: true });
    expect(await at(merged, 25)).toMatchObject({ txid: 20, merged: true });
    expect(await at(merged, 31)).toMatchObject({ txid: 30, merged: false });
    expect(await at([...merged, file(0, 16, 16)], 15)).toMatchObject({ txid: 15, merged: false });
  });

  test.each([
    ['ahead', 3_600],
    ['behind', -3_600],
  ])('is by the clock of the server, however far it is %s of the storage’s', async (_name, ahead) => {
    const late = (max: number) => ({ ...file(0, max, max), modified: new Date((max - ahead) * 1000) });
    const singles = Array.from({ length: 400 }, (_, index) => late(index + 1));
    for (const second of [1, 2, 63, 200, 399])
      expect(await at(singles, second), `second ${second}`).toMatchObject({ txid: second });
    expect(await at(singles, 4_500)).toMatchObject({ txid: 400 });
  });

  test('is by the clock of the server when that was ahead for a while only', async () => {
    // Transactions 101 to 200 say that they were made two hours later than the storage got them.
    const times = (max: number) => (max > 100 && max <= 200 ? max + 7_200 : max);
    const moved = { ...store, head: (key: string) => store.head(`/0-${times(Number(key.split('-')[1]))}`) };
    const files = Array.from({ length: 300 }, (_, index) => file(0, index + 1, index + 1));
    const found = async (second: number) =>
      (
        await momentAt(
          { store: moved, kind: 's3', key: 'k', files },
          { at: new Date(second * 1000), known: 300 },
        )
      ).txid;
    for (const [second, txid] of [
      [50, 50],
      [100, 100],
      [150, 100],
      [195, 100],
      [250, 250],
    ] as const)
      expect(await found(second), `second ${second}`).toBe(txid);
  });

  test('is refused where an object is listed and can not be read; one that has aged out meanwhile is none', async () => {
    const singles = [1, 2, 3].map((max) => file(0, max, max));
    const [, , last] = singles;
    const without = (listed: boolean) => ({
      ...store,
      head: (key: string) => (key === last?.key ? Promise.resolve(undefined) : store.head(key)),
      async *list(prefix: string) {
        await Promise.resolve();
        if (listed && last?.key === prefix) yield last;
      },
    });
    const found = (listed: boolean) =>
      momentAt(
        { store: without(listed), kind: 'directory', key: 'k', files: singles },
        { at: new Date(10_000), known: 2 },
      );
    await expect(found(true)).rejects.toThrow(`${last?.key ?? ''} in the replica is damaged`);
    expect(await found(false)).toMatchObject({ txid: 2 });
  });

  test('names the snapshot when that is what is missing', async () => {
    await expect(at([file(0, 20, 20), file(1, 11, 20), file(0, 21, 21)], 20)).rejects.toThrow(
      'k/ltx/9/0000000000000001-….ltx is missing',
    );
    for (const second of [1, 3])
      await expect(at([file(0, 2, 2), file(0, 3, 3)], second)).rejects.toThrow('k/ltx/0/0000000000000001-');
  });

  test('without the file behind it there may be something missing', async () => {
    const without = merged.filter(({ key }) => key !== '1/11-20');
    // Transaction 16 is what would come next, and the object with it began at 11.
    await expect(at(without, 17)).rejects.toThrow('k/ltx/1/000000000000000b-….ltx');
  });

  test('a lost merged object is refused also where a higher level holds the same', async () => {
    const pruned = [file(1, 1, 10), file(1, 11, 20), file(1, 21, 30), file(2, 1, 20), file(9, 1, 5)];
    expect(await at(pruned, 15)).toMatchObject({ txid: 10, merged: true });
    const without = (key: string) => pruned.filter((one) => one.key !== key);
    await expect(at(without('1/1-10'), 15)).rejects.toThrow('k/ltx/1/… with transaction 0000000000000006');
    await expect(at(without('1/11-20'), 15)).rejects.toThrow('k/ltx/1/000000000000000b-….ltx');
    for (const key of ['1/1-10', '1/11-20', '2/1-20'])
      expect(await at(without(key), 31), key).toMatchObject({ txid: 30 });
    // Single ones that are kept still.
    const singles = Array.from({ length: 6 }, (_none, index) => file(0, 25 + index, 25 + index));
    await expect(at([...without('1/21-30'), ...singles], 28)).rejects.toThrow(
      'k/ltx/1/0000000000000015-….ltx',
    );
  });
});

describe('a time', () => {
  const now = new Date('2026-11-21T14:00:00Z');

  test.each([
    ['2026-11-21T13:00:05Z', '2026-11-21T13:00:05.000Z'],
    ['2026-11-21T13:00+01:00', '2026-11-21T12:00:00.000Z'],
    ['2026-11-21 13:00:00.250Z', '2026-11-21T13:00:00.250Z'],
    ['15m', '2026-11-21T13:45:00.000Z'],
    ['2h', '2026-11-21T12:00:00.000Z'],
    ['1.5d', '2026-11-20T02:00:00.000Z'],
    ['now', '2026-11-21T14:00:00.000Z'],
  ])('%s', (text, instant) => {
    expect(parseInstant(text, now).toISOString()).toBe(instant);
  });

  test('without a zone is this machine’s, a day alone begins at its midnight', () => {
    expect(parseInstant('2026-11-20T10:00', now)).toEqual(new Date(2026, 10, 20, 10));
    expect(parseInstant('2026-11-20', now)).toEqual(new Date(2026, 10, 20));
  });

  test.each([
    '',
    'yesterday',
    '2026-02-31',
    '2026-13-01',
    '2026-11-21T25:00',
    '5',
    '5 years',
    '2026-11-21T14:00:01Z',
    '-3h',
  ])('%j is refused', (text) => {
    expect(() => parseInstant(text, now)).toThrow(/no time|future/);
  });

  test('is shown with its zone', () => {
    const shown = showInstant(new Date('2026-11-21T13:00:05.250Z'));
    expect(shown).toMatch(/^2026-11-2\d \d\d:\d\d:05\.250 [+-]\d\d:\d\d$/);
    expect(new Date(shown.replace(' ', 'T').replace(' ', '')).getTime()).toBe(
      Date.parse('2026-11-21T13:00:05.250Z'),
    );
  });
});
