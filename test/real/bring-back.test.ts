import { execFileSync } from 'node:child_process';
import { chownSync, existsSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { noteBringing, readBringing } from '../../src/apply/bringing.ts';
import { pathsUnder } from '../../src/config/paths.ts';
import { loadSecrets } from '../../src/secrets/load.ts';
import { seal } from '../../src/secrets/seal.ts';
import { getMember, insertMember, updateMember } from '../../src/store/members.ts';
import { openStore } from '../../src/store/store.ts';
import { readIfThere } from '../../src/system/files.ts';
import { newPerson, type Person, type Shown } from './client.ts';
import { eventually, startForge, type TestForge } from './forge.ts';
import { pauseManagement } from './pause.ts';
import { processesOf } from './processes.ts';
import { has, restore, startPusher } from './pusher.ts';
import { type S3, startS3 } from './s3.ts';
import { query } from './support/fossil-lab.ts';
import { keys as press, type Terminal } from './terminal.ts';

/** A recovery key of nobody's server. */
const wrongKey = 'AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX';

type Listed = { repositories: { name: string; id: string; visibility: string }[] };

const artifacts = (file: string): string[] =>
  query(file, 'SELECT uuid FROM blob WHERE size >= 0 ORDER BY uuid').map((row) => String(row['uuid']));

describe.each(['directory', 's3'])('a whole server from its replica in a %s', (kind) => {
  let s3: S3 | undefined;
  let former: TestForge;
  let bare: TestForge;
  let someone: Person;
  let replica: string;
  let flags: string[];
  let token: string;
  /** The token of eve, a member besides the administrator, and the one of mallory, who was a member at the mark and is revoked. */
  let hers: string;
  let revoked: string;
  let recoveryKey: string;
  let before: Listed;
  const content = new Map<string, string[]>();
  let mark: Date;
  let atMark: string[];
  let demo: Awaited<ReturnType<typeof startPusher>>;

  beforeAll(async () => {
    s3 = kind === 's3' ? await startS3() : undefined;
    former = await startForge({ ...(s3 && { s3 }) });
    bare = await startForge({ bare: true });
    someone = newPerson();
    replica = s3 ? `s3://${s3.bucket}/forge` : `file://${former.root}/var/backups/fossilrepo`;
    token = (await former.json<{ token: string }>('user', 'token', 'admin')).token;
    demo = await startPusher(former, 'demo', { pushing: false });
    for (let number = 0; number < 3; number++) await demo.one();
    using store = openStore(pathsUnder(former.root));
    for (const login of ['eve', 'mallory'])
      insertMember(store, {
        login,
        administrator: true,
        passwordHash: '',
        sealedToken: seal(loadSecrets(pathsUnder(former.root)).instanceKey, `token:${login}`, 'none yet'),
      });
    revoked = await anotherToken('mallory');
    expect(await letIn(demo.cloneUrl, 'mallory', revoked)).toBe(true);
    await sleep(1_500);
    mark = new Date();
    atMark = artifacts(demo.path);
    await sleep(1_200);
    await demo.one();
    updateMember(store, getMember(store, 'mallory').id, { disabledAt: Date.now() });
    // This writes into each repository who may do what.
    hers = await anotherToken('eve');
    expect(await letIn(demo.cloneUrl, 'mallory', revoked)).toBe(false);
    for (let number = 0; number < 6; number++)
      await former.json(
        'repo',
        'create',
        `repo-${number}`,
        '--visibility',
        number % 2 ? 'public' : 'private',
      );
    await former.json('repo', 'create', 'gone');
    await former.json('repo', 'delete', 'gone', '--yes');
    before = await former.json<Listed>('repo', 'list');
    for (const { name } of before.repositories)
      content.set(name, artifacts(join(former.root, `data/repos/${name}.fossil`)));
    [, recoveryKey = ''] = /The recovery key is (AGE-SECRET-KEY-1\S+)/.exec(former.log()) ?? [];
    flags = ['--recovery-key', give('key', recoveryKey)];
    if (s3) {
      const keys = `[default]\naws_access_key_id = ${s3.accessKeyId}\naws_secret_access_key = ${s3.secretAccessKey}\n`;
      flags.push('--storage-keys', give('keys', keys), '--endpoint', s3.endpoint);
    }
    expect((await former.cli('backup', 'now')).code).toBe(0);
    await former.stop();
  });
  afterAll(async () => {
    await demo[Symbol.asyncDispose]();
    someone[Symbol.dispose]();
    await bare[Symbol.asyncDispose]();
    await former[Symbol.asyncDispose]();
    await s3?.[Symbol.asyncDispose]();
  });

  const anotherToken = async (login: string): Promise<string> =>
    (await former.json<{ token: string }>('user', 'token', login, '--rotate')).token;
  const letIn = (cloneUrl: string, login: string, password: string): Promise<boolean> =>
    someone.canClone(cloneUrl.replace('://', `://${login}:${password}@`));
  const members = ({ root }: TestForge) =>
    query(join(root, 'var/lib/fossilrepo/fossilrepo.db'), 'SELECT * FROM member ORDER BY id');
  /** That eve is let in where she was brought back to, and mallory is not. */
  const expectMembers = async (): Promise<void> => {
    const { cloneUrl } = await bare.json<Shown>('repo', 'show', 'demo');
    expect(await letIn(cloneUrl, 'eve', hers)).toBe(true);
    expect(await letIn(cloneUrl, 'mallory', revoked)).toBe(false);
  };

  /** A file that only the server's user can read. */
  const give = (name: string, text: string, to = bare): string => {
    const file = join(to.root, name);
    writeFileSync(file, text, { mode: 0o600 });
    const { uid, gid } = statSync(to.root);
    chownSync(file, uid, gid);
    return file;
  };
  const workers = () => processesOf(bare.root).filter(({ argv }) => argv.includes('bring-repositories'));
  const copyFor = (to: TestForge, file: string) => give('keys', readFileSync(file, 'utf8'), to);
  const install = (...more: string[]) => ['install', '--from', replica, ...flags, ...more];

  test('is refused while it was alive a moment ago, without the key, with another one, and where nothing is', async () => {
    const running = await bare.cli(...install('--yes'));
    expect(running.code, running.stderr).toBe(2);
    expect(running.stderr).toContain('--takeover');
    const keyless = await bare.cli('install', '--from', replica, ...flags.slice(2), '--takeover', '--yes');
    expect(keyless.code).toBe(2);
    expect(keyless.stderr).toContain('--recovery-key');
    const other = give('other', wrongKey);
    const wrong = await bare.cli(
      'install',
      '--from',
      replica,
      '--recovery-key',
      other,
      ...flags.slice(2),
      '--takeover',
      '--yes',
    );
    expect(wrong.code).not.toBe(0);
    expect(wrong.stderr).not.toContain('GFPYYSJZ');
    expect(existsSync(join(bare.root, 'var/lib/fossilrepo/fossilrepo.db'))).toBe(false);
  });

  test('is refused where another one is only half back', async () => {
    const paths = pathsUnder(bare.root);
    noteBringing(paths, { from: 'file:///mnt/other', instance: 'another', at: null });
    const said = await bare.cli(...install('--takeover', '--yes'));
    expect(said.code, said.stderr).toBe(2);
    expect(said.stderr).toContain('instance another, from file:///mnt/other');
    expect(existsSync(paths.config)).toBe(false);
    rmSync(join(bare.root, 'var'), { recursive: true });
  });

  test('--dry-run shows what is there and changes nothing', async () => {
    const said = await bare.cli(...install('--takeover', '--dry-run'));
    expect(said.code, said.stderr).toBe(0);
    expect(said.stdout).toContain('repositories  9, 1 of them in the trash');
    expect(said.stdout).toContain(`replica       ${replica}: all that is in it stays, and it goes on here`);
    expect(existsSync(join(bare.root, 'etc/fossilrepo/fossilrepo.yaml'))).toBe(false);
  });

  test('asks whoever is at the terminal for the keys, which are not on the screen, and a wrong one is refused', async () => {
    const endpoint = s3 ? ['--endpoint', s3.endpoint] : [];
    /** @param then what else is typed @returns how it ends; nothing may have been touched */
    const asked = async (secretKey: string | undefined, then: (terminal: Terminal) => Promise<void>) => {
      await using terminal = bare.person('install', '--from', replica, ...endpoint, '--takeover');
      if (s3 && secretKey !== undefined) {
        await terminal.answers('Access key ID of the storage', s3.accessKeyId, press.enter);
        await terminal.answers('Secret access key', press.enter);
        await terminal.answers("It can't be empty.", secretKey, press.enter);
      }
      await then(terminal);
      const ended = await terminal.ended();
      for (const secret of [recoveryKey, wrongKey, s3?.secretAccessKey ?? wrongKey])
        expect(ended.screen).not.toContain(secret.slice(-20));
      for (const touched of ['etc/fossilrepo/fossilrepo.yaml', 'var/lib/fossilrepo'])
        expect(existsSync(join(bare.root, touched)), touched).toBe(false);
      return ended;
    };
    const question = 'Recovery key (AGE-SECRET-KEY-1';
    const another = await asked(s3?.secretAccessKey, async (terminal) => {
      await terminal.answers(question, recoveryKey.slice(0, 40), press.enter);
      await terminal.answers(
        'This is no recovery key, or not all of it.',
        press.eraseLine,
        wrongKey,
        press.enter,
      );
    });
    expect(another.code).toBe(1);
    expect(another.screen).toContain('This recovery key does not open the bundle.');
    expect(another.screen).toContain('Use the key that was shown last by this server');
    const right = await asked(s3?.secretAccessKey, async (terminal) => {
      await terminal.answers(question, recoveryKey, press.enter);
      await terminal.answers('Bring it back on this machine?', 'n', press.enter);
    });
    expect(right.code, right.screen).toBe(130);
    expect(right.screen).toContain('repositories  9, 1 of them in the trash');
    expect(right.screen).toContain('Nothing was changed.');
    if (!s3) return;
    const locked = await asked(wrongKey, () => Promise.resolve());
    expect(locked.code).toBe(1);
    expect(locked.screen).toContain('says that the secret key is wrong.');
    expect(locked.screen).toContain('Correct aws_secret_access_key: run install again');
  });

  test('killed half way and run again it is all there, and goes on', async () => {
    for (const after of [2_000, 15_000, 17_000]) {
      await bare.killed(after, ...install('--takeover', '--yes'));
      await eventually(() => workers().length === 0, 2_000, 'nobody is left who brings repositories');
    }
    const began = performance.now();
    await bare.start(...install('--takeover', '--yes'));
    process.stdout.write(`${kind}: back after ${Math.round(performance.now() - began)} ms\n`);
    const now = await bare.json<Listed>('repo', 'list');
    expect(now.repositories.map(({ name, id, visibility }) => [name, id, visibility])).toEqual(
      before.repositories.map(({ name, id, visibility }) => [name, id, visibility]),
    );
    for (const [name, had] of content)
      expect(artifacts(join(bare.root, `data/repos/${name}.fossil`)), name).toEqual(had);
    expect((await bare.json<{ token: string }>('user', 'token', 'admin')).token).toBe(token);
    expect(bare.log()).not.toMatch(/It is shown this once/);
    const status = await bare.cli('status');
    expect(status.code, status.stdout).toBe(0);
    const { cloneUrl } = await bare.json<Shown>('repo', 'show', 'demo');
    const folder = await someone.checkout(cloneUrl, `admin:${token}`);
    const hash = await someone.commit(folder, 'after.txt', 'after the move');
    expect(await someone.push(folder)).toBe(true);
    expect(members(bare)).toEqual(members(former));
    await expectMembers();
    const folderOfEve = await someone.checkout(cloneUrl, `eve:${hers}`);
    const another = await someone.commit(folderOfEve, 'eve.txt', 'by another member');
    expect(await someone.push(folderOfEve)).toBe(true);
    expect((await bare.cli('backup', 'now')).code).toBe(0);
    expect(artifacts(join(bare.root, 'data/repos/demo.fossil'))).toEqual(
      expect.arrayContaining([hash, another]),
    );
    expect((await bare.cli('repo', 'undelete', 'gone')).code).toBe(0);
  });

  test('restores to before the move; who was a member then and was revoked stays outside', async () => {
    // Its loop would mend what a restore forgets.
    const resume = await pauseManagement(bare);
    try {
      await bare.json('restore', 'demo', '--at', mark.toISOString(), '--yes');
      expect(artifacts(join(bare.root, 'data/repos/demo.fossil'))).toEqual(atMark);
      await expectMembers();
      await bare.json('restore', 'demo', '--undo', '--yes');
      await expectMembers();
    } finally {
      resume();
    }
    expect((await bare.cli('backup', 'now')).code).toBe(0);
  });

  test('run once more it changes nothing; no secret is in the log', async () => {
    await bare.stop();
    await bare.start(...install('--takeover', '--yes'));
    expect((await bare.cli('status')).code).toBe(0);
    expect(bare.log()).not.toContain('AGE-SECRET-KEY');
    if (s3) expect(bare.log()).not.toContain(s3.secretAccessKey);
    expect(readFileSync(join(bare.root, 'etc/fossilrepo/fossilrepo.yaml'), 'utf8')).toContain(replica);
  });

  test('the former server, started again, writes nothing and says why', async () => {
    await bare.stop();
    // Here it is in the trash still, and there it is in service again.
    const database = new DatabaseSync(join(former.root, 'var/lib/fossilrepo/fossilrepo.db'));
    database.exec("UPDATE repository SET deleted_at = deleted_at - 40 * 86400000 WHERE name = 'gone'");
    database.close();
    // It never says that it works, so nobody waits for that.
    const starting = former.start().catch(() => undefined);
    const said = async () => {
      const { code, stdout } = await former.cli('status');
      return code === 4 && stdout.includes('belongs to the server on');
    };
    await eventually(said, 30_000, 'the former server says whose the replica is');
    expect((await former.cli('backup', 'now')).code).not.toBe(0);
    const purge = await former.cli('repo', 'purge', 'gone', '--yes');
    expect(purge.code).not.toBe(0);
    expect(purge.stderr).toContain('Nothing may be written to the replica');
    await former.stop();
    await starting;
    await bare.start();
    expect((await bare.cli('status')).code).toBe(0);
    expect((await bare.cli('backup', 'list', 'gone')).code).toBe(0);
    const managed = join(bare.root, 'var/lib/fossilrepo/fossilrepo.db');
    expect(query(managed, "SELECT value FROM setting WHERE key = 'replica.generation'")).toEqual([
      { value: '1' },
    ]);
  });

  test('a repository whose history is damaged is named and left out; all others come back', async () => {
    await bare.stop();
    const { id = '' } = before.repositories.find(({ name }) => name === 'repo-1') ?? {};
    const stored = s3 ? s3.folder : join(former.root, 'var/backups/fossilrepo');
    const found = execFileSync('find', [stored, '-path', `*${id}*`, '-name', '*.ltx', '-size', '+0']);
    const objects = found.toString().trim().split('\n');
    for (const object of objects) truncateSync(object, 50);
    // That server notices only by a restart what was changed by hand.
    await s3?.stop();
    await s3?.start();
    await using damaged = await startForge({ bare: true });
    // It never says that all is well, so nobody waits for that.
    const starting = damaged.start(...install('--takeover', '--yes')).catch(() => undefined);
    const said = async () => {
      const { code, stdout } = await damaged.cli('status');
      return code === 4 && stdout.includes('repo-1');
    };
    await eventually(said, 60_000, 'status is red and names it');
    for (const { name } of before.repositories)
      expect(existsSync(join(damaged.root, `data/repos/${name}.fossil`)), name).toBe(name !== 'repo-1');
    expect(artifacts(join(damaged.root, 'data/repos/repo-2.fossil'))).toEqual(content.get('repo-2'));
    await damaged.stop();
    await starting;
    expect(damaged.log()).toContain('repo-1 could not be brought back');
    // Which of them is needed depends on what was merged meanwhile.
    expect(objects.some((object) => damaged.log().includes(object.slice(-20)))).toBe(true);
  });

  test('to an instant of before: what came later is not there', async () => {
    await using then = await startForge({ bare: true });
    await then.start(...install('--at', mark.toISOString(), '--takeover', '--yes'));
    const now = await then.json<Listed>('repo', 'list');
    expect(now.repositories.map(({ name }) => name)).toEqual(['demo']);
    expect(artifacts(join(then.root, 'data/repos/demo.fossil'))).toEqual(atMark);
    expect((await then.json<{ token: string }>('user', 'token', 'admin')).token).toBe(token);
    const status = await then.cli('status');
    expect(status.code, status.stdout).toBe(0);
    expect((await then.cli('backup', 'now')).code).toBe(0);
  });

  test('without the recovery key all but the secrets comes back: new tokens, a new key', async () => {
    // What it shall be is in a fossilrepo.yaml that the operator wrote.
    const keyless = await startForge({ up: false });
    try {
      const storage = flags.slice(2).map((flag) => (flag.endsWith('/keys') ? copyFor(keyless, flag) : flag));
      await keyless.start(
        'install',
        '--from',
        replica,
        ...storage,
        '--without-secrets',
        '--takeover',
        '--yes',
      );
      expect(keyless.log()).toMatch(/The recovery key is AGE-SECRET-KEY-1/);
      const now = await keyless.json<Listed>('repo', 'list');
      expect(now.repositories.map(({ name }) => name)).toContain('demo');
      const { token: fresh } = await keyless.json<{ token: string }>('user', 'token', 'admin');
      expect(fresh).not.toBe(token);
      const { cloneUrl } = await keyless.json<Shown>('repo', 'show', 'demo');
      const { token: freshOfEve } = await keyless.json<{ token: string }>('user', 'token', 'eve');
      for (const [login, former, now] of [
        ['admin', token, fresh],
        ['eve', hers, freshOfEve],
      ] as const) {
        expect(await letIn(cloneUrl, login, former), login).toBe(false);
        expect(await letIn(cloneUrl, login, now), login).toBe(true);
      }
      expect(await letIn(cloneUrl, 'mallory', revoked)).toBe(false);
      expect((await keyless.cli('status')).code).toBe(0);
    } finally {
      await keyless[Symbol.asyncDispose]();
    }
  });
});

test('a server that people push to while it is brought back elsewhere writes nothing from then on; nothing that was in the replica is lost', async () => {
  await using s3 = await startS3();
  await using former = await startForge({ s3 });
  // Without the secrets its fossilrepo.yaml is its own: both run at once, on other ports.
  await using now = await startForge({ s3, up: false });
  await using demo = await startPusher(former, 'demo', { every: 300 });
  await eventually(() => demo.acknowledged.length >= 3, 60_000, 'people push');
  expect((await former.cli('backup', 'now')).code).toBe(0);
  const promised = [...demo.acknowledged];
  // The storage writes it anew in its place: for a moment it is half there, or gone.
  const owner = () => readIfThere(join(s3.folder, 'forge/owner.json')) ?? '';
  const isOfGeneration = (number: number) => new RegExp(`"generation": ?${number}\\b`).test(owner());
  const from = ['--from', `s3://${s3.bucket}/forge`, '--endpoint', s3.endpoint];
  const install = ['install', ...from, '--without-secrets', '--takeover', '--yes'];
  const paths = pathsUnder(now.root);

  const formers = readFileSync(join(s3.folder, 'forge/owner.json'));
  const killed = now.start(...install).catch(() => undefined);
  await eventually(() => isOfGeneration(1), 60_000, 'the replica is taken over');
  // As a heartbeat that was on its way to a slow storage, behind the look whether it is taken.
  await sleep(1_500);
  await putObject(s3, 'forge/owner.json', formers);
  expect(isOfGeneration(0)).toBe(true);
  await eventually(() => isOfGeneration(1), 30_000, 'it is taken over once more');
  await now.stop('SIGKILL');
  await killed;
  expect(readBringing(paths)).toBeUndefined();
  const bringing = now.start(...install);
  await eventually(() => readBringing(paths) !== undefined, 60_000, 'run again it goes on');
  // Until then the former one may not have noticed.
  const { heartbeat } = JSON.parse(owner()) as { heartbeat: string };
  expect(Date.now() - Date.parse(heartbeat)).toBeGreaterThanOrEqual(12_000);
  await eventually(
    async () => {
      const { code, stdout } = await former.cli('status');
      return code === 4 && stdout.includes('this one was brought back there');
    },
    30_000,
    'the former server says where it was brought back',
  );
  const before = demo.acknowledged.length;
  await bringing;
  expect(has(join(now.root, 'data/repos/demo.fossil'), promised)).toEqual([]);

  await eventually(() => demo.acknowledged.length > before + 1, 60_000, 'the former one takes pushes still');
  await demo.stop();
  await using after = await startPusher(now, 'after', { pushing: false });
  expect(await after.one()).toBe(true);
  expect((await now.cli('backup', 'now')).code).toBe(0);
  expect(await after.lostInReplica()).toEqual([]);
  const restored = join(now.root, 'restored.fossil');
  await restore(now.root, demo.id, restored);
  const late = demo.acknowledged.slice(before + 1);
  expect(has(restored, late), 'what came after the takeover').toEqual(late);
  expect(has(restored, promised)).toEqual([]);
  expect((await now.cli('backup', 'verify', 'demo')).code).toBe(0);
  const status = await now.cli('status');
  expect(status.code, status.stdout).toBe(0);
});

async function putObject(s3: S3, key: string, body: Buffer): Promise<void> {
  const { endpoint, bucket, ...credentials } = s3;
  const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials });
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body }));
  client.destroy();
}
