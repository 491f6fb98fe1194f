import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { messageOf } from '../../src/errors.ts';
import { eventually } from '../real/forge.ts';
import { noteClaims } from './claims.ts';
import type { Fault } from './fault.ts';
import { type Luck, luckOf } from './luck.ts';
import type { Results, Row } from './record.ts';
import { openStage, type Setting, type Stage } from './stage.ts';
import { judge } from './verdict.ts';

// What is asked for, from the environment: `npm run faults` sets it.
const tries = Number(process.env['FAULT_TRIES'] ?? 2);
const seed = process.env['FAULT_SEED'] ?? String(Date.now() % 1_000_000);
const results = process.env['FAULT_RESULTS'];
/** The short form: nothing is written down. */
const short = results === undefined;

/** So many acknowledged check-ins are enough for one stage: reading all of them again and again takes longer with each. */
const worn = 400;

/** Makes a test of each fault, one after the other, each as often as asked for. */
export function tryFaults(setting: Setting, faults: readonly Fault[]): void {
  const rows: Row[] = [];
  const keep = () => keepResults(setting, faults, rows);
  keep();
  let stage: Stage | undefined;
  const fresh = async (): Promise<Stage> => {
    const acknowledged = stage?.pushers.reduce((sum, pusher) => sum + pusher.acknowledged.length, 0) ?? 0;
    if (acknowledged > worn) {
      await stage?.[Symbol.asyncDispose]();
      stage = undefined;
    }
    stage ??= await openStage(setting);
    return stage;
  };

  describe(`faults, seed ${seed}, ${setting}`, () => {
    const chosen = faults.filter(({ long }) => !(short && long));
    for (const fault of chosen) {
      const count = Math.min(tries, fault.atMost ?? tries);
      test(fault.name, { timeout: count * (fault.long ? 3_600_000 : 300_000) }, async () => {
        const row = emptyRow(fault);
        rows.push(row);
        try {
          for (let number = 1; number <= count; number++)
            await tryOnce(await fresh(), fault, luckOf(`${seed} ${fault.name} ${number}`), row);
        } catch (error) {
          row.failed = messageOf(error);
          throw error;
        }
      });
    }
    // What one fault left behind must not be taken for another's doing.
    afterEach(async ({ task }) => {
      if (task.result?.state !== 'fail') return;
      process.stdout.write(
        `FAULT_SEED=${seed} repeats it. The server said:\n${stage?.forge.log().slice(-4_000) ?? ''}\n`,
      );
      await stage?.[Symbol.asyncDispose]();
      stage = undefined;
    });
    afterAll(async () => {
      await stage?.[Symbol.asyncDispose]();
    });
    // After each, since all of them can take hours.
    afterEach(keep);
  });
}

/** What of these is known by now, where `npm run faults` finds it. */
function keepResults(setting: Setting, faults: readonly Fault[], rows: Row[]): void {
  if (results === undefined) return;
  mkdirSync(results, { recursive: true });
  const file = join(results, `${`${setting}-${faults[0]?.name ?? ''}`.replaceAll(/\W+/g, '-')}.json`);
  // With `--results` a former run has tried some.
  if (rows.length === 0 && existsSync(file)) return;
  const day = new Date().toISOString().slice(0, 10);
  const kept: Results = { day, seed, faults: faults.map(({ name }) => name), rows };
  writeFileSync(file, JSON.stringify(kept, null, 2));
}

async function tryOnce(stage: Stage, fault: Fault, luck: Luck, row: Row): Promise<void> {
  const { pushers, forge } = stage;
  const before = count(stage);
  for (const pusher of pushers) pusher.go();
  const endClaims = noteClaims(stage);
  try {
    await sleep(luck.between(200, 2_000));
    const happened = await fault.once(stage, luck);
    const pushed = count(stage);
    const green = await eventually(stage.isGreen, fault.within ?? 120_000, 'green again').catch(
      async (error: unknown) => {
        throw new Error(`${messageOf(error)}\n${(await forge.cli('status')).stdout}`, { cause: error });
      },
    );
    await eventually(() => count(stage) > pushed, 30_000, 'pushes go on');
    for (const pusher of pushers) await pusher.pause();
    const noted = await endClaims();
    const claims = fault.tampers === true ? [] : noted;
    const { lost, restored } = await judge(stage, claims);
    row.tries += 1;
    row.happened[happened] = (row.happened[happened] ?? 0) + 1;
    row.green = row.green ? [Math.min(row.green[0], green), Math.max(row.green[1], green)] : [green, green];
    row.acknowledged += count(stage) - before;
    row.lost += lost.length;
    row.restored += restored;
    row.claims += claims.length;
    expect(lost, lost.join('\n')).toEqual([]);
  } finally {
    await endClaims();
    for (const pusher of pushers) await pusher.pause();
  }
}

const count = ({ pushers }: Stage): number =>
  pushers.reduce((sum, { acknowledged }) => sum + acknowledged.length, 0);

const emptyRow = ({ name }: Fault): Row => ({
  fault: name,
  tries: 0,
  happened: {},
  green: null,
  acknowledged: 0,
  lost: 0,
  restored: 0,
  claims: 0,
  failed: null,
});
