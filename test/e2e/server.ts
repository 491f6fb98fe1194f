import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { z } from 'zod';
import { bootGuest, type Guest, type Suite } from './guest.ts';

/** Where the checkout is on the fresh server. */
export const checkout = '/srv/fossilrepo';

/** Debian packages that are there, dpkg's own order aside. */
export const packages = "dpkg-query -W -f='${db:Status-Abbrev} ${Package}\\n' | sed -n 's/^ii *//p' | sort";

export const lines = (text: string): string[] => text.split('\n').filter(Boolean);

/**
 * All that could be left over: files, users, groups, units. What apt, dpkg, systemd and ldconfig keep for themselves aside (and the
 * /etc/hosts that Debian's netbase makes where there is none), and so is
 * the content of two files that anybody who adds a system user changes.
 */
export const inventory = `
  find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /root -o -path ${checkout} \\
    -o -path /var/lib/apt -o -path /var/cache -o -path /var/lib/dpkg -o -path /var/log/journal -o -path /var/lib/systemd \\
    -o -path /var/log/apt -o -path /var/tmp -o -path /opt/fossilrepo/.cache \\) -prune -o ! -path /var/log/dpkg.log ! -path /var/log/alternatives.log \\
    ! -name '*.pyc' ! -name __pycache__ ! -path '/etc/*-' ! -path /etc/.pwd.lock ! -path /etc/ld.so.cache ! -path /etc/hosts ! -path '/var/log/*tmp*' \\
    ! -path '/var/log/lastlog' ! -path '/var/log/faillog' -printf '%p %M %u:%g\\n' | sort
  sort /etc/passwd /etc/shadow /etc/group /etc/gshadow /etc/nsswitch.conf
  ls -d /run/fossilrepo* /tmp/*node* /tmp/*npm* 2>/dev/null
  systemctl list-unit-files --no-legend --no-pager | sort
  systemctl list-units --all --no-legend --no-pager --plain --state=failed,not-found 'fossilrepo*'`;

/** A fresh server with a copy of the checkout. */
export async function bareServer(suite: Suite, kind: 'server' | 'plain' = 'server'): Promise<Guest> {
  const guest = await bootGuest(suite, kind);
  await guest.copyCheckout(checkout);
  return guest;
}

/** The same, after `install.sh --yes` with flags. */
export async function installedServer(suite: Suite, flags = ''): Promise<Guest> {
  const guest = await bareServer(suite);
  try {
    await guest.must(`${checkout}/install.sh --yes ${flags}`, { timeout: 300_000 });
    return guest;
  } catch (error) {
    await guest.close();
    throw error;
  }
}

const health = z.object({
  level: z.enum(['green', 'yellow', 'red']),
  ok: z.boolean(),
  findings: z.array(z.object({ level: z.string(), about: z.string(), what: z.string(), next: z.string() })),
  canary: z.object({ ok: z.boolean(), at: z.string() }).nullable(),
});
export type Status = z.output<typeof health>;

/** What `fossilrepo status` says; its exit code has to agree. */
export async function statusOf(guest: Guest): Promise<Status> {
  const ran = await guest.run('fossilrepo status --json');
  const status = health.parse(JSON.parse(ran.stdout));
  expect(ran.code).toBe(status.ok ? 0 : 4);
  return status;
}

/** Waits for a status. @returns how long it took, milliseconds @throws Error with the last one, after `patience` milliseconds */
export async function untilStatus(
  guest: Guest,
  wanted: (status: Status) => boolean,
  patience: number,
): Promise<number> {
  const began = Date.now();
  for (;;) {
    const status = await statusOf(guest);
    if (wanted(status)) return Date.now() - began;
    if (Date.now() - began > patience) throw new Error(`still so: ${JSON.stringify(status, null, 1)}`);
    await sleep(300);
  }
}

export const green = ({ level, canary }: Status): boolean => level === 'green' && canary !== null;
export const red = ({ level }: Status): boolean => level === 'red';

/** Types the token where a program asks for a password on its terminal, as a person would. */
const typed = `import os, pty, sys
pid, terminal = pty.fork()
if pid == 0: os.execvp(sys.argv[1], sys.argv[1:])
said = b""
while True:
    try: said += os.read(terminal, 1024)
    except OSError: break
    for asked, answer in ((b"assword for", open("/root/token", "rb").read()), (b"emember", b"y\\n")):
        if asked in said:
            os.write(terminal, answer)
            said = b""
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
if code: print(said.decode())
sys.exit(code)`;

/** Clones a repository by the command that fossilrepo prints for it, as the administrator, into a folder with an open checkout. */
export async function openClone(guest: Guest, name: string, folder: string): Promise<void> {
  const shown = z
    .object({ cloneCommand: z.string() })
    .parse(JSON.parse(await guest.must(`fossilrepo repo show ${name} --json`)));
  await guest.must(
    `mkdir -p ${folder} && cd ${folder} && export USER=admin HOME=${folder}
     fossilrepo user token admin >/root/token && python3 -c '${typed}' ${shown.cloneCommand}
     fossil open ${name}.fossil --workdir ${folder}/open && cd open && fossil user default admin`,
  );
}

/** The processes of services' users and of our programs that run, as `PID PROGRAM` lines. Debian's minimum has no ps. */
export const processes =
  'for one in /proc/[0-9]*; do echo "${one#/proc/} $(cat $one/comm 2>/dev/null)"; done | grep -E \' (caddy|litestream|fossil|node)\' || true';

/** The processes of the parts, by unit. */
export async function mainPids(guest: Guest): Promise<Record<string, string>> {
  const parts = ['repositories', 'replication', 'management', 'edge'];
  const shown = await guest.must(
    `for part in ${parts.join(' ')}; do echo "$part $(systemctl show -P MainPID fossilrepo-$part)"; done`,
  );
  return Object.fromEntries(lines(shown).map((line) => line.split(' ') as [string, string]));
}
