import { html } from 'hono/html';
import { describe, expect, test } from 'vitest';
import { attemptsPerAddress, attemptsPerLogin, limitAttempts } from '../../src/web/attempts.ts';
import { clientOf } from '../../src/web/client-address.ts';
import { type Html, page } from '../../src/web/pages/layout.ts';
import { problemPage } from '../../src/web/pages/problem.ts';
import { ago, repositoryItem } from '../../src/web/pages/repository.ts';
import { style } from '../../src/web/style.ts';

describe('whose attempts are counted together', () => {
  test.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2:ffff::', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['1.1.1.1, 192.0.2.7', '192.0.2.7'],
    ['nonsense', 'nonsense'],
    [undefined, ''],
  ])('%s is %s', (forwarded, client) => {
    expect(clientOf(forwarded)).toBe(client);
  });
});

describe('limits on signing in', () => {
  test('an address is refused after its attempts, and only it', async () => {
    const attempts = limitAttempts();
    for (let n = 0; n < attemptsPerAddress; n++)
      expect(await attempts.take('a', `login ${n}`)).toMatchObject({ allowed: true });
    expect(await attempts.take('a', 'login')).toMatchObject({ allowed: false, first: true });
    const again = await attempts.take('a', 'login');
    expect(again).toMatchObject({ allowed: false, first: false });
    expect(again.allowed ? 0 : again.retryAfter).toBeGreaterThan(890);
    expect(await attempts.take('b', 'login')).toMatchObject({ allowed: true });
  });

  test('a login is refused after attempts from many addresses; refused addresses do not use them up', async () => {
    const attempts = limitAttempts();
    for (let n = 0; n < attemptsPerAddress + 1000; n++) await attempts.take('one', 'admin');
    for (let n = attemptsPerAddress; n < attemptsPerLogin; n++)
      expect(await attempts.take(`address ${n}`, 'admin')).toMatchObject({ allowed: true });
    expect(await attempts.take('new', 'admin')).toMatchObject({ allowed: false });
    expect(await attempts.take('new', 'other')).toMatchObject({ allowed: true });
  });

  test('successes are given back', async () => {
    const attempts = limitAttempts();
    for (let n = 0; n < 3 * attemptsPerLogin; n++) {
      const attempt = await attempts.take('a', 'admin');
      expect(attempt.allowed).toBe(true);
      if (attempt.allowed) await attempt.succeeded();
    }
  });

  test('one password is checked at a time; too many waiting are sent away; a failure does not stop the next', async () => {
    const { inTurn } = limitAttempts();
    let running = 0;
    let most = 0;
    const work = async () => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 2));
      running--;
      return 'done';
    };
    const failing = inTurn(() => Promise.reject(new Error('no')));
    const answers = Promise.all(Array.from({ length: 30 }, () => inTurn(work)));
    await expect(failing).rejects.toThrow('no');
    expect((await answers).filter((answer) => answer === 'done')).toHaveLength(19);
    expect((await answers).filter((answer) => answer === undefined)).toHaveLength(11);
    expect(most).toBe(1);
    expect(await inTurn(work)).toBe('done');
  });
});

/** A page as it is sent. */
const textOf = async (part: Html): Promise<string> => (await part).toString();

describe('pages', () => {
  const card = {
    name: 'demo',
    description: '<script>alert(1)</script> & "quotes"',
    visibility: 'private',
    archived: true,
    url: 'https://demo.example.com/',
    cloneCommand: 'fossil clone https://demo.example.com/ demo.fossil',
    checkins: 1,
    lastActivity: '2026-01-01T00:00:00.000Z',
    bytes: 1_500_000,
    replica: { ok: false, ageSeconds: 12, why: undefined },
  } as const;
  const now = Date.parse('2026-01-04T00:00:00Z');

  test('escape what tenants write', async () => {
    const text = await textOf(repositoryItem(card, now));
    expect(text).not.toContain('<script');
    expect(text).toContain('&lt;script&gt;');
  });

  test('say a repository in words', async () => {
    const text = (await textOf(repositoryItem(card, now))).replace(/\s+/g, ' ');
    for (const words of [
      '1 check-in<',
      '3 days ago',
      '1.5 MB',
      'its replica is 12s old',
      'archived',
      'private',
    ])
      expect(text).toContain(words);
    const broken = await textOf(repositoryItem({ ...card, checkins: undefined, bytes: undefined }, now));
    expect(broken).toContain('cannot be read');
  });

  test('dates that lie ahead are just now', () => {
    expect(ago('2027-01-01T00:00:00Z', now)).toBe('just now');
  });

  test('need nothing from elsewhere and no script', async () => {
    for (const text of [
      await textOf(page({ domain: 'd', title: 't' }, html`x`)),
      await textOf(problemPage('d', 404)),
    ]) {
      expect(text).not.toMatch(/<script|style=|src=|undefined/);
      expect(text).toMatch(/<html lang="en"/);
    }
    expect(style).not.toMatch(/url\(|@import/);
  });

  const ratio = (a: string, b: string) => {
    const [light = 0, dark = 0] = [a, b].map(luminance).sort((x, y) => y - x);
    return (light + 0.05) / (dark + 0.05);
  };
  const luminance = (colour: string) => {
    const [r = 0, g = 0, b = 0] = (colour.match(/[0-9a-f]{2}/g) ?? [])
      .map((hex) => Number.parseInt(hex, 16) / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };

  test('can be read: text has at least 4.5:1 in light and dark', () => {
    const themes = [...style.matchAll(/:root \{([^}]*)\}/g)].map(
      ([, block = '']) =>
        new Map([...block.matchAll(/--(\w+): (#[0-9a-f]{6})/g)].map(([, name, value = '']) => [name, value])),
    );
    expect(themes).toHaveLength(2);
    for (const theme of themes)
      for (const text of ['ink', 'soft', 'link', 'good', 'warn', 'bad'])
        for (const back of ['back', 'sheet'])
          expect(ratio(theme.get(text) ?? '', theme.get(back) ?? ''), `${text} on ${back}`).toBeGreaterThan(
            4.5,
          );
  });
});
