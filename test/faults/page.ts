import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { programHome } from '../../src/config/paths.ts';
import { type Recorded, recordSchema } from './record.ts';
import { renderPage } from './table.ts';

const prose = join(import.meta.dirname, 'reliability.md');
const record = join(import.meta.dirname, 'record.json');

/** The page that operators read. */
export const page = join(programHome, 'docs/reliability.md');

export const readRecord = (): Recorded[] => recordSchema.parse(JSON.parse(readFileSync(record, 'utf8')));

/** The page as it is with these rows. */
export const pageWith = (rows: readonly Recorded[]): string => renderPage(readFileSync(prose, 'utf8'), rows);

/** Keeps the rows, and writes the page that follows from them. */
export function writeRecord(rows: readonly Recorded[]): void {
  writeFileSync(record, `${JSON.stringify(rows, null, 2)}\n`);
  writeFileSync(page, pageWith(rows));
}
