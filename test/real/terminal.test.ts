import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startForge, type TestForge } from './forge.ts';
import { keys, type Terminal } from './terminal.ts';

/** How a command ends when its question is not answered by yes. */
const unchanged = { code: 130, screen: expect.stringContaining('Nothing was changed.') as string };
const cancelled = {
  code: 130,
  screen: expect.stringContaining('Cancelled; nothing was changed.') as string,
};

/** All that is below a folder. */
const inventory = (folder: string) =>
  execFileSync('find', [folder, '-printf', '%P %y %s %T@\n'], { encoding: 'utf8' }).split('\n').sort();

describe('whoever is at the terminal', () => {
  let forge: TestForge;
  let mark: string;
  beforeAll(async () => {
    forge = await startForge();
    await forge.json('repo', 'create', 'demo');
    await sleep(1_500);
    mark = new Date().toISOString();
  });
  afterAll(() => forge[Symbol.asyncDispose]());

  /** What a question is answered by; Ctrl-C, too. */
  async function asked(command: string[], question: string, ...typed: string[]) {
    await using terminal = forge.person(...command);
    await terminal.answers(question, ...typed);
    return await terminal.ended();
  }
  const deleting = ['repo', 'delete', 'demo'];
  const restoring = () => ['restore', 'demo', '--at', mark];

  test('keeps a repository by saying no, nothing or Ctrl-C, and deletes it by yes', async () => {
    const question = 'Delete demo? It can be undeleted';
    expect(await asked(deleting, question, keys.enter)).toMatchObject(unchanged);
    expect(await asked(deleting, question, 'n', keys.enter)).toMatchObject(unchanged);
    expect(await asked(deleting, question, keys.interrupt)).toMatchObject(cancelled);
    expect(await forge.json('repo', 'list')).toMatchObject({ repositories: [{ name: 'demo' }] });
    const done = await asked(deleting, question, 'y', keys.enter);
    expect(done.code, done.screen).toBe(0);
    expect(done.screen).toContain('demo is in the trash until');
    await forge.json('repo', 'undelete', 'demo');
  });

  test('sees what a restore would do before it is asked for', async () => {
    const file = join(forge.root, 'data/repos/demo.fossil');
    const was = readFileSync(file);
    const no = await asked(restoring(), 'Restore demo?', 'n', keys.enter);
    expect(no).toMatchObject(unchanged);
    expect(no.screen).toContain('Members, roles, visibility and what is shunned stay as they are today.');
    expect(await asked(restoring(), 'Restore demo?', keys.interrupt)).toMatchObject(cancelled);
    expect(readFileSync(file).equals(was)).toBe(true);
    const done = await asked(restoring(), 'Restore demo?', 'y', keys.enter);
    expect(done.code, done.screen).toBe(0);
    expect(done.screen).toContain('demo is restored.');
    const back = await asked(
      ['restore', 'demo', '--undo'],
      'Take the last restore of demo back?',
      keys.enter,
    );
    expect(back).toMatchObject(unchanged);
  });

  test('is told by a new server what becomes of a replica that is not empty', async () => {
    await using other = await startForge({ up: false });
    const folder = join(forge.root, 'var/backups/fossilrepo');
    const install = ['install', '--yes', '--dry-run', '--replica', `file://${folder}`];
    const refused = await other.cli(...install);
    expect(refused.code).toBe(4);
    expect(refused.stderr).toContain('belongs to the server on');
    expect(refused.stderr).toContain(`All that is there stays.`);
    expect(refused.stderr).toContain('fossilrepo install --from this address');
    renameSync(join(folder, 'owner.json'), join(forge.root, 'owner.json'));
    const beside = await other.cli(...install);
    renameSync(join(forge.root, 'owner.json'), join(folder, 'owner.json'));
    expect(beside.code, beside.stderr).toBe(0);
    expect(beside.stdout).toContain(
      `The replica at file://${folder} is not empty, though nothing says whose it is`,
    );
    expect(beside.stdout).toContain('That stays as it is');
  });

  test('has to type the domain before a purge, and knows by then what becomes of the replica', async () => {
    await forge.stop();
    const config = join(forge.root, 'etc/fossilrepo/fossilrepo.yaml');
    const text = readFileSync(config, 'utf8');
    writeFileSync(config, `${text}replica: { url: file:///mnt/other }\n`);
    const elsewhere = await forge.cli('uninstall', '--purge', '--dry-run');
    writeFileSync(config, text);
    expect(elsewhere.stdout).toContain('the replica at file:///mnt/other.');
    expect(elsewhere.stdout).toContain(
      `fossilrepo --root ${forge.root} install --from file:///mnt/other --recovery-key FILE`,
    );
    expect(elsewhere.stdout).toContain(
      `Stays: ${forge.root}/var/backups/fossilrepo, where the replica was before.`,
    );
    const was = inventory(forge.root);
    const question = 'Type localhost to destroy all repositories of this server';
    const fate = `The replica at file://${forge.root}/var/backups/fossilrepo goes, too.`;
    for (const typed of [[keys.enter], ['yes', keys.enter], ['Localhost', keys.enter]]) {
      const refused = await asked(['uninstall', '--purge'], question, ...typed);
      expect(refused).toMatchObject(unchanged);
      expect(refused.screen.indexOf(fate)).toBeGreaterThan(0);
      expect(refused.screen.indexOf(fate)).toBeLessThan(refused.screen.indexOf(question));
    }
    expect(await asked(['uninstall', '--purge'], question, keys.interrupt)).toMatchObject(cancelled);
    expect(await asked(['uninstall'], 'Type yes to remove fossilrepo', 'no', keys.enter)).toMatchObject(
      unchanged,
    );
    expect(inventory(forge.root)).toEqual(was);
    const gone = await asked(['uninstall', '--purge'], question, 'localhost', keys.enter);
    expect(gone.code, gone.screen).toBe(0);
    expect(gone.screen).toContain('All is gone.');
    for (const left of ['data', 'etc/fossilrepo', 'var/lib/fossilrepo', 'var/backups/fossilrepo'])
      expect(existsSync(join(forge.root, left)), left).toBe(false);
  });
});

describe('install, left by Ctrl-C', () => {
  let bare: TestForge;
  beforeAll(async () => {
    bare = await startForge({ bare: true });
  });
  afterAll(() => bare[Symbol.asyncDispose]());

  const left = async (terminal: Terminal, was: string[]) => {
    expect(await terminal.ended()).toMatchObject(cancelled);
    expect(inventory(bare.root)).toEqual(was);
  };

  test('at its first question changes nothing', async () => {
    const was = inventory(bare.root);
    await using terminal = bare.person('install');
    await terminal.answers('Domain (repositories answer at NAME.DOMAIN)', keys.interrupt);
    await left(terminal, was);
  });

  test('at its last question changes nothing, and the key is not on the screen', async () => {
    const was = inventory(bare.root);
    await using terminal = bare.person('install');
    await terminal.answers('Domain', 'forge.test', keys.enter);
    await terminal.answers('E-mail for the certificate authority', 'ops@forge.test', keys.enter);
    // Storage is the first choice of who has a domain.
    await terminal.answers('Where shall every commit go?', keys.enter);
    await terminal.answers('Address (s3://BUCKET/PREFIX)', 'forge', keys.enter);
    await terminal.answers('It begins with s3://', keys.eraseLine, 's3://forge/one', keys.enter);
    await terminal.answers('Endpoint of the storage', keys.enter);
    await terminal.answers('Access key ID of the storage', 'AKIDFORGE', keys.enter);
    await terminal.answers('Secret access key', 'hush-hush');
    await terminal.sees('*********');
    await terminal.answers('*********', keys.interrupt);
    await left(terminal, was);
    expect((await terminal.ended()).screen).not.toContain('hush');
  });
});

test('a replica within what is the server’s own is refused', async () => {
  await using forge = await startForge({ bare: true });
  const said = await forge.cli(
    'install',
    '--yes',
    '--dry-run',
    '--replica',
    `file://${forge.root}/var/lib/fossilrepo/replica`,
  );
  expect(said.code).toBe(4);
  expect(said.stderr).toContain(`The replica can't be in ${forge.root}/var/lib/fossilrepo`);
});

test.each([
  ['/dev/null/x', "/dev is the system's own"],
  ['/proc/foo', "/proc is the system's own"],
  ['/nowhere/at/all', 'There is no folder /nowhere/at for the replica.'],
])('a replica that can be none is refused at once, with what to do: %s', async (folder, why) => {
  await using forge = await startForge({ up: false });
  const said = await forge.cli('install', '--yes', '--dry-run', '--replica', `file://${folder}`);
  expect(said.code).toBe(4);
  expect(said.stderr).toContain(why);
  expect(said.stderr).toMatch(/next: +\S/);
});
