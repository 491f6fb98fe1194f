import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { publish } from '../../src/apply/publish.ts';
import { parseConfig } from '../../src/config/config.ts';
import { pathsUnder } from '../../src/config/paths.ts';
import { readTemplates } from '../../src/inspect/templates.ts';
import { template } from '../../src/plan/server.ts';
import { renderTmpfiles } from '../../src/plan/units.ts';
import { run } from '../../src/system/run.ts';

const folder = mkdtempSync(join(tmpdir(), 'fossilrepo-tmpfiles-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

test('systemd-tmpfiles is shown the folders below /run before they go live, and makes none of them then', async () => {
  const paths = pathsUnder(join(folder, 'server'));
  const made = join(folder, 'made');
  const good = renderTmpfiles(template(readTemplates(), 'tmpfiles.conf'), [
    { path: made, mode: 0o2750, user: 'root', group: 'root' },
  ]);
  const live = join(folder, 'live/fossilrepo.conf');
  mkdirSync(join(folder, 'live'));
  const published = (content: string) =>
    publish(
      {
        do: 'files',
        title: 'the folders below /run',
        files: [{ path: live, content, mode: 0o644, former: undefined }],
        check: 'tmpfiles',
        then: [],
      },
      { run, paths, config: parseConfig('', paths) },
    );
  for (const [from, to, why] of [
    ['d /', 'dir /', 'Unknown modifiers in command'],
    ['d /', 'd ', 'not absolute'],
    [' 2750', ' 27x0', "Invalid mode '27x0'"],
    [' root root', ' nobody-of-here root', "Failed to resolve user 'nobody-of-here'"],
    [' root root', ' root nobody-of-here', "Failed to resolve group 'nobody-of-here'"],
    // To this one it answers 0.
    [' -\n', ' - more\n', "don't take argument fields"],
  ] as const) {
    expect(good).toContain(from);
    await expect(published(good.replace(from, to)), to).rejects.toThrow(
      expect.objectContaining({ message: expect.stringContaining(why) as string }),
    );
  }
  expect(existsSync(live)).toBe(false);
  await published(good);
  expect(readFileSync(live, 'utf8')).toBe(good);
  expect(existsSync(made)).toBe(false);
});
