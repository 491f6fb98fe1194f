import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { bundleKey, listBundles, newestBundle, outdatedBundles } from '../../src/backup/bundles.ts';
import type { ReplicaObject } from '../../src/backup/store.ts';
import { pathsUnder } from '../../src/config/paths.ts';
import { bundleFindings, type BundleSeen } from '../../src/health/bundle.ts';
import {
  type Bundle,
  newRecoveryKey,
  openBundle,
  recipientOf,
  sealBundle,
} from '../../src/secrets/bundle/format.ts';
import { placeOf } from '../../src/secrets/bundle/places.ts';
import { secret } from '../../src/secrets/secret.ts';

const base64 = (text: string) => Buffer.from(text).toString('base64');
const instanceKey: Bundle['files'][number] = {
  path: 'etc/fossilrepo/secrets/instance-key',
  mode: 0o600,
  owner: 'root',
  base64: base64('\0\xff hush-hush\n'),
};
const bundle: Bundle = {
  version: 1,
  instance: 'one',
  madeAt: '2026-11-21T13:00:00.123Z',
  hostname: 'forge',
  fossilrepo: '0.1.0',
  files: [instanceKey, { path: 'etc/fossilrepo/fossilrepo.yaml', mode: 0o644, owner: 'root', base64: '' }],
};
/** A bundle as fossilrepo 0.1.0 sealed it, and its recovery key, which opens nothing else. */
const firstVersion = {
  key: 'AGE-SECRET-KEY-1ZGCZ5HK5YT8JHRCKVCPP0NN9T0AAMX0UDTPXT8D7SSXWW38NXZHSCPZ9VS',
  text: `-----BEGIN AGE ENCRYPTED FILE-----
YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBEUmltaDJ1UVpicTNUSGV2
Y1V4M1pYVVIwa3BWbm1Jb1VEVVZtMXhlbUIwClA3NmdPeEgvdWI2cTZheW82VkMr
VUtvT0NnanFTbGROOWJrcE13MGxIK0EKLS0tIGZzTE9jZ3JLeGk4NXRaRnlKMnZi
QW8yTHBHUUhKcloxNXZrUkY4ajc2WEkK25wswkgJJVj9lg2HVjctBnxu3HoudHJi
H1egqQ3VqurDv6Q8SizdsJhF5BBQNzf8OuMV2ag5EZeimmUzKch12vW5njGcbjDW
cMsJv5i8sTF3w6Ho1hjsJxNwxVSVDqrSYpiXyVS2AeWoK/JJyBhLSCBSk6wt5neV
gLpK8n8zyutBZi5R3iz2qMj++e9whUsRui7PdAbjhFLO7VKk+qLeoX3wmOEmUZo6
oISq1P0B/wjxjLwLIhsNSAphHusp6PhCgPnsNl+W3/WoU5ZtxRS9Vv/A+NUJmOcJ
Uuu0L96BxSiCVgzoEP6q9b1KujvmqRfRUkMDoWQJn/WufsTyATACgZzDQwNSnFpp
4PntIPMluwhf3o3hgcrGN7+VYLOCVmlm7jmsr9haBMN5l09orYRZ3aJELiWMpnKG
yQUDA09O5RUbHhb2HNb0eV+g44OOz+0An9+ljOXC+6tW3uupaV7Tfp7QYVSeoSse
lnmZKPvupY6IupB3OqmMul4q1WaLUwVuRg==
-----END AGE ENCRYPTED FILE-----
`,
};
/** What a refusal says, all of it. */
const refusal = async (opening: Promise<unknown>) =>
  inspect(
    await opening.then(
      () => 'opened',
      (error: unknown) => error,
    ),
    { depth: 9 },
  );

describe('a sealed bundle', () => {
  test('opens with its recovery key, also as a file of age-keygen or typed in small letters', async () => {
    const { identity, recipient } = await newRecoveryKey();
    expect(identity.reveal()).toMatch(/^AGE-SECRET-KEY-1[0-9A-Z]{58}$/);
    expect(await recipientOf(identity)).toBe(recipient);
    const text = await sealBundle(bundle, recipient);
    expect(text).toMatch(/^-----BEGIN AGE ENCRYPTED FILE-----\n/);
    expect(text).not.toContain('instance-key');
    expect(await openBundle(text, identity)).toEqual(bundle);
    const file = `# created: today\n# public key: ${recipient}\n${identity.reveal()}\n`;
    expect(await openBundle(text, secret(file))).toEqual(bundle);
    expect(await openBundle(text, secret(` ${identity.reveal().toLowerCase()} `))).toEqual(bundle);
  });

  test('is refused to another key, half a key and no key, without showing any', async () => {
    const [mine, other] = [await newRecoveryKey(), await newRecoveryKey()];
    const text = await sealBundle(bundle, mine.recipient);
    expect(await refusal(openBundle(text, other.identity))).toContain('does not open the bundle');
    const wrong = [
      mine.identity.reveal().slice(0, 60),
      `${mine.identity.reveal()}Q`,
      mine.recipient,
      'hush-hush',
      '',
    ];
    for (const key of wrong) {
      const said = await refusal(openBundle(text, secret(key)));
      expect(said, key).toContain('This is no recovery key, or not all of it.');
      expect(said).not.toContain(key.slice(-9) || 'undefined secret');
    }
  });

  test('is refused when it is damaged, cut off, or something else', async () => {
    const { identity, recipient } = await newRecoveryKey();
    const text = await sealBundle(bundle, recipient);
    const at = text.length - 120;
    const flipped = `${text.slice(0, at)}${text[at] === 'A' ? 'B' : 'A'}${text.slice(at + 1)}`;
    for (const broken of [flipped, text.slice(0, 300), '', 'hello'])
      expect(await refusal(openBundle(broken, identity))).toContain('damaged, or is none');
  });

  test('of the first version, as it lies in replicas, opens', async () => {
    expect(await openBundle(firstVersion.text, secret(firstVersion.key))).toEqual({
      version: 1,
      instance: '5f3c7a52-0b1e-4a59-9f0e-3d1f6b8f2a11',
      madeAt: '2026-11-21T13:00:00.123Z',
      hostname: 'forge',
      fossilrepo: '0.1.0',
      files: [
        instanceKey,
        {
          path: 'var/lib/fossilrepo/home/edge/acme/one.key',
          mode: 0o600,
          owner: 'edge',
          base64: base64('a key\n'),
        },
      ],
    });
  });

  test('of a newer version, or with other content, is refused', async () => {
    const { armor, Encrypter } = await import('age-encryption');
    const { identity, recipient } = await newRecoveryKey();
    const sealed = async (content: unknown) => {
      const encrypter = new Encrypter();
      encrypter.addRecipient(recipient);
      return armor.encode(await encrypter.encrypt(JSON.stringify(content)));
    };
    expect(await refusal(openBundle(await sealed({ ...bundle, version: 2 }), identity))).toContain(
      'newer fossilrepo (version 2',
    );
    const setuid = { ...bundle, files: [{ path: 'x', mode: 0o4755, owner: 'root', base64: '' }] };
    for (const content of [setuid, { ...bundle, files: [{ path: 'x' }] }, [], 'text'])
      expect(await refusal(openBundle(await sealed(content), identity))).toContain('is not what fossilrepo');
  });
});

describe('what a bundle may write', () => {
  const [whole, folder] = [pathsUnder('/'), pathsUnder('/tmp/forge')];

  test.each([
    ['etc/fossilrepo/fossilrepo.yaml', 'configuration'],
    ['etc/fossilrepo/recovery.json', 'configuration'],
    ['etc/fossilrepo/secrets/storage', 'secrets'],
    ['etc/fossilrepo/secrets/deploy/one', 'secrets'],
    ['var/lib/fossilrepo/home/edge/pki/authorities/local/root.key', 'edge'],
    ['etc/ssh/ssh_host_ed25519_key', 'ssh'],
    ['etc/ssh/ssh_host_rsa_key.pub', 'ssh'],
  ])('%s belongs to %s', (path, name) => {
    expect(placeOf(path, whole).name).toBe(name);
  });

  test.each([
    'etc/shadow',
    'etc/fossilrepo/rendered/Caddyfile',
    'etc/fossilrepo/secrets',
    'etc/fossilrepo/secrets/',
    'etc/fossilrepo/secrets/../../shadow',
    'etc/fossilrepo/secrets/./storage',
    'etc/fossilrepo/secrets//storage',
    '/etc/fossilrepo/secrets/storage',
    'etc/fossilrepo/secrets/x\0',
    'etc/ssh/sshd_config',
    'etc/ssh/ssh_host_rsa_key/x',
    'data/repos/demo.fossil',
    'var/lib/fossilrepo/fossilrepo.db',
    'var/lib/fossilrepo/home/edge/locks/x',
    '../etc/fossilrepo/secrets/x',
    '',
  ])('%j is refused', (path) => {
    expect(() => placeOf(path, whole)).toThrow('where nothing of it belongs');
  });

  test('a server in a folder has no SSH keys of the machine', () => {
    expect(placeOf('etc/fossilrepo/secrets/storage', folder).name).toBe('secrets');
    expect(() => placeOf('etc/ssh/ssh_host_ed25519_key', folder)).toThrow('where nothing of it belongs');
  });
});

describe('bundles in the replica', () => {
  const days = (...list: number[]) =>
    list.map((day) => {
      const at = new Date(Date.UTC(2026, 10, day));
      return { key: bundleKey('one', at.toISOString()), at, bytes: 9 };
    });
  const store = (keys: string[]) => ({
    async *list(prefix: string): AsyncIterable<ReplicaObject> {
      for (const key of keys)
        if (key.startsWith(prefix)) yield await Promise.resolve({ key, bytes: 9, modified: new Date() });
    },
  });
  const there = store([
    ...days(3, 20, 11).map(({ key }) => key),
    'one/bundles/notes.age',
    'one/bundles/2026-11-30.age',
    'one/bundles/2026-11-21T00:00:00.000Z.age.1234.tmp',
    bundleKey('other', '2026-11-21T00:00:00.000Z'),
  ]);

  test('are listed newest first, and nothing else is', async () => {
    expect(await listBundles(there, 'one')).toEqual(days(20, 11, 3));
  });

  test('the one of an instant is the newest before it, else the oldest', async () => {
    const at = async (day: number, hour = 0) =>
      (await newestBundle(there, 'one', new Date(Date.UTC(2026, 10, day, hour))))?.at.getUTCDate();
    expect([await at(21), await at(20), await at(19, 23), await at(11), await at(1)]).toEqual([
      20, 20, 11, 11, 3,
    ]);
    expect((await newestBundle(there, 'one'))?.at.getUTCDate()).toBe(20);
    expect(await newestBundle(there, 'none')).toBeUndefined();
  });

  test('go when no instant of the window needs them, or a former key opens them', () => {
    const gone = (since: number, start: number, ...list: number[]) =>
      outdatedBundles(days(...list), new Date(Date.UTC(2026, 10, since)), new Date(Date.UTC(2026, 10, start)))
        .map(({ at }) => at.getUTCDate())
        .sort((a, b) => a - b);
    // The one of the 5th is still that of the window's first day.
    expect(gone(1, 7, 20, 11, 5, 3, 2)).toEqual([2, 3]);
    expect(gone(1, 11, 20, 11, 5, 3)).toEqual([3, 5]);
    expect(gone(1, 30, 20, 11)).toEqual([11]);
    expect(gone(1, 30, 20)).toEqual([]);
    expect(gone(11, 1, 20, 11, 5, 3)).toEqual([3, 5]);
    // As long as there is none of the present key, all of the former stay.
    expect(gone(25, 30, 20, 11)).toEqual([]);
    expect(gone(25, 30)).toEqual([]);
  });
});

describe('findings about the bundle', () => {
  const minute = 60_000;
  const since = Date.UTC(2026, 10, 21);
  const well: BundleSeen = { shown: true, looked: since, safe: since, error: undefined, left: [] };
  const at = (minutes: number, seen: Partial<BundleSeen> = {}) =>
    bundleFindings({ ...well, ...seen }, since, since + minutes * minute).map(
      ({ level, what }) => `${level}: ${what}`,
    );

  test('none while it is there and looked after', () => {
    expect(at(9)).toEqual([]);
    expect(at(60, { looked: since + 56 * minute, safe: since + 59 * minute })).toEqual([]);
  });

  test('yellow while nobody has the key, whatever else', () => {
    expect(at(600, { shown: false, looked: undefined })).toEqual([
      expect.stringMatching(/^yellow: .*nobody was shown a recovery key/),
    ]);
  });

  test('red when the newest is not in the replica after ten minutes, with the reason', () => {
    expect(at(11, { error: 'no room.' })).toEqual([expect.stringMatching(/^red: .*replica: no room\./)]);
  });

  test('red when nobody has looked for changes for a quarter of an hour, a sleep of the server aside', () => {
    const now = { safe: since + 20 * minute };
    expect(at(20, now)).toEqual([expect.stringMatching(/^red: What is secret here has not been sealed/)]);
    expect(at(20, { ...now, looked: undefined })).toHaveLength(1);
    expect(at(14, { ...now, looked: since - 90 * minute })).toEqual([]);
  });

  test('yellow for a link that is not in it', () => {
    expect(at(1, { left: ['etc/fossilrepo/fossilrepo.yaml'] })).toEqual([
      expect.stringMatching(/^yellow: Not in the bundle.*fossilrepo\.yaml/),
    ]);
  });
});
