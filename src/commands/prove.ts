import { setTimeout as sleep } from 'node:timers/promises';
import { administratorLogin, firstPassword, passwordWasShown } from '../access/administrator.ts';
import { deliverBundle } from '../backup/deliver-bundle.ts';
import { exitCodes, messageOf, OperatorError } from '../errors.ts';
import { type Forge, withForge } from '../forge.ts';
import { ensureCanary, flyCanary } from '../health/canary.ts';
import type { Finding } from '../health/finding.ts';
import { readLoopState } from '../health/loop-state.ts';
import { healthNow } from '../health/now.ts';
import { forgeUrl } from '../repos/urls.ts';
import type { RecoveryKey } from '../secrets/bundle/format.ts';
import { firstRecoveryKey, noteShown } from '../secrets/bundle/recovery.ts';
import { type GlobalOptions, openServer } from '../server.ts';
import { withLock } from '../system/locks.ts';
import { type Output, untilWritten } from '../system/output.ts';
import { renewBundle } from './seal-bundle.ts';

/** How long a fresh server may take until all parts answer, the first certificate included. Milliseconds. */
const patience = 90_000;
/** The loop looks every few seconds. Milliseconds. */
const lookedWithin = 15_000;

/**
 * Proves from outside that the server works (clone, push, found in the replica), then says where it is and, once, the
 * administrator's password and the recovery key.
 * @param told.also goes into the JSON @param told.next what whoever reads it does next
 * @throws OperatorError with what doesn't work
 */
export async function prove(
  options: GlobalOptions,
  { also = {}, next = 'fossilrepo repo create NAME' }: { also?: object; next?: string } = {},
): Promise<void> {
  const server = openServer(options);
  // As who called: what comes after may not read what is sealed here.
  const recoveryKey = await firstRecoveryKey(server.paths);
  await renewBundle(server);
  await withForge(options, async (forge) => {
    await untilWorking(() => withLock(forge.paths, 'changes', patience, () => ensureCanary(forge)));
    await untilWorking(() => flyCanary(forge));
    const findings = await untilHealthy(forge);
    await report(forge, recoveryKey, also, next);
    await bringBundle(forge);
    if (recoveryKey !== undefined) await untilLooked(forge);
    answerFindings(forge.out, findings);
  });
}

/** What is still wrong, and exit code 4; that some repositories are not back (6) says more than that status is red with them. */
export function answerFindings(out: Pick<Output, 'warn'>, findings: readonly Finding[]): void {
  for (const { what, next } of findings) out.warn(`${what} ${next}`);
  if (findings.length > 0) process.exitCode ??= exitCodes.check;
}

/** The loop has to see it, too: `status` right after an install is green. @returns what is still wrong when patience ends */
async function untilHealthy(forge: Forge): Promise<Finding[]> {
  const deadline = Date.now() + patience;
  for (;;) {
    const { ok, canary, findings } = await healthNow(forge);
    if (ok && canary !== null) return [];
    if (Date.now() > deadline) return findings.filter(({ level }) => level === 'red');
    await sleep(500);
  }
}

/** Until the loop has looked once more, `status` says that nobody was shown the key. */
async function untilLooked({ paths }: Forge): Promise<void> {
  const shown = Date.now();
  while (Date.parse(readLoopState(paths)?.at ?? '') < shown && Date.now() - shown < lookedWithin)
    await sleep(200);
}

/** `recoveryKey` is of this run alone: nothing was sent that is sealed to one which was made before and not shown. */
async function report(
  forge: Forge,
  recoveryKey: RecoveryKey | undefined,
  also: object,
  next: string,
): Promise<void> {
  const { config, store, out } = forge;
  const url = forgeUrl(config);
  const password = await firstPassword(store);
  const lines = [
    `The forge answers at ${url}`,
    ...(password === undefined
      ? []
      : [
          `Sign in as ${administratorLogin} with the password ${password.reveal()}`,
          'It is shown this once: keep it.',
        ]),
    ...(recoveryKey === undefined
      ? []
      : [
          `The recovery key is ${recoveryKey.identity.reveal()}`,
          "It is shown this once: keep it off this machine. Without it the server's secrets can't be brought back from the replica.",
        ]),
    `Next: ${next}`,
  ];
  const admin = { login: administratorLogin, ...(password !== undefined && { password: password.reveal() }) };
  const key = recoveryKey && { recoveryKey: recoveryKey.identity.reveal() };
  out.result({ url, admin, ...key, ...also }, lines.join('\n'));
  await untilWritten();
  if (password !== undefined) passwordWasShown(store);
  if (recoveryKey !== undefined) noteShown(store, recoveryKey.recipient);
  if (config.replica.url.startsWith('file://'))
    out.warn(
      `The replica is the folder ${config.replica.url.slice('file://'.length)}: on the same disk it is no backup. Set another with fossilrepo install --replica.`,
    );
}

/** The loop would do it within a minute; who installs has it now. */
async function bringBundle(forge: Forge): Promise<void> {
  try {
    await deliverBundle(forge);
  } catch (error) {
    forge.out.warn(`The bundle of this server's secrets is not in the replica yet: ${messageOf(error)}`);
  }
}

async function untilWorking<T>(attempt: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + patience;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > deadline)
        throw new OperatorError(`The server runs, but does not work: ${messageOf(error)}`, {
          next:
            error instanceof OperatorError && error.next !== undefined
              ? error.next
              : 'See fossilrepo status.',
          cause: error,
        });
      await sleep(500);
    }
  }
}
