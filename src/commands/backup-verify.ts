import prettyBytes from 'pretty-bytes';
import prettyMilliseconds from 'pretty-ms';
import { managementId } from '../backup/location.ts';
import { refuseWhileFenced } from '../backup/fence.ts';
import { sampleOf } from '../backup/verify/sample.ts';
import { type Verifiable, type Verified, verifyReplica } from '../backup/verify/verify.ts';
import { exitCodes, messageOf, OperatorError } from '../errors.ts';
import { type Forge, withForge } from '../forge.ts';
import { sweepVerifications } from '../repos/scratch.ts';
import type { GlobalOptions } from '../server.ts';
import { findRepository, findRepositoryById, listRepositories } from '../store/repositories.ts';
import { lastAttempts, lastVerifications } from '../store/verifications.ts';
import { answerFor, attemptAll, type Attempts } from '../system/attempts.ts';
import { withLock } from '../system/locks.ts';

/** How long another verification is waited for. Milliseconds. */
const patience = 1_000;

/** `fossilrepo backup verify`: whether what is in service comes out of the replica. Answers 4 when one doesn't, 6 when some could not be asked. */
export async function backupVerify(
  options: GlobalOptions,
  names: readonly string[],
  { sample }: { sample?: number },
): Promise<void> {
  if (names.length > 0 && sample !== undefined)
    throw new OperatorError('Name the repositories, or say --sample.', { exit: 'usage' });
  await withForge(options, async (forge) => {
    const chosen = names.length > 0 ? named(forge, names) : all(forge, sample);
    refuseWhileFenced(forge);
    await withLock(forge.paths, 'verify', patience, async () => {
      sweepVerifications(forge.paths);
      // One after the other: pushes need the processor and the disk, too.
      report(forge, await attemptAll(chosen, 1, (one) => verify(forge, one)));
    });
  });
}

/** @throws OperatorError (usage) for a name that is none, or not in service */
function named(forge: Pick<Forge, 'store'>, names: readonly string[]): Verifiable[] {
  const found = names.map((name) => {
    if (name === managementId && !findRepository(forge.store, name)) return management;
    const row = findRepository(forge.store, name) ?? findRepositoryById(forge.store, name);
    if (row?.state === 'active') return { id: row.id, name: row.name };
    throw new OperatorError(`There is no repository ${name} in service to compare with.`, {
      next: row
        ? 'A deleted one is checked by every restore.'
        : 'fossilrepo repo list shows those there are.',
      exit: 'usage',
    });
  });
  return [...new Map(found.map((one) => [one.id, one])).values()];
}

const management: Verifiable = { id: managementId, name: 'management database' };

function all(forge: Pick<Forge, 'store'>, sample: number | undefined): Verifiable[] {
  const rows = listRepositories(forge.store).filter(({ state }) => state === 'active');
  if (sample === undefined) return [management, ...rows.map(({ id, name }) => ({ id, name }))];
  const last = [...lastVerifications(forge.store).values()];
  const failed = new Set(last.filter(({ outcome }) => outcome === 'wrong').map(({ database }) => database));
  const ids = sampleOf(
    rows.map(({ id }) => id),
    sample,
    lastAttempts(forge.store),
    failed,
  );
  const names = new Map(rows.map(({ id, name }) => [id, name]));
  return [management, ...ids.map((id) => ({ id, name: names.get(id) ?? id }))];
}

async function verify(forge: Forge, one: Verifiable): Promise<Verified> {
  const verified = await verifyReplica(forge, one);
  forge.out.say(`- ${one.name}: ${verified.ok ? describe(verified) : (verified.error ?? '')}`);
  return verified;
}

function describe({ bytes, artifacts, unversioned, fetchMs, checkMs }: Verified): string {
  const what =
    artifacts === 0 ? '' : `, ${artifacts} artifacts and ${unversioned} unversioned files, all as in service`;
  const took = (ms: number) => prettyMilliseconds(ms, { compact: ms >= 60_000 });
  return `${prettyBytes(bytes)} fetched in ${took(fetchMs)}, checked in ${took(checkMs)}${what}`;
}

function report({ out }: Pick<Forge, 'out'>, { done, failed }: Attempts<Verifiable, Verified>): void {
  const results = done.map(({ value }) => value);
  const bad = results.filter(({ ok }) => !ok);
  const problems = failed.map(({ item: { id, name }, error }) => ({ id, name, error: messageOf(error) }));
  const good = results.length - bad.length;
  out.result(
    { ok: bad.length + problems.length === 0, results, failed: problems },
    [
      ...bad.flatMap(({ name, error, next }) => [
        `BAD ${name}: ${error ?? ''}`,
        ...(next === null ? [] : [`    ${next}`]),
      ]),
      ...problems.map(({ name, error }) => `${name} could not be verified: ${error}`),
      `${good} of ${results.length + problems.length} databases come out of the replica as they are in service`,
    ].join('\n'),
  );
  if (bad.length > 0) process.exitCode = exitCodes.check;
  else answerFor(results.length + problems.length, problems.length);
}
