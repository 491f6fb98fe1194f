import type { Finding } from '../health/finding.ts';

/** Says what is new among findings and what has passed, once each: a finding that stays would fill the log. */
export function newsOf(log: (text: string) => void): (findings: readonly Finding[]) => void {
  let known = new Map<string, Finding>();
  return (findings) => {
    const now = new Map(findings.map((finding) => [key(finding), finding]));
    for (const [id, { level, what }] of now) if (!known.has(id)) log(`${level}: ${what}`);
    const here = new Set(findings.map(subject));
    for (const [id, finding] of known)
      if (!now.has(id) && !here.has(subject(finding))) log(`passed: ${finding.what}`);
    known = now;
  };
}

/** Counted seconds make no news. */
const subject = ({ about, what }: Finding) => `${about} ${what.replaceAll(/\d+/g, '#')}`;

/** One that turns from yellow to red does. */
const key = (finding: Finding) => `${finding.level} ${subject(finding)}`;
