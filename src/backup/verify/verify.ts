import { messageOf, OperatorError } from '../../errors.ts';
import type { Forge } from '../../forge.ts';
import { addEvent } from '../../store/events.ts';
import { addVerification, type Verification } from '../../store/verifications.ts';
import { managementId } from '../location.ts';
import type { Measured } from './fetch.ts';
import { verifyManagement } from './management.ts';
import { verifyRepositoryReplica } from './repository.ts';

/** A database whose replica can be verified: a repository, or `management`. */
export type Verifiable = { id: string; name: string };

/** What became of one that came to an answer. */
export type Verified = Verifiable &
  Measured & {
    ok: boolean;
    /** What is wrong; null when nothing is. */
    error: string | null;
    /** What to do then. */
    next: string | null;
    /** ISO 8601. */
    at: string;
  };

/**
 * Verifies one database's replica and remembers the outcome.
 * @throws when it could not be found out whether it is good, which is remembered, too
 */
export async function verifyReplica(forge: Forge, { id, name }: Verifiable): Promise<Verified> {
  const at = new Date();
  const measured: Measured = {
    txid: 0,
    artifacts: 0,
    unversioned: 0,
    bytes: 0,
    fetchMs: 0,
    checkMs: 0,
    counts: null,
  };
  const remember = (outcome: Verification['outcome'], error: string | null): void => {
    measured.fetchMs = Math.round(measured.fetchMs);
    measured.checkMs = Math.round(measured.checkMs);
    const { txid, artifacts, bytes, fetchMs, checkMs } = measured;
    const row = { database: id, at: at.getTime(), outcome, error, txid, artifacts, bytes, fetchMs, checkMs };
    addVerification(forge.store, row);
  };
  try {
    if (id === managementId) await verifyManagement(forge, measured);
    else await verifyRepositoryReplica(forge, id, measured);
    remember('ok', null);
    return { id, name, ok: true, error: null, next: null, at: at.toISOString(), ...measured };
  } catch (error) {
    const message = messageOf(error);
    if (!(error instanceof OperatorError) || error.exit !== 'check') {
      remember('not done', message);
      throw error;
    }
    remember('wrong', message);
    const repository = id === managementId ? undefined : id;
    addEvent(forge.store, { kind: 'unverified', text: `the replica of ${name}: ${message}`, repository });
    const next = error.next ?? null;
    return { id, name, ok: false, error: message, next, at: at.toISOString(), ...measured };
  }
}
