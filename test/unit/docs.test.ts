import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { commandReference } from '../../docs/reference.ts';
import { buildCli } from '../../src/cli.ts';
import { programHome } from '../../src/config/paths.ts';
import { commandsIn, headingsIn, linksIn } from './docs-text.ts';

const read = (name: string) => readFileSync(join(programHome, name), 'utf8');
const pages = [
  ...readdirSync(programHome).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(programHome, 'docs')).flatMap((name) => (name.endsWith('.md') ? [`docs/${name}`] : [])),
];

/** What is wrong with a command line, without doing what it says. */
async function problemWith(words: readonly string[]): Promise<string | undefined> {
  const program = buildCli();
  inert(program);
  let said = '';
  program.configureOutput({ writeErr: (text) => (said += text), writeOut: () => undefined });
  return program.parseAsync([...words], { from: 'user' }).then(
    () => undefined,
    (error: unknown) =>
      words.includes('--help') || words.includes('--version') ? undefined : said || String(error),
  );
}

function inert(command: Command): void {
  if (command.commands.length === 0) command.action(() => undefined);
  command.configureOutput({ writeErr: () => undefined, writeOut: () => undefined });
  command.commands.forEach(inert);
}

test('docs/reference.md is the command tree of the program', () => {
  expect(read('docs/reference.md')).toBe(commandReference(buildCli()));
});

describe.each(pages)('%s', (page) => {
  test('leads nowhere that is not there', () => {
    const missing = linksIn(read(page)).filter(({ path, anchor }) => {
      const target = path === '' ? page : join(dirname(page), path);
      if (!existsSync(join(programHome, target))) return true;
      return anchor !== undefined && !headingsIn(read(target)).some((heading) => heading.anchor === anchor);
    });
    expect(missing).toEqual([]);
  });

  test('names only commands and options that there are', async () => {
    const wrong: string[] = [];
    for (const words of commandsIn(read(page))) {
      const problem = await problemWith(words);
      if (problem !== undefined) wrong.push(`fossilrepo ${words.join(' ')}: ${problem}`);
    }
    expect(wrong).toEqual([]);
  });
});

test('the pages name many commands', () => {
  expect(pages.flatMap((page) => commandsIn(read(page))).length).toBeGreaterThan(60);
});

test('a command that is not there would be noticed', async () => {
  expect(await problemWith(['repo', 'paint', 'x'])).toContain('unknown command');
  expect(await problemWith(['repo', 'create'])).toContain('missing required argument');
  expect(await problemWith(['repo', 'create', 'x', '--colour'])).toContain('unknown option');
  expect(await problemWith(['repo', 'create', 'x', '--visibility', 'secret'])).toContain('Allowed choices');
  expect(await problemWith(['--root', '/x', 'up'])).toBeUndefined();
});

test('each message that troubleshooting explains is one that the program says', () => {
  const sources = ['src', 'templates'].flatMap((folder) =>
    readdirSync(join(programHome, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8').replaceAll('\\', '')),
  );
  const messages = headingsIn(read('docs/troubleshooting.md')).filter(({ level }) => level === 3);
  const unknown = messages.filter(
    ({ text }) =>
      !text
        .split('…')
        .map((piece) => piece.trim())
        .filter((piece) => /[a-z]{2}/.test(piece))
        .every((piece) => sources.some((source) => source.includes(piece))),
  );
  expect(messages.length).toBeGreaterThan(30);
  expect(unknown.map(({ text }) => text)).toEqual([]);
});
