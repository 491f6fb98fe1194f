import prettyMilliseconds from 'pretty-ms';
import type { Row } from './fault.ts';

/** What `docs/reliability.md` says besides its table. */
export type Run = {
  /** One line: programs with their versions, the machine. */
  about: string;
  /** An ISO date. */
  day: string;
  seed: string;
  /** How often each fault was asked to be tried. */
  tries: number;
  /** Milliseconds. */
  took: number;
};

/** The rows as Markdown. */
export function renderTable(rows: readonly Row[]): string {
  const lines = rows.map((row) => {
    const tallies = Object.entries(row.happened).toSorted(([, one], [, other]) => other - one);
    const happened = tallies
      .map(([what, times]) => (tallies.length > 1 ? `${times} × ${what}` : what))
      .join('; ');
    const green = row.green ? `; green ${span(row.green)} later` : '';
    const failed =
      row.failed === null
        ? ''
        : ` **Failed once: ${row.failed.split('\n')[0]?.replaceAll('|', '\\|') ?? ''}**`;
    return `| ${row.fault} | ${row.tries} | ${happened}${green}${failed} | ${row.lost} of ${row.acknowledged} |`;
  });
  return ['| fault | tried | what happened | lost |', '|---|---|---|---|', ...lines].join('\n');
}

function span([fastest, slowest]: [number, number]): string {
  const words = [fastest, slowest].map((value) => prettyMilliseconds(value, { secondsDecimalDigits: 1 }));
  return words[0] === words[1] ? (words[0] ?? '') : words.join(' to ');
}

/** The whole page. @param prose what stands around the table, with `{run}` and `{table}` where they belong */
export function renderPage(prose: string, run: Run, rows: readonly Row[]): string {
  const sum = (of: (row: Row) => number) => rows.reduce((total, row) => total + of(row), 0);
  const facts = [
    `${run.day}; ${run.about}.`,
    `Asked for ${run.tries} tries of each, seed ${run.seed}; it took ${prettyMilliseconds(run.took, { compact: true })}.`,
    `In all ${sum(({ tries }) => tries)} tries, ${sum(({ acknowledged }) => acknowledged)} acknowledged check-ins,`,
    `${sum(({ restored }) => restored)} states restored and read to the end, ${sum(({ claims }) => claims)} times that \`backup status\` called`,
    'a repository safe during a fault; lost: ' + String(sum(({ lost }) => lost)) + '.',
  ].join('\n');
  return prose.replace('{run}', () => facts).replace('{table}', () => renderTable(rows));
}
