import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pathsUnder, programHome } from '../../src/config/paths.ts';
import { openBundle } from '../../src/secrets/bundle/format.ts';
import { placeBundle } from '../../src/secrets/bundle/place.ts';
import { placeNames } from '../../src/secrets/bundle/places.ts';
import { secret } from '../../src/secrets/secret.ts';
import { eventually, startForge, type TestForge } from './forge.ts';
import { measured, processesOf } from './processes.ts';
import { type S3, startS3 } from './s3.ts';

type Shown = { recipient: string; madeAt: string; shown: boolean; bundle: { key: string } | null };
type Rotated = { recoveryKey: string; recipient: string };

/** The recovery keys in what was said, in the order of their being shown. */
const keysIn = (said: string) => said.match(/AGE-SECRET-KEY-1[0-9A-Z]{58}/g) ?? [];

/** Files below folders that hold a text. */
function filesWith(text: string, ...folders: string[]): string[] {
  return folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((file) => existsSync(file) && readFileSync(file).includes(text)),
  );
}

/** Processes whose arguments or environment hold a text. */
const processesWith = (text: string) =>
  readdirSync('/proc').filter(
    (name) =>
      /^\d+$/.test(name) &&
      ['cmdline', 'environ'].some((file) => {
        try {
          return readFileSync(`/proc/${name}/${file}`, 'latin1').includes(text);
        } catch {
          return false;
        }
      }),
  );

describe.each(['a directory', 'S3'])('the bundle in %s', (kind) => {
  let forge: TestForge;
  let s3: S3 | undefined;
  let key: string;
  /** How long `--rotate` takes. Milliseconds. */
  let rotation: number;
  /** The folder in which the replica's objects are. */
  let replica: string;
  const at = (path: string) => join(forge.root, path);
  const bundles = () => {
    const folders = readdirSync(replica).map((name) => join(replica, name, 'bundles'));
    const [folder] = folders.filter((name) => existsSync(name));
    return folder === undefined
      ? []
      : readdirSync(folder)
          .filter((name) => name.endsWith('.age'))
          .sort()
          .map((name) => join(folder, name));
  };
  const newest = () => readFileSync(bundles().at(-1) ?? '', 'utf8');
  const opened = (text: string, identity: string) => openBundle(text, secret(identity));
  /** Writes a file as the server's user would. */
  const write = (path: string, content: string, mode: number) => {
    const { uid, gid } = statSync(at('etc/fossilrepo/secrets'));
    const missing: string[] = [];
    for (let folder = dirname(at(path)); !existsSync(folder); folder = dirname(folder)) missing.push(folder);
    mkdirSync(dirname(at(path)), { recursive: true });
    writeFileSync(at(path), content, { mode });
    for (const made of [...missing, at(path)]) chownSync(made, uid, gid);
  };

  beforeAll(async () => {
    s3 = kind === 'S3' ? await startS3() : undefined;
    forge = await startForge({ ...(s3 && { s3 }), up: false });
    replica = s3 ? join(s3.folder, 'forge') : at('var/backups/fossilrepo');
  });
  afterAll(async () => {
    await forge[Symbol.asyncDispose]();
    await s3?.[Symbol.asyncDispose]();
  });

  test('until the recovery key was shown nothing is sent; killed before, the next start shows another', async () => {
    const first = forge.start().catch(() => undefined);
    const proof = () => processesOf(forge.root).find(({ argv }) => /^\S*node .* prove$/.test(argv))?.pid;
    await eventually(
      () => existsSync(at('var/lib/fossilrepo-bundle/sealed.json')),
      30_000,
      'a bundle is sealed',
    );
    const proving = proof() ?? 0;
    process.kill(proving, 'SIGSTOP');
    expect(keysIn(forge.log())).toEqual([]);
    const said = async () => (await forge.cli('status')).stdout;
    await eventually(async () => (await said()).includes('nobody was shown'), 30_000, 'a finding');
    // The loop looks whenever one is sealed.
    const sealed = readFileSync(at('var/lib/fossilrepo-bundle/sealed.json'), 'utf8');
    write('etc/fossilrepo/secrets/another', 'x', 0o600);
    expect(await forge.json('seal-bundle')).toEqual({ bundle: 'sealed' });
    expect(readFileSync(at('var/lib/fossilrepo-bundle/sealed.json'), 'utf8')).not.toBe(sealed);
    await sleep(2_000);
    expect(bundles()).toEqual([]);
    await forge.stop('SIGKILL');
    await first;
    await eventually(() => proof() === undefined, 2_000, 'the proof ends with it');
    rmSync(at('etc/fossilrepo/secrets/another'));

    const never = readFileSync(at('etc/fossilrepo/recovery.json'), 'utf8');
    await forge.start();
    const shown = keysIn(forge.log());
    expect(shown).toHaveLength(1);
    key = shown[0] ?? '';
    expect(readFileSync(at('etc/fossilrepo/recovery.json'), 'utf8')).not.toBe(never);
    await eventually(() => bundles().length > 0, 5_000, 'a bundle in the replica');
  });

  test('a key that could not be shown does not count', async () => {
    const before = readFileSync(at('etc/fossilrepo/recovery.json'), 'utf8');
    const program = join(programHome, 'bin/fossilrepo');
    const run = spawn(
      'sh',
      ['-c', `"${program}" --root "${forge.root}" backup recovery-key --rotate --yes >/dev/full`],
      {
        uid: statSync(at('etc/fossilrepo/secrets')).uid,
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
    let said = '';
    run.stderr.on('data', (piece: Buffer) => (said += piece.toString()));
    await once(run, 'close');
    expect(run.exitCode, said).toBe(1);
    expect(said).toContain('could not be shown');
    expect(readFileSync(at('etc/fossilrepo/recovery.json'), 'utf8')).toBe(before);
  });

  test('opens with the key that was shown, and gives back the same bytes and modes', async () => {
    write('var/lib/fossilrepo/home/edge/certificates/acme/x.test/x.test.key', 'key of x\n', 0o600);
    write('var/lib/fossilrepo/home/edge/acme/authority/users/default/default.json', '{}', 0o640);
    write('var/lib/fossilrepo/home/edge/locks/x.lock', 'passing', 0o600);
    write('etc/fossilrepo/secrets/binary', '\0\x01\xff\n', 0o400);
    await forge.json('seal-bundle');
    await eventually(() => bundles().length === 2, 5_000, 'another bundle');
    const bundle = await opened(newest(), key);
    const paths = bundle.files.map(({ path }) => path);
    expect(paths).toEqual([
      'etc/fossilrepo/fossilrepo.yaml',
      'etc/fossilrepo/recovery.json',
      'etc/fossilrepo/secrets/binary',
      'etc/fossilrepo/secrets/instance-key',
      ...(s3 ? ['etc/fossilrepo/secrets/storage'] : []),
      'var/lib/fossilrepo/home/edge/acme/authority/users/default/default.json',
      'var/lib/fossilrepo/home/edge/certificates/acme/x.test/x.test.key',
    ]);
    const elsewhere = mkdtempSync(join(tmpdir(), 'placed-'));
    const placed = placeBundle(bundle, pathsUnder(elsewhere), placeNames);
    expect(placed.map((path) => path.slice(elsewhere.length + 1))).toEqual(paths);
    for (const path of paths) {
      const [was, is] = [at(path), join(elsewhere, path)];
      expect(readFileSync(is).equals(readFileSync(was)), path).toBe(true);
      expect(statSync(is).mode, path).toBe(statSync(was).mode);
    }
    expect(statSync(join(elsewhere, 'etc/fossilrepo/secrets')).mode & 0o777).toBe(0o700);
    // Twice, and one place alone, and not through a link.
    expect(placeBundle(bundle, pathsUnder(elsewhere), placeNames)).toHaveLength(paths.length);
    expect(placeBundle(bundle, pathsUnder(elsewhere), ['configuration'])).toHaveLength(2);
    rmSync(join(elsewhere, 'etc/fossilrepo/secrets'), { recursive: true });
    symlinkSync('/tmp', join(elsewhere, 'etc/fossilrepo/secrets'));
    expect(() => placeBundle(bundle, pathsUnder(elsewhere), placeNames)).toThrow('is a link');
    rmSync(elsewhere, { recursive: true });
  });

  test('what did not change is not sealed again; what did is in the replica at once', async () => {
    const before = bundles();
    expect(await forge.json('seal-bundle')).toEqual({ bundle: 'unchanged' });
    write(
      'etc/fossilrepo/secrets/instance-key',
      readFileSync(at('etc/fossilrepo/secrets/instance-key'), 'utf8'),
      0o600,
    );
    expect(await forge.json('seal-bundle')).toEqual({ bundle: 'unchanged' });
    write('etc/fossilrepo/secrets/deploy/one', 'new secret', 0o600);
    expect(await forge.json('seal-bundle')).toEqual({ bundle: 'sealed' });
    const took = await eventually(() => bundles().length === before.length + 1, 5_000, 'a new bundle');
    measured(`${kind}: a new bundle was in the replica ${took.toFixed(0)} ms after it was sealed`);
    const { files } = await opened(newest(), key);
    expect(files.find(({ path }) => path.endsWith('deploy/one'))?.base64).toBe(
      Buffer.from('new secret').toString('base64'),
    );
    const shown = await forge.json<Shown>('backup', 'recovery-key');
    expect(bundles().at(-1)).toContain(shown.bundle?.key ?? 'none');
    expect(shown).toMatchObject({ shown: true });
  });

  test('apply seals, too', async () => {
    const config = at('etc/fossilrepo/fossilrepo.yaml');
    const before = bundles().length;
    writeFileSync(config, `${readFileSync(config, 'utf8')}repositories: { push: 100 }\n`);
    const applied = await forge.cli('apply');
    expect(applied.code, applied.stderr).toBe(0);
    await eventually(() => bundles().length === before + 1, 20_000, 'a bundle with the new configuration');
    const { files } = await opened(newest(), key);
    const [text] = files.filter(({ path }) => path.endsWith('.yaml')).map(({ base64 }) => atob(base64));
    expect(text).toBe(readFileSync(config, 'utf8'));
  });

  test('a link is not followed, and that is said', async () => {
    const outside = at('outside');
    mkdirSync(outside);
    writeFileSync(join(outside, 'hidden'), 'not ours', { mode: 0o644 });
    symlinkSync(outside, at('var/lib/fossilrepo/home/edge/certificates/folder'));
    symlinkSync(join(outside, 'hidden'), at('etc/fossilrepo/secrets/linked'));
    expect(await forge.json('seal-bundle')).toEqual({ bundle: 'sealed' });
    const said = async () => (await forge.cli('status')).stdout;
    const finding = /Not in the bundle of this server's secrets, .*linked, .*certificates\/folder/;
    await eventually(async () => finding.test(await said()), 10_000, 'a finding');
    const { files } = await opened(newest(), key);
    expect(files.filter(({ base64 }) => atob(base64) === 'not ours')).toEqual([]);
    for (const link of ['var/lib/fossilrepo/home/edge/certificates/folder', 'etc/fossilrepo/secrets/linked'])
      rmSync(at(link));
    await forge.json('seal-bundle');
    await eventually(async () => !finding.test(await said()), 10_000, 'no finding');
  });

  test('a bundle that the replica lost, or has half of, is brought again', async () => {
    const lost = bundles().at(-1) ?? '';
    const text = newest();
    if (s3) rmSync(lost);
    else writeFileSync(lost, text.slice(0, text.length / 2));
    // That server notices only by a restart what was changed by hand.
    await s3?.stop();
    await s3?.start();
    const back = () => existsSync(lost) && readFileSync(lost, 'utf8') === text;
    const took = await eventually(back, 75_000, 'back in the replica');
    measured(`${kind}: a lost bundle was back after ${(took / 1000).toFixed(0)} s`);
  });

  test('--rotate shows a new key once, which alone opens what is in the replica then', async () => {
    const shown = await forge.json<Shown>('backup', 'recovery-key');
    const planned = await forge.json<{ delete: string[] }>('backup', 'recovery-key', '--rotate', '--dry-run');
    expect(planned.delete).toHaveLength(bundles().length);
    expect(await forge.json<Shown>('backup', 'recovery-key')).toEqual(shown);
    const asked = await forge.cli('backup', 'recovery-key', '--rotate');
    expect(asked.code).toBe(2);
    expect(keysIn(asked.stdout + asked.stderr)).toEqual([]);

    const begun = performance.now();
    const rotated = await forge.cli('--json', 'backup', 'recovery-key', '--rotate', '--yes');
    rotation = performance.now() - begun;
    expect(rotated.code, rotated.stderr).toBe(0);
    const made = JSON.parse(rotated.stdout) as Rotated;
    expect(rotated.stderr).toContain('opens with the new key alone');
    expect(bundles()).toHaveLength(1);
    await expect(opened(newest(), key)).rejects.toThrow('does not open the bundle');
    expect((await opened(newest(), made.recoveryKey)).files.length).toBeGreaterThan(5);
    const after = await forge.cli('backup', 'recovery-key');
    expect(after.stdout).toContain(made.recipient);
    expect(keysIn(after.stdout + after.stderr)).toEqual([]);
    key = made.recoveryKey;
  });

  test('--rotate killed anywhere leaves bundles that a shown key opens, and the loop finishes it', async () => {
    const shown = [key];
    // From 0.3 to 0.96 of what it took: before, node is still starting.
    let cut = 0;
    for (let run = 0; run < 12; run++) {
      const said = await forge.killed(
        rotation * (0.3 + run * 0.06),
        '--json',
        'backup',
        'recovery-key',
        '--rotate',
        '--yes',
      );
      if (said.code !== 0) cut++;
      shown.push(...keysIn(said.stdout));
      const { recipient } = JSON.parse(readFileSync(at('etc/fossilrepo/recovery.json'), 'utf8')) as Shown;
      const opens = async (file: string) => {
        const text = existsSync(file) ? readFileSync(file, 'utf8') : undefined;
        if (text === undefined) return true;
        for (const one of shown) if (await opened(text, one).then(Boolean, () => false)) return true;
        return false;
      };
      expect(bundles().length).toBeGreaterThan(0);
      for (const file of bundles())
        expect(await opens(file), `run ${run}, sealed to ${recipient}`).toBe(true);
    }
    measured(`${kind}: --rotate was killed ${cut} times of 12, ${shown.length - 1} keys were shown`);
    expect(cut).toBeGreaterThan(2);
    await forge.json('seal-bundle');
    const last = shown.at(-1) ?? '';
    const present = async (one: string) => {
      const all = bundles().map((file) => readFileSync(file, 'utf8'));
      const answers = await Promise.all(all.map((text) => opened(text, one).then(Boolean, () => false)));
      return answers.length > 0 && answers.every(Boolean);
    };
    let final = '';
    await eventually(
      async () => {
        for (const one of shown) if (await present(one)) final = one;
        return final !== '';
      },
      75_000,
      'one key that opens all that is left',
    );
    // The last that was shown, unless its run was killed before it came into force.
    expect(shown.slice(-2)).toContain(final);
    key = final === last ? last : final;
  });

  test('what root remembers may be damaged: it seals anew; a damaged recipient is said, and another key mends it', async () => {
    for (const name of ['sealed.json', 'last.json']) {
      expect(await forge.json('seal-bundle')).toEqual({ bundle: 'unchanged' });
      writeFileSync(at(`var/lib/fossilrepo-bundle/${name}`), '{ "at"');
      expect(await forge.json('seal-bundle'), name).toEqual({ bundle: 'sealed' });
    }
    writeFileSync(at('etc/fossilrepo/recovery.json'), '{}');
    expect((await forge.cli('seal-bundle')).code).toBe(1);
    const said = async () => (await forge.cli('status')).stdout;
    const finding = 'recovery.json is not what fossilrepo wrote there';
    await eventually(async () => (await said()).includes(finding), 10_000, 'a finding');
    key = (await forge.json<Rotated>('backup', 'recovery-key', '--rotate', '--yes')).recoveryKey;
    await eventually(async () => !(await said()).includes(finding), 10_000, 'no finding');
    expect(bundles()).toHaveLength(1);
    expect((await opened(newest(), key)).files.length).toBeGreaterThan(5);
  });

  test('the recovery key is in no file, no log, no argument and no environment', async () => {
    const { recipient } = await forge.json<Shown>('backup', 'recovery-key');
    // That this looks at the right places at all.
    expect(filesWith(recipient, forge.root).length).toBeGreaterThan(1);
    expect(processesWith(forge.root).length).toBeGreaterThan(2);
    const [first = ''] = keysIn(forge.log());
    for (const one of [first, key]) {
      const part = one.slice(20, 60);
      expect(filesWith(part, forge.root, replica)).toEqual([]);
      expect(filesWith(part.toLowerCase(), forge.root, replica)).toEqual([]);
      expect(processesWith(part)).toEqual([]);
    }
    // The one line that shows it.
    expect(forge.log().split(first)).toHaveLength(2);
    expect(forge.log()).not.toContain(key === first ? 'nothing' : key);
  });

  test('started again, it shows none', async () => {
    await forge.stop();
    const before = keysIn(forge.log()).length;
    await forge.start();
    expect(keysIn(forge.log())).toHaveLength(before);
  });
});
