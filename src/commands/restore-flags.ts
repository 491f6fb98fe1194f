import { OperatorError } from '../errors.ts';

export type RestoreFlags = {
  at?: string;
  all: boolean;
  into?: string;
  undo: boolean;
  redo: boolean;
  shun: boolean;
  inTrash: boolean;
  as?: string;
  yes: boolean;
  dryRun: boolean;
};

/** @throws OperatorError (usage) for options that don't go together */
export function checkFlags(names: readonly string[], flags: RestoreFlags): void {
  const problems: [boolean, string][] = [
    [
      [flags.at !== undefined, flags.undo, flags.redo].filter(Boolean).length !== 1,
      'Give one of --at TIME, --undo and --redo.',
    ],
    [flags.all === names.length > 0, 'Name the repositories, or say --all.'],
    [
      (flags.undo || flags.redo) && flags.all,
      'Name the repositories for --undo and --redo: restore --all says at its end with which command all of it is taken back.',
    ],
    [
      (flags.undo || flags.redo) && flags.into !== undefined,
      '--undo and --redo bring what was there before into its place; --into is for --at.',
    ],
    [
      flags.into !== undefined && (flags.as !== undefined || flags.inTrash || flags.shun),
      '--into only writes files: what is served, and in the trash, stays as it is.',
    ],
    [flags.as !== undefined && names.length !== 1, '--as is for one repository.'],
  ];
  const [, problem] = problems.find(([is]) => is) ?? [];
  if (problem !== undefined)
    throw new OperatorError(problem, {
      next: 'fossilrepo restore demo --at 2026-11-21T14:00, fossilrepo restore demo --undo, fossilrepo restore --all --at 15m',
      exit: 'usage',
    });
}
