import { exitCodes, messageOf, OperatorError } from '../errors.ts';
import { type Forge, withForge } from '../forge.ts';
import { type VerifiedMirror, verifyMirrors, type VerifiedMirrors } from '../mirror/verify.ts';
import { byVerifyTurn, type Mirrored } from '../mirror/verify-round.ts';
import type { GlobalOptions } from '../server.ts';
import { mirrorsOf } from '../store/mirrors.ts';
import { getRepository } from '../store/repositories.ts';
import { answerFor, attemptAll, type Attempts } from '../system/attempts.ts';

/** With --sample so many of each repository: no push waits long for its mirrors then. */
const checkins = 200;

/** `fossilrepo mirror verify`: whether Git, here and on the mirrors, holds what Fossil does. Answers 4 when not, 6 when some could not be asked. */
export async function mirrorVerify(
  options: GlobalOptions,
  names: readonly string[],
  { sample }: { sample?: number },
): Promise<void> {
  if (names.length > 0 && sample !== undefined)
    throw new OperatorError('Name the repositories, or say --sample.', { exit: 'usage' });
  await withForge(options, async (forge) => {
    const chosen = names.length > 0 ? byName(forge, names) : byVerifyTurn(forge).slice(0, sample);
    // One after the other: pushes need the processor and the disk, too.
    report(
      forge,
      await attemptAll(chosen, 1, async ({ row, mirrors }) => {
        if (forge.out.live) forge.out.say(`comparing ${row.name}`);
        return await verifyMirrors(forge, row, mirrors, sample === undefined ? undefined : checkins);
      }),
    );
  });
}

const byName = ({ store }: Pick<Forge, 'store'>, names: readonly string[]): Mirrored[] =>
  [...new Set(names)].map((name) => {
    const row = getRepository(store, name);
    const mirrors = mirrorsOf(store, row.id);
    if (mirrors.length > 0) return { row, mirrors };
    throw new OperatorError(`${name} has no mirror.`, {
      next: `fossilrepo mirror add ${name} URL makes one.`,
      exit: 'usage',
    });
  });

const standing = ({ refs, kept }: VerifiedMirror): string =>
  `${refs - kept.length} refs are as they should be` +
  (kept.length === 0 ? '' : `; as others left them there: ${kept.join(', ')}`);

/** How many refs are named that are nobody's fault. */
const named = 10;

/** For information: people may have branches there. */
const besides = ({ extra }: VerifiedMirror): string => {
  const more = extra.length > named ? ` and ${extra.length - named} more: --json names them` : '';
  return extra.length === 0 ? '' : `; not from here now: ${extra.slice(0, named).join(', ')}${more}`;
};

function report({ out }: Pick<Forge, 'out'>, { done, failed }: Attempts<Mirrored, VerifiedMirrors>): void {
  const results = done.map(({ value }) => value);
  const problems = failed.map(({ item, error }) => ({ repository: item.row.name, error: messageOf(error) }));
  const bad = results.filter(({ ok }) => !ok);
  const lines = [
    ...results.flatMap(({ repository, ok, checkins, entries, differences, mirrors }) => [
      `${ok ? 'ok ' : 'BAD'} ${repository}: ${checkins} check-ins and ${entries} files in them`,
      ...differences.map((what) => `    ${what}`),
      ...mirrors.map((one) => `    ${one.mirror}: ${one.error ?? standing(one)}${besides(one)}`),
    ]),
    ...problems.map(({ repository, error }) => `${repository} could not be compared: ${error}`),
  ];
  out.result(
    { ok: bad.length === 0 && problems.length === 0, results, failed: problems },
    lines.length === 0 ? 'nothing to do: there are no mirrors' : lines.join('\n'),
  );
  const unasked = results.filter(({ mirrors }) => mirrors.some(({ ok }) => ok === null)).length;
  if (bad.length > 0) process.exitCode = exitCodes.check;
  else answerFor(results.length + problems.length, problems.length + unasked);
}
