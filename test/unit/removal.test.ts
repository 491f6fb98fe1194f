import { describe, expect, test } from 'vitest';
import { pathsUnder } from '../../src/config/paths.ts';
import { planRemoval, type RemovalFound } from '../../src/plan/removal.ts';

const paths = pathsUnder('/');
const all: RemovalFound = {
  exists: () => true,
  running: true,
  users: ['fossil'],
  groups: ['fossilrepo'],
  packages: ['git'],
  packageGroups: ['_ssh'],
};
const removed = (purge: boolean, replica: string | undefined) =>
  planRemoval(paths, all, purge, replica).flatMap((step) => (step.do === 'remove' ? [step.path] : []));

describe('a removal', () => {
  test('without purge keeps data, secrets, configuration, users, packages and the record of them', () => {
    const steps = planRemoval(paths, all, false, paths.replica);
    const kept = [
      paths.data,
      paths.repos,
      paths.work,
      paths.state,
      paths.database,
      paths.configFolder,
      paths.secrets,
      paths.replica,
      paths.record,
    ];
    for (const path of removed(false, paths.replica)) expect(kept).not.toContain(path);
    for (const derived of [paths.log, paths.mirrors, paths.upstreams])
      expect(removed(false, paths.replica)).toContain(derived);
    expect(steps.map((step) => step.do)).not.toContain('remove-user');
    expect(steps.map((step) => step.do)).not.toContain('remove-packages');
  });

  test('ends what runs first, the edge before the others, and takes the program last', () => {
    const steps = planRemoval(paths, all, true, paths.replica);
    expect(steps.slice(0, 5)).toMatchObject([
      { do: 'part', part: 'edge', action: 'stop' },
      { do: 'part', part: 'management' },
      { do: 'part', part: 'replication' },
      { do: 'part', part: 'repositories' },
      { do: 'disable' },
    ]);
    expect(steps.at(-1)).toMatchObject({ do: 'remove-program' });
  });

  test('of a server in a folder leaves the program on this machine', () => {
    const steps = planRemoval(pathsUnder('/tmp/forge'), all, true, undefined);
    expect(steps.map((step) => step.do)).not.toContain('remove-program');
  });

  test('a purge forgets what was installed only when all of it is gone', () => {
    const steps = planRemoval(paths, all, true, paths.replica);
    const at = (wanted: (step: (typeof steps)[number]) => boolean) => steps.findIndex(wanted);
    const record = at((step) => step.do === 'remove' && step.path === paths.record);
    expect(record).toBeGreaterThan(at((step) => step.do === 'remove-packages'));
    expect(record).toBeGreaterThan(at((step) => step.do === 'remove-group' && step.name === '_ssh'));
  });

  test('a purge leaves a replica that the operator named', () => {
    expect(removed(true, paths.replica)).toContain(paths.replica);
    expect(removed(true, undefined)).not.toContain(paths.replica);
  });

  test('killed after the unit files went, systemd is still told', () => {
    const found = { ...all, running: false, exists: (path: string) => path === paths.tmpfiles };
    expect(planRemoval(paths, found, false, undefined).map((step) => step.do)).toEqual([
      'disable',
      'units',
      'remove',
    ]);
  });

  test('of nothing is nothing to do', () => {
    const nothing = {
      exists: () => false,
      running: false,
      users: [],
      groups: [],
      packages: [],
      packageGroups: [],
    };
    expect(planRemoval(paths, nothing, true, undefined)).toEqual([]);
  });
});
