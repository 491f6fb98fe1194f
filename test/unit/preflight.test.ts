import { chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type ClockFacts, judgeClock } from '../../src/inspect/clock.ts';
import { authorityRoots } from '../../src/inspect/preflight.ts';
import { type Answer, judgeNames, type NameFacts } from '../../src/inspect/names.ts';
import { checkPrograms } from '../../src/inspect/programs.ts';
import { whyUnreachable } from '../../src/inspect/reachable.ts';
import { checkReplicaFolder } from '../../src/inspect/replica-folder.ts';
import { parseConfig } from '../../src/config/config.ts';
import { pathsUnder } from '../../src/config/paths.ts';
import { run } from '../../src/system/run.ts';
import { judgeDisk, judgeMemory, memoryOf, refuseUnless } from '../../src/inspect/preflight.ts';

describe('room', () => {
  const mib = 1024 ** 2;

  test('of memory is refused below what the parts need beside each other, and it is said how much that is', () => {
    expect(judgeMemory(400 * mib)).toEqual({
      what: 'memory',
      verdict: 'fine',
      message: '419 MB of memory',
    });
    expect(judgeMemory(400 * mib - 1)).toMatchObject({ verdict: 'refuse' });
    expect(judgeMemory(256_000_000)).toEqual({
      what: 'memory',
      verdict: 'refuse',
      message: 'This machine has only 256 MB of memory.',
      next: 'Give it at least 419 MB.',
    });
  });

  test('of memory is what the container may have, where that is less than the machine has', () => {
    expect(memoryOf(8_000, 256)).toBe(256);
    expect(memoryOf(8_000, 16_000)).toBe(8_000);
    // What Linux says where there is no limit, and Node where there is nothing to say.
    expect(memoryOf(8_000, 2 ** 64)).toBe(8_000);
    expect(memoryOf(8_000, 0)).toBe(8_000);
  });

  test('on the disk is refused below what a server begins with, and it is said where to make it', () => {
    expect(judgeDisk(512 * mib, '/data')).toEqual({
      what: 'disk',
      verdict: 'fine',
      message: '537 MB free for /data',
    });
    expect(judgeDisk(512 * mib - 1, '/data')).toMatchObject({ verdict: 'refuse' });
    expect(judgeDisk(0, '/data')).toEqual({
      what: 'disk',
      verdict: 'refuse',
      message: 'There is only 0 B free for /data.',
      next: 'Free at least 537 MB there.',
    });
  });

  test('that lacks stops an installation, with all that has to be done at once', () => {
    const found = [judgeMemory(1), judgeDisk(1, '/data'), judgeMemory(2 ** 40)];
    expect(() => refuseUnless(found)).toThrow(
      expect.objectContaining({
        message: 'This machine has only 1 B of memory.\nThere is only 1 B free for /data.',
        next: 'Give it at least 419 MB.\n       Free at least 537 MB there.',
        exit: 'check',
      }),
    );
    expect(() => refuseUnless(found.slice(2))).not.toThrow();
    // Where nothing can be said there is no empty line for it.
    const mute = { what: 'disk', verdict: 'refuse', message: 'No.' } as const;
    expect(() => refuseUnless([mute])).toThrow(expect.objectContaining({ message: 'No.', next: undefined }));
  });
});

describe('the clock', () => {
  const minute = 60_000;
  const now = Date.parse('2026-11-21T12:00:00Z');
  const facts: ClockFacts = { now, made: now - minute, synchronized: true, others: [], local: false };
  const judged = (more: Partial<ClockFacts>) => judgeClock({ ...facts, ...more });
  const others = (ahead: number) => [{ of: 's3.example.com', ahead }];

  test('is fine when a time service keeps it, or another clock agrees', () => {
    expect(judged({})).toMatchObject([{ verdict: 'fine' }]);
    expect(judged({ synchronized: undefined, others: others(900) })).toMatchObject([{ verdict: 'fine' }]);
  });

  test.each(['1970-01-01', '2019-06-01', '2107-01-01'])('that says %s is refused', (said) => {
    expect(judged({ now: Date.parse(said), made: 0 })).toMatchObject([
      { verdict: 'refuse', message: expect.stringContaining("which can't be") as string },
    ]);
  });

  test('before the program was put here is refused, but for time zones', () => {
    expect(judged({ made: now + 25 * 60 * minute })).toMatchObject([{ verdict: 'refuse' }]);
    expect(judged({ made: now + 60 * minute })).toMatchObject([{ verdict: 'fine' }]);
  });

  test('far from that of the storage is refused, near it a warning, and says in which direction', () => {
    const alone = { synchronized: undefined };
    expect(judged({ ...alone, others: others(-10 * minute) })).toMatchObject([
      { verdict: 'refuse', message: 'The clock is 10m ahead of that of s3.example.com.' },
    ]);
    expect(judged({ ...alone, others: others(2 * minute) })).toMatchObject([
      { verdict: 'warn', message: 'The clock is 2m behind that of s3.example.com.' },
    ]);
  });

  test('that a time service keeps, or another clock agrees with, is not the one to set', () => {
    const warned = [
      { verdict: 'warn', next: expect.stringContaining('set the clock of s3.example.com') as string },
    ];
    expect(judged({ synchronized: true, others: others(-10 * minute) })).toMatchObject(warned);
    expect(judged({ synchronized: false, others: [...others(0), ...others(-10 * minute)] })).toMatchObject(
      warned,
    );
  });

  test('that nobody keeps, or can judge, is a warning', () => {
    expect(judged({ synchronized: false })).toMatchObject([
      { verdict: 'warn', message: 'No time service keeps the clock right.' },
    ]);
    expect(judged({ synchronized: undefined })).toMatchObject([{ verdict: 'warn' }]);
    expect(judged({ synchronized: undefined, local: true })).toMatchObject([{ verdict: 'fine' }]);
  });
});

describe('names', () => {
  const ports = { http: 80, https: 443, repositories: 81, fossil: 21100, ask: 21101 };
  const config = { domain: 'forge.example.com', local: false, tls: 'auto' as const, ports };
  const led = (answer: Answer | 'not asked', own = false): NameFacts['addresses'] => [
    { address: '192.0.2.10', own, answer },
  ];
  const judged = (
    addresses: NameFacts['addresses'],
    below: Partial<NameFacts> = {},
    other: Partial<typeof config> = {},
  ) => {
    const domain: NameFacts = { name: config.domain, addresses, inDns: 'yes' };
    const check = { ...domain, name: `fossilrepo-check.${config.domain}`, ...below };
    return judgeNames({ ...config, ...other }, [domain, check]);
  };

  test('that lead here are fine, by whatever address', () => {
    expect(judged(led('here'))).toMatchObject([{ verdict: 'fine' }]);
    expect(judged(led('not asked'))).toMatchObject([{ verdict: 'fine' }]);
  });

  test('without a wildcard record are refused where a certificate is wanted', () => {
    const [found] = judged(led('here'), { addresses: [] });
    expect(found).toMatchObject({
      verdict: 'refuse',
      message: "fossilrepo-check.forge.example.com can't be resolved.",
      next: expect.stringContaining('*.forge.example.com') as string,
    });
  });

  test('that lead to another server are told, each', () => {
    expect(judged(led('here'), { addresses: led('another') })).toMatchObject([
      { verdict: 'warn', message: expect.stringMatching(/^fossilrepo-check.*another server/) as string },
    ]);
    expect(judged(led('another'))).toHaveLength(2);
  });

  test('that lead to nobody may be behind a router, unless the address is this machine’s', () => {
    expect(judged(led('silent'))[0]).toMatchObject({
      verdict: 'warn',
      message: expect.stringContaining('is no address of this machine') as string,
    });
    expect(judged(led('refused'))[0]).toMatchObject({ verdict: 'warn' });
    expect(judged(led('refused', true))[0]).toMatchObject({ verdict: 'refuse' });
    expect(judged(led('silent', true))[0]).toMatchObject({
      verdict: 'warn',
      next: expect.stringContaining('firewall') as string,
    });
  });

  test('that only /etc/hosts knows are no proof of DNS', () => {
    expect(judged(led('here'), { inDns: 'no' })).toMatchObject([
      { verdict: 'warn', message: expect.stringContaining('the DNS has no record') as string },
    ]);
    expect(judged(led('here'), { inDns: 'silent' })).toMatchObject([
      { verdict: 'warn', message: expect.stringContaining("can't be known") as string },
    ]);
  });

  test('of a trial need no more than to be resolved', () => {
    const local = { domain: 'localhost', local: true };
    expect(judged(led('another'), {}, local)).toMatchObject([{ verdict: 'fine' }]);
    expect(judged([], {}, local)).toMatchObject([{ verdict: 'warn' }]);
  });
});

describe('the roots of another certificate authority', () => {
  const judged = (roots: string | undefined, tls: 'auto' | 'internal' = 'auto') =>
    authorityRoots({ tls, acme: { directory: 'https://acme.example.com/directory', roots } });

  test('have to be on this machine, which no replica brings them to', () => {
    expect(judged(import.meta.filename)).toMatchObject([{ verdict: 'fine' }]);
    const missing = join(import.meta.dirname, 'company.pem');
    expect(judged(missing)).toMatchObject([
      { verdict: 'refuse', next: expect.stringContaining(`Copy that file to ${missing}`) as string },
    ]);
  });

  test('are not asked for where there are none, or nobody asks that authority', () => {
    expect([...judged(undefined), ...judged('/nowhere.pem', 'internal')]).toEqual([]);
  });
});

describe('a folder that is to be the replica', () => {
  const paths = pathsUnder('/');
  const judged = async (folder: string, kind: 'systemd' | 'foreground' = 'foreground', at = paths) => {
    const config = { replica: { ...parseConfig('', at).replica, url: `file://${folder}` } };
    const [one] = await checkReplicaFolder({ config, paths: at, run, supervisor: { kind } });
    return one?.verdict === 'refuse' ? `${one.message} ${one.next ?? ''}` : one?.verdict;
  };

  test.each([
    ['/', "is the server's own, lies in it"],
    ['/data', '/data/repos'],
    ['/srv/../data', '/data/repos'],
    ['/var', '/var/lib/fossilrepo'],
    ['/var/lib/fossilrepo/replica', "can't be in /var/lib/fossilrepo"],
    ['/etc/replica', "/etc is the system's own"],
    ['/proc/foo', "/proc is the system's own"],
    ['/dev/null/x', "/dev is the system's own"],
    ['/usr/share/replica', "/usr is the system's own"],
    ['/home', 'mkdir /home/fossilrepo'],
    ['/mnt', 'mkdir /mnt/fossilrepo'],
    ['/var/backups', 'mkdir /var/backups/fossilrepo'],
  ])('is refused as %s', async (folder, why) => {
    expect(await judged(folder)).toContain(why);
  });

  test('may be the one that install makes, one on a disk of its own, and none at all in a storage', async () => {
    expect(await judged(paths.replica)).toBe('fine');
    expect(await judged('/mnt/replica', 'systemd')).toBe('fine');
    const config = { replica: { ...parseConfig('', paths).replica, url: 's3://forge/one' } };
    expect(await checkReplicaFolder({ config, paths, run, supervisor: { kind: 'systemd' } })).toEqual([]);
  });

  test('is refused where others keep something, but not where a replica is', async () => {
    const root = mkdtempSync(join(tmpdir(), 'replica-folder-'));
    try {
      const below = pathsUnder(join(root, 'server'));
      const at = (name: string) => join(root, name);
      for (const name of ['theirs', 'empty', 'disk/lost+found', 'replica'])
        mkdirSync(at(name), { recursive: true });
      for (const name of ['theirs/letters', 'replica/owner.json', 'file']) writeFileSync(at(name), '');
      symlinkSync('/etc', at('link'));
      if (process.getuid?.() === 0)
        for (const name of ['theirs', 'replica', 'disk']) chownSync(at(name), 24_001, 24_001);
      const refused = await judged(at('theirs'), 'foreground', below);
      // One's own folder one may give away.
      if (process.getuid?.() === 0) {
        expect(refused).toContain('letters');
        expect(refused).toContain(`mkdir ${at('theirs')}/fossilrepo`);
      } else expect(refused).toBe('fine');
      // What can't be looked at is told by whoever writes there, and a replica that is in use is nobody else's.
      const own = pathsUnder('/usr/local/trial');
      expect(await judged(own.replica, 'foreground', own)).toBe('fine');
      for (const name of ['empty', 'disk', 'replica', 'new'])
        expect(await judged(at(name), 'foreground', below), name).toBe('fine');
      expect(await judged(at('file'), 'foreground', below)).toContain('is no folder');
      expect(await judged(at('link/replica'), 'foreground', below)).toContain("/etc is the system's own");
      expect(await judged(root, 'foreground', below)).toContain('lies in it');
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  });

  test.each([
    ['/home/ops/replica', '/home'],
    ['/root/replica', '/root'],
    ['/tmp/replica', '/tmp'],
    ['/var/tmp/replica', '/var/tmp'],
    // Debian's own, for root alone.
    ['/var/cache/ldconfig/disk/replica', 'chmod o+x /var/cache/ldconfig'],
  ])('is refused under systemd where the units do not come: %s', async (folder, why) => {
    expect(await judged(folder)).toBe('fine');
    expect(await judged(folder, 'systemd')).toContain(why);
  });

  test('is no other place for a program', async () => {
    const config = parseConfig('programs:\n  caddy: /home/ops/caddy\n', paths);
    const found = await checkPrograms(config, run, { kind: 'systemd' });
    expect(found.find(({ what }) => what === 'caddy')).toMatchObject({
      message: "/home/ops/caddy can't be used: the server's units see nothing of /home.",
      next: expect.stringContaining('elsewhere') as string,
    });
    expect(await whyUnreachable('/srv/fossil', 'fossil', run)).toBeUndefined();
  });
});
