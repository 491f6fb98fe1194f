import { OperatorError } from '../errors.ts';
import { type Forge, withForge } from '../forge.ts';
import type { DescribedPart } from '../mirror/describe-parts.ts';
import { describeRun } from '../mirror/describe-run.ts';
import { type DescribedMirror, describeMirror } from '../mirror/describe.ts';
import type { GlobalOptions } from '../server.ts';
import { type PushedRef, pushedRefs } from '../store/mirror-refs.ts';
import { type Mirror, mirrorsOf } from '../store/mirrors.ts';
import { getRepository, type Repository } from '../store/repositories.ts';
import { type LoggedRun, syncRuns } from '../store/sync-runs.ts';
import { showInstant } from '../system/instant.ts';

/** Runs that are shown; `mirror log` has all. */
const shownRuns = 10;

/** `fossilrepo mirror show REPO [NAME]`: one mirror with its settings, its refs, and what was pushed lately. */
export async function mirrorShow(
  options: GlobalOptions,
  repository: string,
  name: string | undefined,
): Promise<void> {
  await withForge(options, (forge) => {
    const row = getRepository(forge.store, repository);
    const mirror = mirrorNamed(forge, row, name);
    const described = describeMirror(forge, row, mirror);
    const refs = pushedRefs(forge.store, mirror.id);
    const runs = syncRuns(forge.store, { mirror: mirror.id, limit: shownRuns });
    const renamed = refs.filter(({ name: inFossil }) => inFossil !== null);
    forge.out.result(
      {
        mirror: described,
        refs,
        runs: runs.map((run) => ({ ...run, at: new Date(run.at).toISOString() })),
      },
      [
        ...lines(described),
        `refs there      ${refs.length}`,
        ...renamedLines(renamed),
        ...runLines(runs),
      ].join('\n'),
    );
    return Promise.resolve();
  });
}

/** A mirror of a repository; the only one when no name is said. @throws OperatorError (usage) */
export function mirrorNamed(
  { store }: Pick<Forge, 'store'>,
  row: Repository,
  name: string | undefined,
): Mirror {
  const all = mirrorsOf(store, row.id);
  const found = name === undefined && all.length === 1 ? all[0] : all.find((mirror) => mirror.name === name);
  if (found) return found;
  throw new OperatorError(
    name === undefined ? `Which mirror of ${row.name}?` : `${row.name} has no mirror ${name}.`,
    {
      next:
        all.length === 0
          ? `fossilrepo mirror add ${row.name} URL makes one.`
          : `It has: ${all.map((mirror) => mirror.name).join(', ')}.`,
      exit: 'usage',
    },
  );
}

function lines(one: DescribedMirror): string[] {
  const when = (instant: string | null, none: string) =>
    instant === null ? none : showInstant(new Date(instant));
  return [
    `${one.repository} to ${one.name}`,
    `address         ${one.url}`,
    `main branch     ${one.main}`,
    `branches        ${one.branches ?? 'all'}`,
    `on divergence   ${one.onDivergence}`,
    `schedule        every ${one.schedule}, and soon after each push`,
    `credential      ${one.credential}${one.user === null ? '' : ` of ${one.user}`}`,
    ...(one.publicKey === null ? [] : [`deploy key      ${one.publicKey}`]),
    ...one.hostKeys.map(({ type, fingerprint }) => `host key        ${type} ${fingerprint}`),
    `last success    ${when(one.lastSuccess, 'never')}`,
    `last compared   ${when(one.lastCompared, 'never')}`,
    ...(one.error === null
      ? []
      : [
          `failing since   ${when(one.failingSince, '')}`,
          `last error      ${one.error}`,
          `next try        ${when(one.nextTry, `when it was mended: fossilrepo mirror configure, or fossilrepo sync ${one.repository}`)}`,
        ]),
    `behind          ${one.behind === null ? 'the repository can\u2019t be read' : `${one.behind} check-ins, ${one.refsBehind ?? 0} refs`}`,
    ...partLines(one),
    ...(one.rewound === null
      ? []
      : [`rewound         by a restore at ${when(one.rewound.at, '')} to ${when(one.rewound.to, '')}`]),
    ...(one.verified === null
      ? []
      : [`verified        ${when(one.verified.at, '')}: ${one.verified.error ?? 'equal'}`]),
  ];
}

function partLines({ tickets, wiki, tokenExpires }: DescribedMirror): string[] {
  const stands = ({ lastSuccess, error, nextTry }: DescribedPart) =>
    [
      lastSuccess === null ? 'not there yet' : `last success ${showInstant(new Date(lastSuccess))}`,
      ...(error === null ? [] : [`failing: ${error}`]),
      ...(nextTry === null ? [] : [`next try ${showInstant(new Date(nextTry))}`]),
    ].join('; ');
  return [
    ...(tickets ? [`tickets         ${tickets.count} issues; ${stands(tickets)}`] : []),
    ...(wiki ? [`wiki            ${wiki.count} pages in ${wiki.place}; ${stands(wiki)}`] : []),
    ...(tokenExpires === null ? [] : [`token ends      ${showInstant(new Date(tokenExpires))}`]),
  ];
}

const renamedLines = (renamed: readonly PushedRef[]): string[] =>
  renamed.map(({ ref, name }) => {
    const kind = ref.startsWith('refs/tags/') ? 'tag' : 'branch';
    return `renamed         ${kind} ${name ?? ''} is ${ref.replace(/^refs\/(heads|tags)\//, '')} there`;
  });

const runLines = (runs: readonly LoggedRun[]): string[] =>
  runs.length === 0
    ? []
    : [
        '',
        'lately',
        ...runs.map(
          (run) => `  ${showInstant(new Date(run.at))}  ${run.part} (${run.why}): ${describeRun(run)}`,
        ),
      ];
