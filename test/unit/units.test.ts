import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/config/config.ts';
import { pathsUnder, programHome } from '../../src/config/paths.ts';
import { runFolders } from '../../src/plan/server.ts';
import { renderTmpfiles, renderUnits } from '../../src/plan/units.ts';
import { litestreamUnset } from '../../src/programs/litestream.ts';
import { addressOf } from '../../src/stack/listeners.ts';
import { stackOf } from '../../src/stack/parts.ts';

const paths = pathsUnder('/');
const folder = join(programHome, 'templates');
const templates = Object.fromEntries(
  readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')]),
);
const rendered = (text: string, keys = false) => {
  const config = parseConfig(text, paths);
  const units = renderUnits(templates, stackOf(config, paths, keys), paths, config);
  return new Map(units.map(({ name, content }) => [name, content]));
};

describe('units', () => {
  test('have no hole left, and an absolute program', () => {
    for (const [name, content] of rendered('')) {
      expect(content, name).not.toMatch(/<%|undefined|\{credentials\}/);
      for (const [, program] of content.matchAll(/^Exec\w+=(\S+)/gm)) expect(program).toMatch(/^\//);
    }
  });

  test('hand secrets over as credentials, and only to who needs them', () => {
    const credentials = (name: string, keys: boolean) =>
      [
        ...(rendered('', keys).get(`fossilrepo-${name}.service`) ?? '').matchAll(/^LoadCredential=(\S+):/gm),
      ].map(([, secret]) => secret);
    expect(credentials('repositories', true)).toEqual([]);
    expect(credentials('edge', true)).toEqual([]);
    expect(credentials('replication', true)).toEqual(['storage']);
    expect(credentials('replication', false)).toEqual([]);
    expect(credentials('management', true)).toEqual(['instance-key', 'storage']);
  });

  test('keep from Litestream what breaks its access to S3', () => {
    const unit = rendered('').get('fossilrepo-replication.service') ?? '';
    const names = /^UnsetEnvironment=(.*)$/m.exec(unit)?.[1]?.split(' ');
    expect(names).toEqual([...litestreamUnset]);
    expect(names).toEqual(expect.arrayContaining(['AWS_CA_BUNDLE', 'AWS_PROFILE']));
  });

  test('a program brought by path is what may be executed', () => {
    const unit = rendered('programs: { fossil: /opt/x/fossil }').get('fossilrepo-repositories.service') ?? '';
    expect(unit).toMatch(/^ExecStart=\/opt\/x\/fossil /m);
    expect(unit).toMatch(/^ExecPaths=\/opt\/x\/fossil /m);
    expect(unit).not.toContain('/usr/bin/fossil');
  });

  test('only the replica that is a folder is writable', () => {
    const writable = (text: string) =>
      /^ReadWritePaths=(.*)$/m.exec(rendered(text).get('fossilrepo-replication.service') ?? '')?.[1];
    expect(writable('replica: { url: file:///mnt/backup }')).toContain('-/mnt/backup');
    expect(writable('replica: { url: s3://bucket/x }')).not.toContain('/mnt');
  });

  test('parts listen on what the configuration names, Fossil on loopback whatever it says', () => {
    const listening = (text: string) => {
      const { edge, repositories } = stackOf(parseConfig(text, paths), paths, false);
      expect(repositories.listens.map(addressOf)).toEqual(['127.0.0.1:21100']);
      return edge.listens.map(addressOf);
    };
    expect(listening('')).toEqual(['127.0.0.1:80', '127.0.0.1:81', '[::1]:80', '[::1]:81']);
    const forge = 'domain: forge.example.com\nemail: ops@example.com\nlisten: [192.0.2.1]';
    expect(listening(forge)).toEqual(['192.0.2.1:80', '192.0.2.1:443', '127.0.0.1:21101']);
    expect(listening(`${forge}\ntls: off\nports: { http: 8080 }`)).toEqual(['192.0.2.1:8080']);
  });

  test('the folders below /run come back at every boot', () => {
    const lines = renderTmpfiles(templates['tmpfiles.conf'] ?? '', runFolders(paths)).split('\n');
    expect(lines).toContain('d /run/fossilrepo 0755 root root -');
    expect(lines).toContain('d /run/fossilrepo/locks 0700 fossilrepo fossilrepo -');
  });
});
