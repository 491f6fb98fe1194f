import { OperatorError } from '../errors.ts';
import { parseSchedule } from '../plan/schedule.ts';
import type { ExtraFlags } from './extras.ts';
import type { DivergencePolicy, Mirror } from '../store/mirrors.ts';

/** What an operator can say about a mirror besides where it is. */
export type MirrorFlags = ExtraFlags & {
  main?: string;
  branches?: string;
  onDivergence?: DivergencePolicy;
  schedule?: string;
  user?: string;
};

type Settings = Pick<Mirror, 'main' | 'branches' | 'onDivergence' | 'everyMs' | 'user' | 'tickets' | 'wiki'>;

/** The settings that were said, as the row keeps them. @throws OperatorError (usage) */
export function settingsOf(flags: MirrorFlags): Partial<Settings> {
  const { main, branches, onDivergence, schedule, user, tickets, wiki } = flags;
  if (main !== undefined && !isBranchName(main))
    throw new OperatorError(`Git can't call a branch ${JSON.stringify(main)}.`, { exit: 'usage' });
  return {
    ...(main !== undefined && { main }),
    ...(branches !== undefined && { branches: patternsOf(branches) }),
    ...(onDivergence !== undefined && { onDivergence }),
    ...(schedule !== undefined && { everyMs: parseSchedule(schedule) }),
    ...(tickets !== undefined && { tickets }),
    ...(wiki !== undefined && { wiki: wiki !== false }),
    ...(user !== undefined && { user: user === '' ? null : user }),
  };
}

/** `*` alone and nothing mean all. */
function patternsOf(text: string): string | null {
  const patterns = text
    .split(',')
    .map((pattern) => pattern.trim())
    .filter((pattern) => pattern !== '');
  return patterns.length === 0 || patterns.includes('*') ? null : patterns.join(',');
}

/** The plain ones of those that git-check-ref-format(1) allows: enough for a main branch. */
const isBranchName = (name: string): boolean =>
  /^[\w][\w./+-]{0,99}$/.test(name) && !/\.\.|\/\/|\/\.|\.lock(\/|$)|[./]$/.test(name);
