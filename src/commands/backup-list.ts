import ms from 'ms';
import prettyBytes from 'pretty-bytes';
import { newestMarked } from '../backup/high-water.ts';
import { listHistory } from '../backup/history.ts';
import { type Cost, costOf } from '../backup/inventory/cost.ts';
import { type Gap, gapsOf } from '../backup/inventory/gaps.ts';
import { type Inventory, inventoryOf } from '../backup/inventory/inventory.ts';
import { amazon, type Prices } from '../backup/inventory/prices.ts';
import { managementId, partOf } from '../backup/location.ts';
import { storedHistory } from '../backup/open.ts';
import { exitCodes } from '../errors.ts';
import { type Forge, withForge } from '../forge.ts';
import type { GlobalOptions } from '../server.ts';
import { findRepository } from '../store/repositories.ts';
import { showInstant } from '../system/instant.ts';
import { table } from '../system/table.ts';
import { chosenRows } from './restore-rows.ts';

export type ListFlags = { priceGb: number; pricePut: number; priceList: number };

/**
 * Whatever the number of repositories: the owner object's heartbeat once a minute, and the high-water marks every ten seconds where anything
 * moved, which the canary and the management database see to less often by themselves. The most that it may be, in thirty days.
 */
const instancePuts = (1 + 6) * 60 * 24 * 30;

/** `fossilrepo backup list`: what the replica holds of one database. Answers 4 when something is missing that nothing else holds. */
export async function backupList(options: GlobalOptions, nameOrId: string, flags: ListFlags): Promise<void> {
  await withForge(options, async (forge) => {
    const { config, out } = forge;
    const { id, name } = chosen(forge, nameOrId);
    const stored = storedHistory(forge, partOf(id));
    // Before the list, so that what is pushed meanwhile is not missing.
    const known = await newestMarked(forge, id);
    const files = await listHistory(stored);
    const now = Date.now();
    const inventory = inventoryOf(files, config.replica, now);
    const gaps = gapsOf(stored, files, known);
    const prices = { gb: flags.priceGb, put: flags.pricePut, list: flags.priceList };
    const cost = costOf(files, config.replica, prices, now, id === managementId ? instancePuts : 0);
    const where = `${stored.store.describe}/${stored.key}`;
    out.result(
      { name, id, where, ...inventory, known, gaps, cost: { ...cost, prices } },
      [
        `${name} in ${where}`,
        '',
        ...describeWindow(inventory),
        ...describeGaps(gaps),
        '',
        describeLevels(inventory, config.replica),
        '',
        ...describeCost(cost, prices, stored.kind, id),
      ].join('\n'),
    );
    if (gaps.some(({ held }) => !held) || inventory.window.from === null) process.exitCode = exitCodes.check;
  });
}

function chosen(forge: Pick<Forge, 'store' | 'out'>, nameOrId: string): { id: string; name: string } {
  if (nameOrId === managementId && !findRepository(forge.store, nameOrId))
    return { id: managementId, name: 'management database' };
  const [row] = chosenRows(forge, [nameOrId], { all: false }, undefined);
  return { id: row?.id ?? '', name: row?.name ?? '' };
}

function describeWindow({ window, granularity, newest, snapshots }: Inventory): string[] {
  if (window.from === null) return ['Nothing of it can be restored: there is no whole state.'];
  const steps = granularity.map(({ from, to, step }) => [
    `  ${showInstant(from)} to ${showInstant(to)}`,
    step === 1_000 ? 'any second' : `every ${ms(step, { long: true })}`,
  ]);
  const times = snapshots.map(({ at }) => showInstant(at));
  return [
    'can be restored',
    ...steps.map((cells) => cells.join(': ')),
    `newest        transaction ${newest.txid}${newest.at === null ? '' : `, ${showInstant(newest.at)}`}`,
    `snapshots     ${times.length === 0 ? 'none yet: one a day' : times.join(', ')}`,
  ];
}

function describeGaps(gaps: readonly Gap[]): string[] {
  if (gaps.length === 0) return ['gaps          none'];
  return gaps.flatMap(({ object, from, to, held, before, after }) => {
    const count = to - from + 1;
    const what = `MISSING ${object}: ${count === 1 ? 'transaction' : `${count} transactions,`} ${from === to ? from : `${from} to ${to}`}`;
    if (held)
      return [
        what,
        '    Other objects hold the same, further apart: choose another second if a restore is refused.',
      ];
    const until =
      before === null
        ? 'Nothing before it can be restored'
        : `It can be restored until ${showInstant(before)}`;
    return [
      what,
      `    ${until}, and ${after === null ? 'again after the next snapshot, at most a day from now' : `again from ${showInstant(after)}, the snapshot after it`}.`,
    ];
  });
}

function describeLevels({ levels }: Inventory, { step }: { step: number }): string {
  const names = ['single transactions', `merged, ${ms(step)}`, `merged, ${ms(12 * step)}`];
  const rows = levels.map(({ level, objects, bytes, oldest, newest }) => [
    String(level),
    names[level] ?? 'snapshots',
    String(objects),
    prettyBytes(bytes),
    oldest === null ? '-' : showInstant(oldest),
    newest === null ? '-' : showInstant(newest),
  ]);
  return table(['LEVEL', 'WHAT', 'OBJECTS', 'BYTES', 'OLDEST', 'NEWEST'], rows);
}

function describeCost(
  { bytes, puts, lists, dollars, days }: Cost,
  prices: Prices,
  kind: string,
  id: string,
): string[] {
  const same = prices.gb === amazon.gb && prices.put === amazon.put && prices.list === amazon.list;
  const money = (amount: number): string => (amount < 0.01 ? 'less than a cent' : `$${amount.toFixed(2)}`);
  const count = (number: number): string => number.toLocaleString('en');
  return [
    `${kind === 's3' ? 'about' : 'in S3 it would be about'} ${money(dollars.all)} a month${same ? " at Amazon's prices (S3 standard; yours: --price-gb, --price-put, --price-list)" : ''}`,
    `  ${prettyBytes(bytes)}: ${money(dollars.storage)}`,
    `  ${count(puts)} PUT, as in the last ${days === 1 ? 'day' : `${Math.round(days * 10) / 10} days`}${id === managementId ? ", the server's sign of life included" : ''}: ${money(dollars.puts)}`,
    `  ${count(lists)} LIST, most of them by replica.step: ${money(dollars.lists)}`,
  ];
}
