import { asidePrefix } from '../foreign-settings.ts';

/**
 * Rows of Fossil's `config` table that nobody set (2.21 to 2.29): notes about visitors, checkouts and other servers
 * (main.c, db.c, xfer.c, export.c), leases and locks (backoffice.c, xfer.c, hook.c), counters and caches (setup.c,
 * unversioned.c, rebuild.c, manifest.c, alerts.c), the secret of the captcha, the sandbox of the wiki, and what fossilrepo notes there: the
 * repository's id, and the restore that the file came by. Some carry a secret in their name: `token-…` (robot.c) and the address of a `gitpush:`.
 */
const transient = [
  /^(baseurl|ckout|syncwith|syncfrom|link|gitpush):/,
  /^(ci-lock|token|captcha-secret|last)-/,
  /^(backoffice|cfgcnt|captcha-secret|hook-last-rcvid|hook-embargo)$/,
  /^(uv-hash|content-schema|aux-schema|rebuilt|seen-delta-manifest|server-code)$/,
  /^email-(last.*|renew-cutoff|renew-warning)$/,
  /^(cookie|sandbox|sandbox-mimetype|fossilrepo-id|fossilrepo-restore)$/,
];

/** Whether a row of `config` is a note of Fossil's to itself, and no setting. */
export function isTransient(name: string): boolean {
  const former = name.startsWith(asidePrefix) ? name.slice(asidePrefix.length) : name;
  return transient.some((pattern) => pattern.test(former));
}
