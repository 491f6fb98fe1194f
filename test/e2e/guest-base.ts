import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import type { Guest } from './guest.ts';

/** The Debian releases that fossilrepo supports. */
export const suites = ['bookworm', 'trixie'] as const;
export type Suite = (typeof suites)[number];

/** Everything of the harness is here: pristine trees (kept), and one folder a running guest (removed when it ends). */
export const guestsFolder = '/var/tmp/fossilrepo-guests';

/** What a fresh server has: systemd as PID 1 and nothing that the installer is to bring, certificates aside. */
const included = 'systemd,systemd-sysv,dbus,ca-certificates,iproute2,udev';

/**
 * The pristine tree of a suite: made once a machine by debootstrap (a minute), beside, and moved in whole.
 * @returns its folder; nobody may write to it
 */
export async function pristineTree(suite: Suite): Promise<string> {
  const tree = join(guestsFolder, `base-${suite}`);
  if ((await textOf(join(tree, 'etc/os-release'))) !== '') return tree;
  const half = `${tree}.new`;
  await mkdir(guestsFolder, { recursive: true, mode: 0o700 });
  await rm(half, { recursive: true, force: true });
  const sources = debianSources(await hostSources(), await hostCodename(), suite);
  const mirror = /^URIs: (\S+)/m.exec(sources)?.[1];
  await execa('debootstrap', [
    '--variant=minbase',
    `--include=${included}`,
    suite,
    half,
    ...(mirror === undefined ? [] : [mirror]),
  ]);
  if (sources !== '') {
    await writeFile(join(half, 'etc/apt/sources.list.d/debian.sources'), sources);
    await rm(join(half, 'etc/apt/sources.list'), { force: true });
  }
  await rename(half, tree);
  return tree;
}

/**
 * The machine's own Debian archive entries, for another suite; '' when it has none (then debootstrap's default stands).
 * Third parties' entries are left out: those signed by another key, or of other suites than Debian's own.
 * @param text the machine's apt sources, in either of apt's two formats
 * @param codename the machine's own suite
 */
export function debianSources(text: string, codename: string, suite: Suite): string {
  const own = [codename, `${codename}-updates`, `${codename}-security`];
  const entries = text
    .split(/\n\s*\n/)
    .flatMap((block) => (/^URIs:/m.test(block) ? [block] : block.split('\n').flatMap(oneLine)))
    .map((block) => ({
      uri: /^URIs:\s*(\S+)/m.exec(block)?.[1] ?? '',
      suites: (/^Suites:\s*(.+)/m.exec(block)?.[1] ?? '').trim().split(/\s+/),
      key: /^Signed-By:\s*(.+)/m.exec(block)?.[1],
    }))
    .filter((entry) => entry.suites.every((name) => own.includes(name)))
    .filter((entry) => entry.key === undefined || entry.key.includes('debian-archive-keyring'));
  return entries
    .map(({ uri, suites: names }) =>
      [
        'Types: deb',
        `URIs: ${uri}`,
        `Suites: ${names.map((name) => name.replace(codename, suite)).join(' ')}`,
        'Components: main',
        'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg',
        '',
      ].join('\n'),
    )
    .join('\n');
}

/** `deb [signed-by=KEY] URI SUITE main …` as a block of the newer format. */
function oneLine(line: string): string[] {
  const [, options, uri, suite, components] =
    /^deb\s+(?:\[(.*?)\]\s+)?(\S+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
  if (uri === undefined || suite === undefined || !/\bmain\b/.test(components ?? '')) return [];
  const key = /signed-by=(\S+)/.exec(options ?? '')?.[1];
  return [`URIs: ${uri}\nSuites: ${suite}${key === undefined ? '' : `\nSigned-By: ${key}`}`];
}

async function hostSources(): Promise<string> {
  const folder = '/etc/apt/sources.list.d';
  const names = await readdir(folder).catch(() => []);
  const texts = await Promise.all(
    ['/etc/apt/sources.list', ...names.map((name) => join(folder, name))].map(textOf),
  );
  // Comments may stand anywhere in both formats, and a blank line ends an entry.
  return texts.map((text) => text.replace(/^#.*\n?/gm, '')).join('\n\n');
}

async function hostCodename(): Promise<string> {
  return /^VERSION_CODENAME=(\S+)/m.exec(await textOf('/etc/os-release'))?.[1] ?? '';
}

const textOf = (path: string) => readFile(path, 'utf8').catch(() => '');

/**
 * Gives a running guest the machine's way to package archives and registries: certificates, apt's transport settings, the
 * configuration of pip and npm. At each boot, so that the pristine tree holds nothing of the machine's; from inside the
 * guest, because absolute links in its tree would lead out of it.
 */
export async function shareNetworkSettings(guest: Pick<Guest, 'copyIn' | 'must'>): Promise<void> {
  const transport = ['-lsrE', 'Acquire::(https?|Retries|AllowInsecure|Check)', '/etc/apt/apt.conf.d'];
  const apt = await execa('grep', transport, { reject: false });
  const files = [
    ['/etc/pip.conf', '/etc/pip.conf'],
    [join(homedir(), '.config/pip/pip.conf'), '/root/.config/pip/pip.conf'],
    ['/etc/npmrc', '/etc/npmrc'],
    [join(homedir(), '.npmrc'), '/root/.npmrc'],
    ['/usr/local/share/ca-certificates', '/usr/local/share/ca-certificates'],
    ...apt.stdout.split('\n').map((path) => [path, path] as const),
  ] as const;
  for (const [from, to] of files) if (existsSync(from)) await guest.copyIn(from, to);
  await guest.must('update-ca-certificates');
}

/** The same for what is in the environment: proxies, and where pip and npm look. */
export function networkEnvironment(): Record<string, string> {
  const wanted =
    /^((https?|no|all)_proxy|pip_(index_url|extra_index_url|trusted_host|default_timeout)|npm_config_registry)$/i;
  const certificates = '/etc/ssl/certs/ca-certificates.crt';
  const shared = Object.entries(process.env).flatMap(([name, value]) =>
    wanted.test(name) && value !== undefined ? [[name, value]] : [],
  );
  return {
    ...(Object.fromEntries(shared) as Record<string, string>),
    SSL_CERT_FILE: certificates,
    NODE_EXTRA_CA_CERTS: certificates,
    PIP_CERT: certificates,
  };
}
