import { describe, expect, test } from 'vitest';
import { type Found, planChanges } from '../../src/plan/changes.ts';
import { describePlan } from '../../src/plan/describe.ts';
import type { Wanted } from '../../src/plan/wanted.ts';
import { secret } from '../../src/secrets/secret.ts';

const nothing: Found = {
  groups: new Set(),
  users: new Set(),
  directories: new Map(),
  files: new Map(),
  secrets: new Set(),
  storageKeys: true,
  due: {},
  instance: false,
  parts: new Map(),
  atRest: new Set(),
};
const root = { user: 'root', group: 'root' };
const caddyfile: Wanted = {
  is: 'files',
  title: "Caddy's configuration",
  files: [{ path: '/etc/x/Caddyfile', content: 'new\n', mode: 0o644, owner: root }],
  check: 'caddy',
  then: [{ part: 'edge', action: 'reload' }],
};
const listens = [
  { host: '127.0.0.1', port: 80 },
  { host: '::1', port: 80 },
];
const edge: Wanted = { is: 'part', part: 'edge', unit: 'fossilrepo-edge.service', listens };
const inPlace = (content: string, mode = 0o644) =>
  new Map([['/etc/x/Caddyfile', { content, mode, owner: root }]]);

describe('a plan', () => {
  test('for an empty machine makes everything, parts last', () => {
    const wanted: Wanted[] = [
      edge,
      { is: 'group', name: 'g' },
      { is: 'user', name: 'u', group: 'g', home: '/h' },
      { is: 'directory', path: '/d', mode: 0o750, owner: root, data: true },
      caddyfile,
    ];
    expect(planChanges(wanted, nothing).map((step) => step.do)).toEqual([
      'group',
      'user',
      'directory',
      'files',
      'part',
    ]);
  });

  test('is empty when all is as wanted', () => {
    const found: Found = { ...nothing, files: inPlace('new\n'), parts: new Map([['edge', 'running']]) };
    expect(planChanges([caddyfile, edge], found)).toEqual([]);
    expect(describePlan([])).toBe('nothing to do');
  });

  test('starts what stands ready besides the parts; the start of a part does so, too', () => {
    const standing: Wanted = { is: 'standing', units: ['a.path', 'b.timer', 'c.timer'] };
    const found: Found = {
      ...nothing,
      parts: new Map([['edge', 'running']]),
      atRest: new Set(['c.timer', 'a.path']),
    };
    const steps = planChanges([edge, standing], found);
    expect(steps).toEqual([{ do: 'standing', units: ['a.path', 'c.timer'] }]);
    expect(describePlan(steps)).toBe('- start a.path, c.timer, at every boot, too');
    expect(planChanges([edge, standing], { ...found, parts: new Map() })).toMatchObject([
      { do: 'part', action: 'start' },
    ]);
  });

  test('reloads a running part whose file changed, and shows the diff', () => {
    const steps = planChanges([caddyfile, edge], {
      ...nothing,
      files: inPlace('old\n'),
      parts: new Map([['edge', 'running']]),
    });
    expect(steps.at(-1)).toEqual({ do: 'part', part: 'edge', action: 'reload' });
    expect(describePlan(steps)).toContain('-old\n    +new');
  });

  test('sees a mode or an owner that was changed by hand', () => {
    const steps = planChanges([caddyfile], { ...nothing, files: inPlace('new\n', 0o666) });
    expect(steps).toHaveLength(1);
  });

  test('restarts a part once when one file wants a reload and another a restart', () => {
    const unit: Wanted = {
      ...caddyfile,
      files: [{ path: '/etc/x/unit', content: 'u', mode: 0o644 }],
      check: 'systemd',
      then: [{ part: 'edge', action: 'restart' }],
    };
    const steps = planChanges([caddyfile, unit, edge], { ...nothing, parts: new Map([['edge', 'running']]) });
    expect(steps.filter((step) => step.do === 'part')).toEqual([
      { do: 'part', part: 'edge', action: 'restart' },
    ]);
  });

  test('starts a stopped part, whatever changed, and says where it will listen', () => {
    const steps = planChanges([caddyfile, edge], nothing);
    expect(steps.at(-1)).toEqual({ do: 'part', part: 'edge', action: 'start', listens });
    expect(describePlan(steps)).toMatch(/^- start edge \(listens on 127\.0\.0\.1:80, \[::1\]:80\)$/m);
  });

  test("leaves the operator's own folder as it is", () => {
    const data: Wanted = { is: 'directory', path: '/data', mode: 0o755, data: true, shared: true };
    const found = {
      ...nothing,
      directories: new Map([['/data', { mode: 0o700, owner: { user: 'x', group: 'y' } }]]),
    };
    expect(planChanges([data], found)).toEqual([]);
  });

  test('goes on with what a killed command left to do, and restarts what is outdated', () => {
    const found: Found = { ...nothing, files: inPlace('new\n'), parts: new Map([['edge', 'running']]) };
    expect(planChanges([caddyfile, edge], { ...found, due: { edge: 'reload' } })).toEqual([
      { do: 'part', part: 'edge', action: 'reload' },
    ]);
    expect(planChanges([caddyfile, edge], { ...found, parts: new Map([['edge', 'outdated']]) })).toEqual([
      { do: 'part', part: 'edge', action: 'restart' },
    ]);
  });

  test('writes storage keys that differ, restarts who uses them, and shows none of them', () => {
    const keys = { id: 'AKID', secret: secret('hush-hush') };
    const wanted: Wanted[] = [
      {
        is: 'storage-keys',
        path: '/etc/x/storage',
        keys,
        then: [{ part: 'replication', action: 'restart' }],
      },
      { is: 'part', part: 'replication', unit: 'x', listens: [] },
    ];
    const running: Found = { ...nothing, parts: new Map([['replication', 'running']]) };
    expect(planChanges(wanted, running)).toEqual([]);
    const steps = planChanges(wanted, { ...running, storageKeys: false });
    expect(steps.map((step) => step.do)).toEqual(['storage-keys', 'part']);
    expect(describePlan(steps) + JSON.stringify(steps)).not.toContain('hush');
  });
});
