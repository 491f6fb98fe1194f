import type { Command } from 'commander';
import { expect, test } from 'vitest';
import { buildCli } from '../../src/cli.ts';

/** Verbs that look, and leave everything as it is. */
const looking = [
  'diff',
  'status',
  'logs',
  'repo list',
  'repo show',
  'repo verify',
  'upstream show',
  'backup status',
  'backup verify',
  'backup list',
  'mirror list',
  'mirror show',
  'mirror log',
  'mirror verify',
];

/** Verbs that change nothing that an operator could want to see first: a process in the foreground; a wait for what happens anyway. */
const plain = ['up', 'backup now'];

const changing = [
  ...['install', 'apply', 'uninstall', 'start', 'stop', 'restart'],
  ...['repo create', 'repo configure', 'repo rename', 'repo archive', 'repo unarchive', 'repo delete'],
  ...['repo undelete', 'repo purge', 'repo maintain'],
  ...['upstream set', 'upstream pull', 'upstream accept', 'upstream remove'],
  ...['user token', 'backup recovery-key', 'restore'],
  ...['mirror add', 'mirror configure', 'mirror remove', 'sync'],
];

/** The verbs that operators see. */
function verbs(command: Command, before: readonly string[] = []): [name: string, verb: Command][] {
  return command
    .createHelp()
    .visibleCommands(command)
    .filter((one) => one.name() !== 'help')
    .flatMap((one) => {
      const words = [...before, one.name()];
      return one.commands.length === 0 ? [[words.join(' '), one] as const] : verbs(one, words);
    })
    .map(([name, verb]) => [name, verb]);
}

const all = new Map(verbs(buildCli()));

test('of each verb it is said whether it changes something', () => {
  expect([...all.keys()].sort()).toEqual([...looking, ...plain, ...changing].sort());
});

test.each(changing)('%s takes --dry-run and --yes', (name) => {
  const flags = all.get(name)?.options.map(({ long }) => long);
  expect(flags).toContain('--dry-run');
  expect(flags).toContain('--yes');
});

test.each(looking)('%s has nothing to ask', (name) => {
  expect(all.get(name)?.options.map(({ long }) => long)).not.toContain('--yes');
});
