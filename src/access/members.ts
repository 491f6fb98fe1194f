import type { Forge } from '../forge.ts';
import { unseal } from '../secrets/seal.ts';
import type { Secret } from '../secrets/secret.ts';
import { listMembers, type Member } from '../store/members.ts';
import type { Repository } from '../store/repositories.ts';
import type { ProjectAccess } from './wanted.ts';

/** A member's access token: the password in every repository that the member may use. */
export function tokenOf(
  forge: Pick<Forge, 'secrets'>,
  member: Pick<Member, 'login' | 'sealedToken'>,
): Secret {
  return unseal(forge.secrets.instanceKey, `token:${member.login}`, member.sealedToken);
}

/** Who may do what in a repository, as the management database says today. */
export function accessTo(
  forge: Pick<Forge, 'secrets' | 'store'>,
  repository: Pick<Repository, 'visibility' | 'archived'>,
): ProjectAccess {
  return {
    visibility: repository.visibility,
    archived: repository.archived,
    members: listMembers(forge.store)
      .filter(({ administrator }) => administrator)
      .map((member) => ({ login: member.login, token: tokenOf(forge, member), role: 'owner' as const })),
  };
}
