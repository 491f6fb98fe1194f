import chalk from 'chalk';
import { exitCodes } from '../errors.ts';
import { withForge } from '../forge.ts';
import type { Health } from '../health/health.ts';
import { mirrorsSeen, type MirrorsSummary, summaryOfMirrors } from '../health/mirrors.ts';
import { healthNow } from '../health/now.ts';
import { forgeUrl } from '../repos/urls.ts';
import type { GlobalOptions } from '../server.ts';
import { newestEvents, type Event } from '../store/events.ts';
import { ago } from '../system/instant.ts';

/** `fossilrepo status`: on one screen, whether one may sleep. Answers 4 when not. */
export async function status(options: GlobalOptions): Promise<void> {
  await withForge(options, async (forge) => {
    const health = await healthNow(forge);
    const events = newestEvents(forge.store, 5);
    const mirrors = summaryOfMirrors(mirrorsSeen(forge), Date.now());
    const url = forgeUrl(forge.config);
    forge.out.result(
      { url, ...health, mirrors, events },
      render(url, forge.config.replica.url, health, mirrors, events),
    );
    if (!health.ok) process.exitCode = exitCodes.check;
  });
}

const colours = { green: chalk.green, yellow: chalk.yellow, red: chalk.red };
const verdicts = {
  green: 'All is well: every commit is in the replica.',
  yellow: 'It works; look at this when you can:',
  red: 'Something is wrong:',
};

function render(
  url: string,
  replica: string,
  health: Health,
  mirrors: MirrorsSummary,
  events: readonly Event[],
): string {
  const { level, findings, repositories, verified, canary } = health;
  const ages = repositories.flatMap(({ ageSeconds }) => ageSeconds ?? []);
  const oldest = ages.length === 0 ? '' : `, the oldest ${Math.max(...ages).toFixed(1)} s ago`;
  const shown = findings.slice(0, 12);
  const lines = [
    `${colours[level]('●')} ${verdicts[level]}`,
    ...shown.flatMap((finding) => [
      `  ${colours[finding.level]('-')} ${finding.what}`,
      `    ${chalk.dim(finding.next)}`,
    ]),
    ...(findings.length > shown.length
      ? [`  and ${findings.length - shown.length} more: fossilrepo status --json`]
      : []),
    '',
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
    ...(events.length > 0 ? ['', 'lately'] : []),
    ...events.map(({ at, kind, text }) => `  ${new Date(at).toISOString().slice(0, 19)}Z  ${kind}: ${text}`),
  ];
  return lines.join('\n');
}
