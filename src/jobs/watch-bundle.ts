import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { deliverBundle } from '../backup/deliver-bundle.ts';
import { messageOf, OperatorError } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { bundleFindings } from '../health/bundle.ts';
import type { Finding } from '../health/finding.ts';
import { readRecovery, wasShown } from '../secrets/bundle/recovery.ts';
import { lastLook, readSealed } from '../secrets/bundle/seal.ts';
import { watchFolder } from '../system/watch.ts';

/** Sees to it that the newest sealed bundle is in the replica. */
export type BundleWatch = {
  findings: () => Finding[];
  /** Brings it there if it isn't; never fails. */
  check: () => Promise<void>;
  stop: () => void;
};

/**
 * A new bundle is brought to the replica as soon as root has sealed it; what went wrong is tried again at each check.
 * @param ours whether the replica may be written to
 */
export function watchBundle(forge: Forge, ours: () => boolean): BundleWatch {
  const { paths, store } = forge;
  const since = Date.now();
  let safe = since;
  let error: string | undefined;
  let left: readonly string[] = [];
  let delivering: Promise<void> | undefined;

  const deliver = async () => {
    if (!ours()) {
      // That is a finding of its own.
      safe = Date.now();
      return;
    }
    try {
      left = readSealed(paths)?.left ?? [];
      if ((await deliverBundle(forge)) !== undefined) safe = Date.now();
      error = undefined;
    } catch (failure) {
      error = messageOf(failure);
    }
  };
  const check = () =>
    (delivering ??= deliver().finally(() => {
      delivering = undefined;
    }));

  const look = (): Finding[] => {
    const recovery = readRecovery(paths);
    const shown = recovery !== undefined && wasShown(store, recovery.recipient);
    return bundleFindings({ shown, looked: lastLook(paths), safe, error, left }, since, Date.now());
  };

  // Without it the checks go on.
  const watcher = existsSync(paths.bundle)
    ? watchFolder(
        paths.bundle,
        (name) => {
          // One that is under way may have read the former.
          if (name === basename(paths.sealed)) void (delivering ?? Promise.resolve()).then(check);
        },
        () => undefined,
      )
    : undefined;

  return {
    findings: () => {
      try {
        return look();
      } catch (failure) {
        if (!(failure instanceof OperatorError)) throw failure;
        const { message, next = 'See fossilrepo logs management.' } = failure;
        return [{ level: 'red', about: 'bundle', what: message, next }];
      }
    },
    check,
    stop: () => watcher?.close(),
  };
}
