import type { Health } from './health.ts';

const verdicts = { yellow: 'It works; look at this when you can:', red: 'Something is wrong:' };

/** Whether one may sleep, in a sentence: for `status` and the page. What is within its time of grace is not in the replica yet. */
export function verdictOf({ level, repositories }: Pick<Health, 'level' | 'repositories'>): string {
  if (level !== 'green') return verdicts[level];
  const onTheWay = repositories.filter(({ why }) => why !== '').length;
  return onTheWay === 0
    ? 'All is well: every commit is in the replica.'
    : `All is well so far: ${onTheWay} of ${repositories.length} databases are on their way to the replica.`;
}
