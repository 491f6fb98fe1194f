import { mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { hexTxid } from '../../src/backup/location.ts';
import { eventually } from '../real/forge.ts';
import { type Pusher, restore } from '../real/pusher.ts';
import { attempt, artifactsIn } from './attempt.ts';
import { succeed } from './cut-short.ts';
import type { Fault } from './fault.ts';
import { historyIn, pathOf, remember, takenAt } from './history-of.ts';
import { withTime } from './ltx-time.ts';
import type { Luck } from './luck.ts';
import type { Stage } from './stage.ts';
import { tryFaults } from './try-faults.ts';

// The machine's clock is everybody's and is left alone; Litestream, a Go program, can't be given another. So a replica is made to look
// as a server's whose clock was set would: the times in its objects' headers and the files' own are moved from some transaction on.

const hour = 3_600_000;

type Transaction = { txid: number; at: Date };

/** One repository's history in the replica with other times, until it is disposed of. */
async function shifted(stage: Stage, pusher: Pusher, by: (txid: number) => number) {
  const history = await historyIn(stage, pusher);
  const back = history.map((object) => remember(pathOf(stage, object)));
  const transactions: Transaction[] = [];
  for (const object of history) {
    const path = pathOf(stage, object);
    const at = new Date((await takenAt(stage, object)).getTime() + by(object.max));
    writeFileSync(path, withTime(readFileSync(path), at));
    utimesSync(path, at, at);
    if (object.level === 0) transactions.push({ txid: object.max, at });
  }
  return {
    transactions,
    [Symbol.dispose]: () => {
      for (const one of back) one();
    },
  };
}

/** What a repository held after a transaction, by Litestream alone. */
async function truth({ forge }: Stage, { id }: Pusher, txid: number): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'truth-'));
  try {
    const file = join(folder, 'state.fossil');
    await restore(forge.root, id, file, hexTxid(txid));
    return artifactsIn(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A repository with some history that nobody writes to. */
async function quiet(stage: Stage, luck: Luck): Promise<Pusher> {
  const pusher = luck.pick(stage.pushers);
  await eventually(() => pusher.acknowledged.length >= 8, 60_000, 'there is some history');
  await pusher.pause();
  await succeed(stage, 'backup', 'now', pusher.name);
  return pusher;
}

async function expectState(stage: Stage, pusher: Pusher, at: Date, txid: number): Promise<void> {
  const said = await attempt(stage, pusher, at);
  expect(said.code, said.stderr).toBe(0);
  expect(said.artifacts, `transaction ${txid} at ${at.toISOString()}`).toEqual(
    await truth(stage, pusher, txid),
  );
}

/** Some of a list, the first and the last among them. */
const some = <T>(list: readonly T[], luck: Luck): T[] => [
  ...new Set([...list.slice(0, 1), luck.pick(list), ...list.slice(-1)]),
];

/** The transactions that have an object of their own, in their order. */
const singlesOf = async (stage: Stage, pusher: Pusher): Promise<number[]> =>
  (await historyIn(stage, pusher)).filter(({ level }) => level === 0).map(({ max }) => max);

const forward: Fault = {
  name: 'the clock set forward an hour',
  once: async (stage, luck) => {
    const pusher = await quiet(stage, luck);
    try {
      const singles = await singlesOf(stage, pusher);
      const cut = luck.pick(singles.slice(1, -2));
      using moved = await shifted(stage, pusher, (txid) => (txid <= cut ? -hour : 0));
      for (const { txid, at } of some(moved.transactions, luck)) await expectState(stage, pusher, at, txid);
      const last = moved.transactions.find(({ txid }) => txid === cut);
      if (last === undefined) throw new Error('the cut is lost');
      await expectState(stage, pusher, new Date(last.at.getTime() + hour / 2), cut);
    } finally {
      pusher.go();
    }
    return 'each instant gives the state that was there; one in the hour that never was, the last before it';
  },
};

const back: Fault = {
  name: 'the clock set back an hour',
  once: async (stage, luck) => {
    const pusher = await quiet(stage, luck);
    try {
      const singles = await singlesOf(stage, pusher);
      const first = luck.pick(singles.slice(1, 3));
      const second = luck.pick(singles.slice(4, -2));
      // It went an hour ahead for a while, and was put right.
      const ahead = (txid: number) => txid > first && txid <= second;
      using moved = await shifted(stage, pusher, (txid) => (ahead(txid) ? -hour : -2 * hour));
      const last = singles.at(-1) ?? 0;
      const right = moved.transactions.filter(({ txid }) => !ahead(txid));
      for (const { txid, at } of some(right, luck)) await expectState(stage, pusher, at, txid);
      const afterwards = luck.pick(right.filter(({ txid }) => txid > second));
      await expectState(stage, pusher, afterwards.at, afterwards.txid);
      // An instant that came twice: what was there the second time.
      const twice = luck.pick(moved.transactions.filter(({ txid }) => ahead(txid)));
      await expectState(stage, pusher, twice.at, last);
    } finally {
      pusher.go();
    }
    return 'each instant gives the state that was there; one that came twice, the later';
  },
};

tryFaults('directory', [forward, back]);
