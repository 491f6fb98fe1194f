import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import type { Secret } from '../../secrets/secret.ts';
import type { Host } from './issues.ts';
import type { Project } from './project.ts';
import type { ApiAccess } from './transport.ts';

/** One request takes no longer, and a rate limit that ends sooner is waited for: code that is pushed meanwhile waits for both. Milliseconds. */
const deadline = 30_000;
const patience = 20_000;
/** GitHub asks for a second between requests that make something. Milliseconds. */
const githubPace = 1_000;

/** Whoever the system trusts is trusted: git does so, too, and a company's own authority is there. */
function trustSystem(): void {
  setDefaultCACertificates([...new Set([...getCACertificates('default'), ...getCACertificates('system')])]);
}

/** Opens a project at its host; the client for that is loaded now. */
export async function openHost(
  project: Project,
  token: Secret,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<Host> {
  trustSystem();
  const pace = project.api === 'https://api.github.com' ? githubPace : 0;
  const access: ApiAccess = { base: project.api, token, pace, patience, deadline, signal: options.signal };
  switch (project.kind) {
    case 'github':
      return (await import('./github.ts')).githubHost(project, access);
    case 'gitlab':
      return (await import('./gitlab.ts')).gitlabHost(project, access);
    case 'gitea':
      return (await import('./gitea.ts')).giteaHost(project, access);
  }
}
