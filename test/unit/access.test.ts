import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  capabilitiesOf,
  forbiddenLetters,
  roles,
  strangersCapabilities,
} from '../../src/access/capabilities.ts';
import { checkLogin, wantedAccess } from '../../src/access/wanted.ts';
import { secret } from '../../src/secrets/secret.ts';

describe('roles', () => {
  test.each(roles)(
    '%s never has Admin, Setup, its own password, or a class that stands for others',
    (role) => {
      expect(capabilitiesOf(role, false)).not.toMatch(/[aspuv]/);
      expect(forbiddenLetters).toEqual(['a', 's']);
    },
  );

  test('each includes the next one', () => {
    for (const [index, role] of roles.slice(1).entries()) {
      const stronger = capabilitiesOf(roles[index] ?? 'owner', false);
      expect(Array.from(capabilitiesOf(role, false)).filter((letter) => !stronger.includes(letter))).toEqual(
        [],
      );
    }
  });

  test('of an archived repository only read', () => {
    expect(capabilitiesOf('owner', true)).toBe('eghjorxz2');
    expect(capabilitiesOf('viewer', true)).toBe(capabilitiesOf('viewer', false));
    for (const role of roles) expect(capabilitiesOf(role, true)).not.toMatch(/[^eghjorxz2]/);
  });

  test('strangers read what is public and nothing else', () => {
    expect(strangersCapabilities('public', false)).toEqual({ nobody: 'gjorz', anonymous: 'hz' });
    for (const visibility of ['internal', 'private'] as const)
      expect(strangersCapabilities(visibility, false)).toEqual({ nobody: '', anonymous: '' });
  });
});

describe('wanted rows', () => {
  const token = secret('frt0123');

  test("are Fossil's classes and the members, with Fossil's hash", () => {
    const rows = wantedAccess({
      projectCode: 'code',
      visibility: 'private',
      archived: false,
      members: [{ login: 'admin', token, role: 'owner' }],
    });
    expect(rows.slice(0, 4)).toEqual(
      ['nobody', 'anonymous', 'developer', 'reader'].map((login) => ({ login, cap: '', pw: '' })),
    );
    expect(rows.slice(4)).toEqual([
      {
        login: 'admin',
        cap: 'bcefghijklmnoqrtwxyz23456ACD',
        pw: createHash('sha1').update('code/admin/frt0123').digest('hex'),
      },
    ]);
  });

  test.each(['nobody', 'reader', '', 'Admin', 'a/b', '-a', '.a', 'a b', 'ü', 'a'.repeat(64)])(
    'refuse the login %j',
    (login) => {
      expect(() => checkLogin(login)).toThrow();
      expect(() =>
        wantedAccess({
          projectCode: 'c',
          visibility: 'public',
          archived: false,
          members: [{ login, token, role: 'viewer' }],
        }),
      ).toThrow();
    },
  );
});
