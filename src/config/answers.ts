import { parseDocument } from 'yaml';

/** What install asks, or is told by flags. Left out: what the file says already, or the default. */
export type Answers = {
  domain?: string;
  email?: string;
  tls?: 'auto' | 'internal' | 'off';
  replica?: string;
  endpoint?: string;
  region?: string;
};

const firstText = `# What this server shall be. After a change: fossilrepo diff, then fossilrepo apply.
# Every key with its meaning: fossilrepo.example.yaml in the program's docs folder.
`;

const keys: Record<keyof Answers, string[]> = {
  domain: ['domain'],
  email: ['email'],
  tls: ['tls'],
  replica: ['replica', 'url'],
  endpoint: ['replica', 'endpoint'],
  region: ['replica', 'region'],
};

/**
 * What a server that nobody described is: local, and on ports that its user may open.
 * @param lowPorts whether those below 1024 are among them, as they are for root
 */
export const firstConfig = (lowPorts: boolean): string =>
  lowPorts ? firstText : 'ports: { http: 8080, https: 8443, repositories: 8081 }\n';

/** The text of `fossilrepo.yaml` with the answers put in; comments and all else stay as they are. */
export function answeredConfig(text: string | undefined, answers: Answers): string {
  const document = parseDocument(text ?? firstText);
  const different = Object.entries(keys).flatMap(([name, path]) => {
    const value = answers[name as keyof Answers];
    return value === undefined || document.getIn(path) === value ? [] : [{ path, value }];
  });
  // Printing it anew would also tidy what the operator wrote.
  if (different.length === 0) return text ?? firstText;
  for (const { path, value } of different) document.setIn(path, value);
  return document.toString();
}
