import prettyMilliseconds from 'pretty-ms';
import { endedFirst } from './fault.ts';
import type { Recorded, Run } from './record.ts';

/**
 * docs/reliability.md.
 * @param prose what stands around the table, with `{sums}`, `{runs}` and `{table}` where they belong
 */
export function renderPage(prose: string, rows: readonly Recorded[]): string {
  const runs = runsOf(rows);
  return prose
    .replace('{sums}', () => renderSums(rows))
    .replace('{runs}', () => runs.map((run, index) => `${index + 1}. ${describe(run)}`).join('\n'))
    .replace('{table}', () => renderTable(rows, runs));
}

/** Each run once, the first one first. */
function runsOf(rows: readonly Recorded[]): Run[] {
  const byText = new Map(rows.flatMap(({ runs }) => runs).map((run) => [JSON.stringify(run), run]));
  return [...byText.values()].toSorted((one, other) => (one.day < other.day ? -1 : 1));
}

const describe = ({ day, seed, about, note }: Run): string =>
  `${day}, seed ${seed}; ${about}.${note === undefined ? '' : ` ${note}`}`;

function renderSums(rows: readonly Recorded[]): string {
  const sum = (of: (row: Recorded) => number) => rows.reduce((total, row) => total + of(row), 0);
  return [
    `In all ${sum(({ tries }) => tries)} tries, ${sum(({ acknowledged }) => acknowledged)} acknowledged check-ins,`,
    `${sum(({ restored }) => restored)} states restored and read to the end, ${sum(({ claims }) => claims)} times that \`backup status\` called`,
    `a repository safe during a fault; lost: ${sum(({ lost }) => lost)}.`,
  ].join('\n');
}

function renderTable(rows: readonly Recorded[], runs: readonly Run[]): string {
  const texts = runs.map((run) => JSON.stringify(run));
  const lines = rows.map((row) => {
    const numbers = row.runs.map((run) => texts.indexOf(JSON.stringify(run)) + 1).sort((a, b) => a - b);
    return `| ${row.fault} | ${tried(row)} | ${happened(row)} | ${row.lost} of ${row.acknowledged} | ${numbers.join(', ')} |`;
  });
  return ['| fault | tried | what happened | lost | run |', '|---|---|---|---|---|', ...lines].join('\n');
}

function tried({ tries, happened }: Recorded): string {
  const missed = Object.entries(happened).reduce(
    (sum, [what, times]) => sum + (what.startsWith(endedFirst) ? times : 0),
    0,
  );
  return missed === 0 ? String(tries) : `${tries}, killed in time: ${tries - missed}`;
}

function happened(row: Recorded): string {
  const tallies = Object.entries(row.happened).toSorted(([, one], [, other]) => other - one);
  const what = tallies.map(([what, times]) => (tallies.length > 1 ? `${times} × ${what}` : what)).join('; ');
  const green = row.green ? `; green ${span(row.green)} later` : '';
  const failed = row.failed?.split('\n')[0]?.replaceAll('|', '\\|');
  return what + green + (failed === undefined ? '' : ` **Failed once: ${failed}**`);
}

function span([fastest, slowest]: [number, number]): string {
  const words = [fastest, slowest].map((value) => prettyMilliseconds(value, { secondsDecimalDigits: 1 }));
  return words[0] === words[1] ? (words[0] ?? '') : words.join(' to ');
}
