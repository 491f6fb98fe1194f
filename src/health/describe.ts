import chalk from 'chalk';
import cliTruncate from 'cli-truncate';
import { stripVTControlCharacters } from 'node:util';
import type { Event } from '../store/events.ts';
import type { Screen } from '../system/output.ts';
import { ago } from '../system/instant.ts';
import type { Finding } from './finding.ts';
import type { Health } from './health.ts';
import type { MirrorsSummary } from './mirrors.ts';
import { verdictOf } from './verdict.ts';

/** What `status` shows. */
export type Seen = {
  url: string;
  /** The replica's address. */
  replica: string;
  health: Health;
  mirrors: MirrorsSummary;
  /** The newest first. */
  events: readonly Event[];
};

const colours = { green: chalk.green, yellow: chalk.yellow, red: chalk.red };
/** How many findings are shown where there is no screen that they have to fit. */
const mostFindings = 12;

/**
 * The status for people. On a screen it fits that: events are cut to its width, and of the findings, those that are red first, so many are shown as
 * there is room for, one at least. What a finding says is never cut.
 */
export function describeStatus(seen: Seen, screen?: Screen): string {
  const { level, findings } = seen.health;
  const head = `${colours[level]('●')} ${verdictOf(seen.health)}`;
  const below = ['', ...facts(seen), ...lately(seen.events, screen)];
  const blocks = findings
    .toSorted((one, other) => Number(other.level === 'red') - Number(one.level === 'red'))
    .map(describeFinding);
  const shown = screen === undefined ? mostFindings : fitting(blocks, [head, ...below], screen);
  const left = blocks.length - shown;
  return [
    head,
    ...blocks.slice(0, shown).flat(),
    ...(left > 0 ? [`  and ${left} more: fossilrepo status --json`] : []),
    ...below,
  ].join('\n');
}

const describeFinding = ({ level, what, next }: Finding): string[] => [
  `  ${colours[level]('-')} ${what}`,
  `    ${chalk.dim(next)}`,
];

function facts({ url, replica, health, mirrors }: Seen): string[] {
  const { repositories, verified, canary } = health;
  const ages = repositories.flatMap(({ ageSeconds }) => ageSeconds ?? []);
  const oldest = ages.length === 0 ? '' : `, the oldest ${Math.max(...ages).toFixed(1)} s ago`;
  return [
    `address       ${url}`,
    `replica       ${replica}`,
    `repositories  ${repositories.filter(({ ok }) => ok).length} of ${repositories.length} databases in the replica${oldest}`,
    `verified      ${verified.inLastWeek} of ${verified.databases} in the last week${verified.last === null ? '' : `, the last ${ago(verified.last)}`}`,
    `canary        ${canary === null ? 'has not flown yet' : canary.ok ? `pushed in ${canary.pushMs} ms, in the replica ${canary.replicaMs} ms later, ${ago(canary.at)}` : `failed ${ago(canary.at)}`}`,
    ...(mirrors.mirrors === 0
      ? []
      : [
          `mirrors       ${mirrors.current} of ${mirrors.mirrors} up to date${mirrors.failing > 0 ? `, ${mirrors.failing} failing: fossilrepo mirror list` : ''}`,
        ]),
  ];
}

function lately(events: readonly Event[], screen: Screen | undefined): string[] {
  const lines = events.map(
    ({ at, kind, text }) => `  ${new Date(at).toISOString().slice(0, 19)}Z  ${kind}: ${text}`,
  );
  if (lines.length === 0) return [];
  return ['', 'lately', ...lines.map((line) => (screen ? cliTruncate(line, screen.columns) : line))];
}

/** How many findings a screen has room for beside the other lines, the line that says how many more there are, and the next prompt. */
function fitting(blocks: readonly string[][], others: readonly string[], screen: Screen): number {
  let room = screen.rows - 2 - heightOf(others, screen);
  const tooMany = blocks.findIndex((block) => (room -= heightOf(block, screen)) < 0);
  return tooMany < 0 ? blocks.length : Math.max(1, tooMany);
}

const heightOf = (lines: readonly string[], { columns }: Screen): number =>
  lines.reduce(
    (sum, line) => sum + Math.max(1, Math.ceil(stripVTControlCharacters(line).length / columns)),
    0,
  );
