import type { Argument, Command } from 'commander';
import { exitCodes } from '../src/errors.ts';

const introduction = `# Commands

Every command with its options, as \`fossilrepo COMMAND --help\` tells them. Made from the program; do not edit.
Results go to standard output, talk to standard error. What changes something for good asks first; \`--yes\` answers.
`;

const meanings: Record<keyof typeof exitCodes, string> = {
  done: 'done',
  failed: 'failed; the lines on standard error say what happened and what to do next',
  usage: 'wrong usage: an unknown option, a name that cannot be, a repository that is not there',
  configuration: '`fossilrepo.yaml` or a file with keys is wrong; the line is named, nothing was changed',
  check: 'a check failed: status is red, a repository is damaged, the machine does not fit',
  busy: 'another command is at work; wait and run it again',
  partly: 'done for some repositories and not for others; the failed ones are listed',
  cancelled: 'you said no; nothing was changed',
};

/** `docs/reference.md`: the command tree as text, whatever the width of a terminal; a test compares it. */
export function commandReference(program: Command): string {
  const codes = Object.entries(exitCodes).map(
    ([name, code]) => `| ${code} | ${meanings[name as keyof typeof exitCodes]} |`,
  );
  return [
    introduction,
    '## Options of every command\n',
    options(program),
    ...leaves(program).map(describe),
    '## Exit codes\n',
    `${table('code', codes)}\n`,
  ].join('\n');
}

/** The commands that do something themselves, in the tree's order; hidden ones are for the program's own use. */
function leaves(command: Command): Command[] {
  const below = command
    .createHelp()
    .visibleCommands(command)
    .filter((one) => one.name() !== 'help');
  return below.length === 0 ? [command] : below.flatMap(leaves);
}

function describe(command: Command): string {
  const usage = [pathOf(command), ...command.registeredArguments.map(argument)].join(' ');
  const title = `## ${pathOf(command)}\n\n\`${usage}\`: ${command.description()}.\n`;
  return [title, options(command)].filter((text) => text !== '').join('\n');
}

const pathOf = (command: Command): string =>
  command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();

function argument(one: Argument): string {
  const word = `${one.name().toUpperCase()}${one.variadic ? '…' : ''}`;
  return one.required ? word : `[${word}]`;
}

function options(command: Command): string {
  const help = command.createHelp();
  const rows = help
    .visibleOptions(command)
    .filter((option) => option.long !== '--help')
    .map((option) => `| \`${help.optionTerm(option)}\` | ${cell(help.optionDescription(option))} |`);
  return rows.length === 0 ? '' : `${table('option', rows)}\n`;
}

/** `false` as a default goes without saying. */
const cell = (text: string): string => text.replace(' (default: false)', '').replaceAll('|', '\\|');

const table = (first: string, rows: readonly string[]): string =>
  [`| ${first} | meaning |`, '|---|---|', ...rows].join('\n');
