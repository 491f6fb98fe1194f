import { describe, expect, test } from 'vitest';
import { pathsUnder } from '../../src/config/paths.ts';
import { planRemoval } from '../../src/plan/removal.ts';
import { describeRemains, remainsAfter, type ReplicaNamed } from '../../src/plan/remains.ts';

const paths = pathsUnder('/');
const folderAt = (folder: string): ReplicaNamed => ({
  url: `file://${folder}`,
  folder,
  endpoint: undefined,
  region: undefined,
});
const inS3: ReplicaNamed = {
  url: 's3://forge/one',
  folder: undefined,
  endpoint: 'https://s3.example.com',
  region: 'eu-1',
};

/** @param without what does not exist @param links path → where it leads */
function said(
  purge: boolean,
  named: ReplicaNamed | undefined,
  {
    without = [],
    links = {},
    users = ['fossil', 'caddy'],
  }: { without?: string[]; links?: Record<string, string>; users?: string[] } = {},
) {
  const exists = (path: string) => !without.includes(path);
  const found = {
    exists,
    running: false,
    users,
    groups: ['fossilrepo'],
    packages: ['git', 'fossil'],
    packageGroups: [],
  };
  const own = named?.url === `file://${paths.replica}` ? paths.replica : undefined;
  const steps = planRemoval(paths, found, purge, own);
  const real = (path: string) => links[path] ?? path;
  const remains = remainsAfter(steps, paths, named, { ...found, real });
  return { remains, text: describeRemains(remains, named, { purge, install: './install.sh' }) };
}

describe('what stays', () => {
  test('without a purge is all data and the replica, with the way back', () => {
    const { text } = said(false, inS3, { without: [paths.replica] });
    expect(text).toContain(
      'Stays: /data, /var/lib/fossilrepo, /etc/fossilrepo, the replica at s3://forge/one.',
    );
    expect(text).toContain(
      'Stays with it, for a later install or purge: the users fossil, caddy; the group fossilrepo; 2 Debian packages that install.sh added; /var/lib/fossilrepo-install, which remembers what was added.',
    );
    expect(text).not.toContain(paths.log);
    expect(text).toContain('./install.sh goes on with all of it on this machine');
    expect(text).toContain(
      './install.sh --from s3://forge/one --endpoint https://s3.example.com --region eu-1 --storage-keys FILE --recovery-key FILE',
    );
  });

  test('after a purge is a replica that the operator named', () => {
    const { text, remains } = said(true, folderAt('/mnt/replica'), { without: [paths.replica] });
    expect(remains).toEqual({
      folders: [],
      made: { users: [], groups: [], packages: [], record: undefined },
      replica: { is: 'kept', url: 'file:///mnt/replica' },
      formerReplica: undefined,
      ownerless: undefined,
    });
    expect(text).toContain('./install.sh --from file:///mnt/replica --recovery-key FILE');
    expect(text).toContain('--without-secrets');
  });

  test('after a purge is not the folder that install made by itself', () => {
    const { text, remains } = said(true, folderAt(paths.replica));
    expect(remains.replica).toEqual({ is: 'removed', url: `file://${paths.replica}`, in: undefined });
    expect(text).toContain('goes, too.');
    expect(text).not.toContain('Stays');
    expect(text).not.toContain('--from');
  });

  test('after a purge is a replica in the data folder, which then stays for it', () => {
    // Other files in it keep /data itself: the command does not see it as one to be removed.
    const { remains } = said(true, folderAt('/data/replica'), { without: [paths.data, paths.replica] });
    expect(remains.replica).toEqual({ is: 'kept', url: 'file:///data/replica' });
  });

  test('after a purge is nothing of a replica within what goes, by whatever name', () => {
    const inside = folderAt(`${paths.work}/replica`);
    expect(said(true, inside).remains.replica).toMatchObject({ is: 'removed', in: paths.work });
    expect(said(true, inside).text).toContain('since it lies in /data/work');
    const linked = said(true, folderAt('/mnt/link'), { links: { '/mnt/link': `${paths.work}/replica` } });
    expect(linked.remains.replica).toMatchObject({ is: 'removed', in: paths.work });
  });

  test('is what a link leads to, when only the link goes', () => {
    const { remains } = said(true, folderAt(paths.replica), { links: { [paths.replica]: '/mnt/disk' } });
    expect(remains.replica).toMatchObject({ is: 'kept' });
  });

  test('after a purge is a folder whose user is gone, and it is said what to do with it', () => {
    const users = ['fossil', 'fossilrepo'];
    const give = 'chown -R root:root /mnt/replica';
    expect(said(true, folderAt('/mnt/replica'), { users }).text).toContain(give);
    expect(said(false, folderAt('/mnt/replica'), { users }).text).not.toContain('chown');
    expect(said(true, folderAt('/mnt/replica')).text).not.toContain('chown');
    expect(said(true, inS3, { users }).text).not.toContain('chown');
    expect(said(true, folderAt(paths.replica), { users }).text).not.toContain('chown');
  });

  test('is a former replica, too', () => {
    expect(said(true, inS3).text).toContain(`Stays: ${paths.replica}, where the replica was before.`);
  });

  test('is not known when nothing says where the replica is', () => {
    const { text, remains } = said(true, undefined);
    expect(remains).toMatchObject({ replica: { is: 'unknown' }, formerReplica: paths.replica });
    expect(text).toContain('wherever it is, it stays as it is');
  });
});
