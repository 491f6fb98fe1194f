import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import type { Fault } from '../faults/fault.ts';
import { page, pageWith, readRecord } from '../faults/page.ts';

const folder = join(import.meta.dirname, '../faults');

// Of the files of faults only their lists are wanted here.
const suite = vi.hoisted((): string[] => []);
vi.mock('../faults/try-faults.ts', () => ({
  tryFaults: (_setting: string, faults: readonly Fault[]) => suite.push(...faults.map(({ name }) => name)),
}));

test('docs/reliability.md is what follows from the recorded rows', () => {
  expect(readFileSync(page, 'utf8')).toBe(pageWith(readRecord()));
});

test('each fault of the suite has a row, and was tried', { timeout: 60_000 }, async () => {
  const files = globSync('*.test.ts', { cwd: folder }).map((name) => join(folder, name));
  for (const file of files) if (readFileSync(file, 'utf8').includes('tryFaults(')) await import(file);
  const tried = readRecord().filter(({ tries }) => tries > 0);
  expect(tried.map(({ fault }) => fault).sort()).toEqual(suite.toSorted());
  expect(suite.length).toBeGreaterThan(30);
});
