import { expect } from 'vitest';
import { cutShort, isOpen, succeed } from './cut-short.ts';
import type { Fault } from './fault.ts';
import { bringBack, keptOrLive } from './kept.ts';
import type { Luck } from './luck.ts';
import type { Stage } from './stage.ts';
import { tryFaults } from './try-faults.ts';

// A command of fossilrepo is killed at a random moment and run again.

/** What a second restore says of one that was killed after it had begun. */
const told = (text: string): string =>
  /was cut short: (it has taken place|nothing was changed)/.exec(text)?.[1] ?? 'it had not begun yet';

/**
 * Kills a restore or its undo at a random moment and runs it again.
 * @param command.at the instant that is restored to, or was before the undo, in milliseconds since 1970
 * @param command.ended what the second run comes to when the first could not be killed in time
 */
async function restoreCutShort(
  stage: Stage,
  luck: Luck,
  { argv, at, ended }: { argv: readonly string[]; at: number; ended: string },
): Promise<string> {
  const [pusher] = stage.pushers;
  const how = await cutShort(stage, luck, { longest: 2_100, argv });
  await isOpen([pusher.url]);
  keptOrLive(stage, pusher);
  const { stderr } = await succeed(stage, ...argv);
  keptOrLive(stage, pusher);
  await bringBack(pusher, at);
  return `${how}; run again: ${how === 'killed' ? told(stderr) : ended}`;
}

const restoreKilled: Fault = {
  name: '`restore` killed',
  once: async (stage, luck) => {
    const at = Date.now() - luck.between(0, 3_000);
    const argv = ['restore', stage.pushers[0].name, '--at', new Date(at).toISOString(), '--yes'];
    return restoreCutShort(stage, luck, { argv, at, ended: 'restored once more' });
  },
};

const undoKilled: Fault = {
  name: '`restore --undo` killed',
  once: async (stage, luck) => {
    const { name } = stage.pushers[0];
    const at = Date.now() - 2_000;
    await succeed(stage, 'restore', name, '--at', new Date(at).toISOString(), '--yes');
    const argv = ['restore', name, '--undo', '--yes'];
    return restoreCutShort(stage, luck, { argv, at, ended: 'left as it was' });
  },
};

const renameKilled: Fault = {
  name: '`repo rename` killed',
  once: async (stage, luck) => {
    const { name, url } = stage.pushers[0];
    const aside = `${name}-aside`;
    const how = await cutShort(stage, luck, { longest: 1_500, argv: ['repo', 'rename', name, aside] });
    await isOpen([url, url.replace(name, aside)]);
    const again = await stage.forge.cli('repo', 'rename', name, aside);
    if (again.code !== 0) expect(again.stderr).toContain(`There is no repository ${name}`);
    await succeed(stage, 'repo', 'rename', aside, name);
    await isOpen([url]);
    return `${how}; ${again.code === 0 ? 'it had the former name' : 'it had the new name'}`;
  },
};

const maintainKilled: Fault = {
  name: '`repo maintain` killed',
  once: async (stage, luck) => {
    const { name, url } = stage.pushers[0];
    const argv = ['repo', 'maintain', name];
    const how = await cutShort(stage, luck, { longest: 2_500, argv });
    await isOpen([url]);
    await succeed(stage, ...argv);
    return `${how}; run again: done`;
  },
};

const backupNowKilled: Fault = {
  name: '`backup now` killed',
  once: async (stage, luck) => {
    const how = await cutShort(stage, luck, { longest: 600, argv: ['backup', 'now'] });
    await succeed(stage, 'backup', 'now');
    return `${how}; run again: done`;
  },
};

tryFaults('directory', [restoreKilled, undoKilled, renameKilled, maintainKilled, backupNowKilled]);
