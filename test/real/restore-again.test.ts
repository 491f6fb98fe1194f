import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Shown } from './client.ts';
import { eventually, startForge, type TestForge } from './forge.ts';
import { pauseManagement } from './pause.ts';
import { processesOf } from './processes.ts';
import { type Pusher, startPusher } from './pusher.ts';
import { query } from './support/fossil-lab.ts';

// A restore or its undo that was killed, or failed in part, and is run again as it was typed.

type Answer = {
  restored: { name: string; undo: string }[];
  already: { name: string; at: string; since: string }[];
};

let forge: TestForge;
beforeAll(async () => {
  forge = await startForge();
});
afterAll(() => forge[Symbol.asyncDispose]());

const restore = (...args: string[]) => forge.json<Answer>('restore', ...args, '--yes');
const namesOf = (list: { name: string }[]): string[] => list.map(({ name }) => name).sort();

const checkinsIn = (file: string): number =>
  Number(query(file, "SELECT count(*) AS count FROM event WHERE type = 'ci'")[0]?.['count']) - 1;

/** By which restore a file came to its place. */
const cameBy = (file: string): unknown =>
  query(file, "SELECT value FROM config WHERE name = 'fossilrepo-restore'")[0]?.['value'];

/** Where commands have what they fetch. */
const asides = (): string[] =>
  readdirSync(join(forge.root, 'data/work/tmp')).filter((name) => name.startsWith('restore-'));

/** The Node of a command of this forge that begins with some words. */
function processOf(...words: string[]): number {
  const typed = ['src/main.ts', '--root', forge.root, ...words].join(' ');
  const found = processesOf(forge.root).find(({ argv }) => argv.includes(typed));
  if (found === undefined) throw new Error(`nobody is at ${words.join(' ')}`);
  return found.pid;
}

const makePusher = (name: string) => startPusher(forge, name, { pushing: false });

/** Each pushes a check-in before an instant, and one after it. @returns the instant */
async function pushTwo(...pushers: Pusher[]): Promise<string> {
  for (const pusher of pushers) await pusher.one();
  await sleep(1_500);
  const at = new Date().toISOString();
  await sleep(1_000);
  for (const pusher of pushers) await pusher.one();
  for (const { path } of pushers) expect(checkinsIn(path)).toBe(2);
  return at;
}

/** Kills a command that changes a repository when the other state is in its place, while it looks at it from outside. */
async function killedWhenDone({ path }: Pick<Pusher, 'path'>, ...args: string[]): Promise<void> {
  const before = cameBy(path);
  const edge = forge.pidOf('edge');
  // The management part's loop may look at something over that edge, too, with the lock that the command needs: to make the canary it does.
  const resume = await pauseManagement(forge);
  process.kill(edge, 'SIGSTOP');
  try {
    let early: Awaited<ReturnType<TestForge['cli']>> | undefined;
    const said = forge.cli(...args, '--yes').then((result) => (early = result));
    await eventually(
      () => early !== undefined || cameBy(path) !== before,
      60_000,
      'the other state is in its place',
    );
    expect(early, 'it was to be killed').toBeUndefined();
    process.kill(processOf(...args), 'SIGKILL');
    expect((await said).code).not.toBe(0);
  } finally {
    process.kill(edge, 'SIGCONT');
    resume();
  }
}

test('a restore that was killed when it had taken place is not done again: --undo gives what was there before it', async () => {
  await using pusher = await makePusher('once');
  const at = await pushTwo(pusher);
  const argv = ['restore', 'once', '--at', at];
  await killedWhenDone(pusher, ...argv);
  const by = cameBy(pusher.path);
  // An age is another instant by now: nobody can know whether the same is meant.
  const aged = await forge.cli('restore', 'once', '--at', '1s', '--yes');
  expect(aged.code, aged.stderr).toBe(2);
  expect(aged.stderr).toContain(`--at ${at}`);
  await eventually(() => pusher.push('--verily'), 30_000, 'it is open');
  const again = await forge.cli(...argv, '--yes');
  expect(again.code, again.stderr).toBe(0);
  expect(again.stderr).toContain('it has taken place');
  expect(again.stdout).toContain(`once is as it was at`);
  expect(again.stdout).toMatch(
    /Pushed since then, .* the same command once more takes it away:\n +1 check-in/,
  );
  expect(cameBy(pusher.path)).toBe(by);
  await restore('once', '--undo');
  expect(pusher.lostLive()).toEqual([]);
  // Told once, it is done when it is asked for again.
  expect(await restore('once', '--at', at)).toMatchObject({
    restored: [{ name: 'once' }],
    already: [],
  });
  expect(checkinsIn(pusher.path)).toBe(1);
});

test('one of several that was done when the command was killed over the others is not done again either', async () => {
  await using ready = await makePusher('ready');
  await using held = await makePusher('held');
  const argv = ['restore', 'ready', 'held', '--at', await pushTwo(ready, held)];
  const outcomes = (): unknown[] =>
    query(
      join(forge.root, 'var/lib/fossilrepo/fossilrepo.db'),
      `SELECT outcome FROM restore WHERE repository = '${ready.id}'`,
    ).map(({ outcome }) => outcome);
  {
    // Whoever has it open is waited for.
    using reader = new DatabaseSync(held.path, { readOnly: true, timeout: 10_000 });
    reader.prepare('SELECT count(*) FROM blob').get();
    const said = forge.cli(...argv, '--yes');
    await eventually(() => outcomes().includes('done'), 60_000, 'the one is done');
    const other = await forge.cli('restore', 'ready', '--undo', '--dry-run');
    expect(other.code, other.stderr).toBe(0);
    expect(other.stderr).not.toContain('cut short');
    process.kill(processOf(...argv), 'SIGKILL');
    await said;
  }
  const by = cameBy(ready.path);
  const again = await restore(...argv.slice(1));
  expect([namesOf(again.already), namesOf(again.restored)]).toEqual([['ready'], ['held']]);
  expect(cameBy(ready.path)).toBe(by);
  expect([checkinsIn(ready.path), checkinsIn(held.path)]).toEqual([1, 1]);
  await restore('ready', 'held', '--undo');
  expect([...ready.lostLive(), ...held.lostLive()]).toEqual([]);
});

test('an --undo that was killed, or done for some of several, is never taken back by running it again', async () => {
  await using one = await makePusher('one');
  await using two = await makePusher('two');
  await restore('one', 'two', '--at', await pushTwo(one, two));
  expect([checkinsIn(one.path), checkinsIn(two.path)]).toEqual([1, 1]);
  await killedWhenDone(one, 'restore', 'one', '--undo');
  const both = await restore('one', 'two', '--undo');
  expect([namesOf(both.already), namesOf(both.restored)]).toEqual([['one'], ['two']]);
  expect([checkinsIn(one.path), checkinsIn(two.path)]).toEqual([2, 2]);
  const third = await forge.cli('restore', 'one', 'two', '--undo', '--yes');
  expect(third.code, third.stderr).toBe(0);
  expect(third.stdout).toContain('The last restore of two was already taken back at ');
  expect(third.stdout).toContain('fossilrepo restore two --redo');
  expect([checkinsIn(one.path), checkinsIn(two.path)]).toEqual([2, 2]);
  // Asked for by a word of its own, what the restore had brought comes again, and that can be taken back, too.
  const again = await restore('one', 'two', '--redo');
  expect(again.restored.map(({ undo }) => undo).sort()).toEqual([
    'fossilrepo restore one --undo',
    'fossilrepo restore two --undo',
  ]);
  expect([checkinsIn(one.path), checkinsIn(two.path)]).toEqual([1, 1]);
  expect(namesOf((await restore('one', 'two', '--redo')).already)).toEqual(['one', 'two']);
  expect([checkinsIn(one.path), checkinsIn(two.path)]).toEqual([1, 1]);
  await restore('one', 'two', '--undo');
  expect([...one.lostLive(), ...two.lostLive()]).toEqual([]);
  expect((await forge.cli('restore', 'one', '--undo', '--redo', '--yes')).code).toBe(2);
});

test('what is told of an --undo over a file that was gone, or is gone since, can be done', async () => {
  await using pusher = await makePusher('lostfile');
  await restore('lostfile', '--at', await pushTwo(pusher));
  const lose = () => {
    for (const suffix of ['', '-wal', '-shm']) rmSync(pusher.path + suffix, { force: true });
  };
  lose();
  expect((await restore('lostfile', '--undo')).restored).toMatchObject([{ was: 'missing', undo: null }]);
  expect(pusher.lostLive()).toEqual([]);
  const again = await forge.cli('restore', 'lostfile', '--undo', '--yes');
  expect(again.code, again.stderr).toBe(0);
  expect(again.stdout).toMatch(
    /was already taken back at .*, and nothing is changed\. There was no file before\./,
  );
  lose();
  const lost = await forge.cli('restore', 'lostfile', '--undo', '--yes');
  expect(lost.code, lost.stdout).toBe(2);
  expect(lost.stderr).toContain('fossilrepo restore lostfile --at now');
  await restore('lostfile', '--at', 'now');
  expect(pusher.lostLive()).toEqual([]);
});

test('what is pushed while a restore waits for its answer is told, and kept with the rest', async () => {
  await using pusher = await makePusher('answered');
  const at = await pushTwo(pusher);
  await using terminal = forge.person('restore', 'answered', '--at', at);
  await terminal.sees('Restore answered?');
  expect(await pusher.one()).toBe(true);
  await terminal.answers('Restore answered?', 'y\r');
  await terminal.sees('Pushed to answered after what was shown, and gone with it');
  await terminal.sees('1 check-in');
  await terminal.ended();
  await restore('answered', '--undo');
  expect(pusher.lostLive()).toEqual([]);
});

test('a restore that is killed while it asks leaves nothing, and the next one says so', async () => {
  await using pusher = await makePusher('asked');
  const at = await pushTwo(pusher);
  const argv = ['restore', 'asked', '--at', at];
  const killed = async () => {
    await using terminal = forge.person(...argv);
    await terminal.sees('Restore asked?');
    const [aside = ''] = asides();
    const fetched = readdirSync(join(forge.root, 'data/work/tmp', aside));
    expect(fetched.filter((name) => name.endsWith('.fossil'))).toHaveLength(1);
    // What a living one has is its own: the loop looks every other second.
    await sleep(4_000);
    expect(asides()).toEqual([aside]);
    process.kill(processOf(...argv), 'SIGKILL');
    await terminal.ended();
  };
  await killed();
  await eventually(() => asides().length === 0, 30_000, 'the loop clears it away');
  expect((await forge.cli('status')).stdout).toMatch(
    /A restore of asked to .* was cut short: nothing was changed/,
  );
  const told = await forge.cli(...argv, '--dry-run');
  expect(told.stderr).toMatch(/A restore of asked to .* was cut short: nothing was changed/);
  // Without the loop the next command does it, before it looks for room.
  const resume = await pauseManagement(forge);
  try {
    await killed();
    expect(asides()).toHaveLength(1);
    const next = await forge.cli('--json', ...argv, '--yes');
    expect(next.code, next.stderr).toBe(0);
    expect(next.stderr).toMatch(/A restore of asked to .* was cut short: nothing was changed/);
    expect(asides()).toEqual([]);
    expect(checkinsIn(pusher.path)).toBe(1);
    const once = await forge.cli('restore', 'asked', '--undo', '--yes');
    expect(once.stderr).not.toContain('cut short');
  } finally {
    resume();
  }
  expect(pusher.lostLive()).toEqual([]);
});

test('--undo --dry-run writes nothing into what is kept, whatever changed since', async () => {
  await using pusher = await makePusher('kept');
  const at = await pushTwo(pusher);
  await restore('kept', '--at', at);
  await forge.json('repo', 'configure', 'kept', '--visibility', 'public');
  await forge.json('user', 'token', 'admin', '--rotate');
  const folder = join(forge.root, 'data/work/undo');
  const [name = ''] = readdirSync(folder).filter(
    (file) =>
      query(join(folder, file), "SELECT value FROM config WHERE name = 'fossilrepo-id'")[0]?.['value'] ===
      pusher.id,
  );
  const digest = () =>
    createHash('sha256')
      .update(readFileSync(join(folder, name)))
      .digest('hex');
  const before = digest();
  const { repositories } = await forge.json<{
    repositories: { difference: { kinds: Record<string, unknown> } }[];
  }>('restore', 'kept', '--undo', '--dry-run');
  expect(digest()).toBe(before);
  expect(existsSync(join(folder, `${name}-wal`))).toBe(false);
  // Who may do what stays as it is today, and is no part of what changes.
  const none = { count: 0, items: [] };
  const [plan] = repositories;
  for (const kind of ['users', 'settings'])
    expect(plan?.difference.kinds[kind]).toEqual({ lost: none, gained: none, changed: none });
});

test('restore --all names what was deleted since, with the command for each', async () => {
  const { id } = await forge.json<Shown>('repo', 'create', 'lost');
  await sleep(1_500);
  const at = new Date().toISOString();
  await forge.json('repo', 'delete', 'lost', '--yes');
  const { id: later } = await forge.json<Shown>('repo', 'create', 'later');
  await forge.json('repo', 'delete', 'later', '--yes');
  const all = await forge.cli('restore', '--all', '--at', at, '--dry-run');
  const command = `fossilrepo restore ${id} --at ${at}`;
  expect(all.stderr).toContain(`lost: ${command}`);
  expect(all.stderr).not.toContain(later);
  // What is to be typed for those that failed is said: done once more, the others would be kept as they are then.
  const some = await forge.cli('restore', id, later, '--at', at, '--in-trash', '--yes');
  expect(some.code).toBe(6);
  expect(some.stdout).toContain(`For the others alone: fossilrepo restore later --at ${at} --in-trash`);
  await forge.json(...command.split(' ').slice(1), '--yes');
  expect((await forge.json<Shown>('repo', 'show', 'lost')).id).toBe(id);
});
