import type { Context } from 'hono';
import { addressingOf } from '../health/outside.ts';
import { cloneCommand } from '../repos/urls.ts';
import type { Member } from '../store/members.ts';
import { listRepositories, type Repository } from '../store/repositories.ts';
import type { WebContext } from './context.ts';
import { factReader } from './facts.ts';
import { homePage } from './pages/home.ts';
import type { RepositoryCard } from './pages/repository.ts';
import { signedIn } from './session.ts';

/** `GET /`: the repositories that the visitor may see; for an administrator all, with their health. */
export function home(context: WebContext): (c: Context) => Promise<Response> {
  const { forge } = context;
  const readFacts = factReader(forge);
  return async (c) => {
    const member = signedIn(context, c);
    c.header('Cache-Control', member ? 'no-store' : 'private, no-cache');
    c.header('Vary', 'Cookie');
    const visible = listRepositories(forge.store).filter((repository) => maySee(member, repository));
    const listed = await readFacts(visible, await addressingOf(forge.config));
    const health = member?.administrator ? context.health() : undefined;
    const replicas = new Map(health?.repositories.map((covered) => [covered.id, covered]));
    const cards = listed.map(({ repository, facts }): RepositoryCard => {
      const replica = replicas.get(repository.id);
      return {
        ...repository,
        url: facts?.url,
        cloneCommand:
          facts &&
          cloneCommand(
            facts.cloneUrl,
            facts.name,
            repository.visibility === 'public' ? undefined : member?.login,
          ),
        checkins: facts?.checkins,
        lastActivity: facts?.lastActivity ?? undefined,
        bytes: facts?.bytes,
        replica: health && {
          ok: replica?.ok ?? false,
          ageSeconds: replica?.ageSeconds ?? undefined,
          why: replica?.why ?? undefined,
        },
      };
    });
    return c.html(homePage({ domain: forge.config.domain, member, cards, health, now: Date.now() }));
  };
}

/** Internal repositories are every member's; private ones an administrator's, until members are given access. */
function maySee(member: Member | undefined, { state, visibility, hidden }: Repository): boolean {
  if (hidden || state !== 'active') return false;
  if (member?.administrator) return true;
  return visibility === 'public' || (visibility === 'internal' && member !== undefined);
}
