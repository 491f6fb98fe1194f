import { createTwoFilesPatch } from 'diff';
import { addressOf } from '../stack/listeners.ts';
import type { Step } from './steps.ts';

/** A step in one line, as an operator would say it. */
export function describeStep(step: Step): string {
  switch (step.do) {
    case 'group':
      return `make the group ${step.name}`;
    case 'user':
      return `make the user ${step.name} (no shell, no password)`;
    case 'directory':
      return step.exists
        ? `set ${step.path} to ${step.mode.toString(8)}${step.owner ? ` ${step.owner.user}:${step.owner.group}` : ''}`
        : `make the folder ${step.path}`;
    case 'files':
      return `write ${step.title}: ${step.files.map((file) => file.path).join(', ')}`;
    case 'secret':
      return `make ${step.title} in ${step.path}`;
    case 'storage-keys':
      return `write the storage's keys to ${step.path}`;
    case 'instance':
      return 'make the management database and the administrator';
    case 'units':
      return 'let systemd read its units again';
    case 'disable':
      return 'let systemd start nothing of it any more';
    case 'standing':
      return `start ${step.units.join(', ')}, at every boot, too`;
    case 'part':
      return step.action === 'start' && step.listens.length > 0
        ? `start ${step.part} (listens on ${step.listens.map(addressOf).join(', ')})`
        : `${step.action} ${step.part}`;
    case 'remove':
      return `remove ${step.title}: ${step.path}`;
    case 'remove-program':
      return `remove the program: ${step.paths.join(', ')}`;
    case 'remove-user':
      return `remove the user ${step.name}`;
    case 'remove-group':
      return `remove the group ${step.name}`;
    case 'remove-packages':
      return `remove the packages that install.sh added: ${step.names.join(' ')}`;
  }
}

/** A plan for people: each step a line, each changed file with its diff. */
export function describePlan(steps: readonly Step[]): string {
  if (steps.length === 0) return 'nothing to do';
  return steps.map((step) => [`- ${describeStep(step)}`, ...diffs(step)].join('\n')).join('\n');
}

/** The diffs of the files that a step changes. */
export function diffs(step: Step): string[] {
  if (step.do !== 'files') return [];
  return step.files.map((file) => {
    const patch = createTwoFilesPatch(
      file.path,
      file.path,
      file.former ?? '',
      file.content,
      'now',
      'wanted',
      { context: 2 },
    );
    const lines = patch
      .split('\n')
      .slice(1)
      .filter((line) => !line.startsWith('\\'));
    return lines
      .map((line) => `    ${line}`)
      .join('\n')
      .trimEnd();
  });
}
