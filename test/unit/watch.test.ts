import { mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { watchFolder } from '../../src/system/watch.ts';

test('what changes in a folder is told by name', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'watch-'));
  const changed: (string | null)[] = [];
  const watcher = watchFolder(folder.path, (name) => changed.push(name), vi.fn());
  writeFileSync(join(folder.path, 'here'), '');
  await vi.waitFor(() => {
    expect(changed).toContain('here');
  });
  watcher?.close();
});

test('that a folder can not be watched is told, and thrown to nobody', () => {
  const failed = vi.fn();
  expect(watchFolder('/nowhere/at/all', vi.fn(), failed)).toBeUndefined();
  expect(failed).toHaveBeenCalledOnce();
});
