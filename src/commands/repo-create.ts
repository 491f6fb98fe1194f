import { pathsUnder } from '../config/paths.ts';
import { alone, type Forge, withForge } from '../forge.ts';
import type { Remote } from '../mirror/remote/remote.ts';
import { createFromGit } from '../mirror/upstream/create.ts';
import { notesOn } from '../mirror/upstream/pull-git.ts';
import { describeRepositoryPlan } from '../plan/describe-repository.ts';
import { makeAside, type NewRepositoryWish, planNew, serveNew } from '../repos/create.ts';
import { describeRepository } from '../repos/describe.ts';
import { checkName } from '../repos/names.ts';
import type { GlobalOptions } from '../server.ts';
import type { Repository, Visibility } from '../store/repositories.ts';
import { setUpstream } from '../store/upstreams.ts';
import { openOrigin } from './repo-origin.ts';
import type { AccessFlags, Reached } from './upstream-access.ts';

type Flags = AccessFlags & {
  visibility?: Visibility;
  description?: string;
  from?: string;
  /** Left out: what comes from Git is followed, what comes from Fossil isn't. */
  follow?: boolean;
  dryRun: boolean;
};

/** `fossilrepo repo create NAME`: prints where it answers and how to clone it. */
export async function repoCreate(options: GlobalOptions, name: string, flags: Flags): Promise<void> {
  checkName(name);
  const origin = openOrigin(pathsUnder(options.root), flags.from, flags);
  const { visibility = 'private', description } = flags;
  const wish = { name, visibility, description, from: origin.source };
  try {
    await withForge(options, async (forge) => {
      const planned = planNew(forge, wish);
      if (flags.dryRun) {
        const steps = [planned.aside, ...planned.service];
        forge.out.result({ steps }, describeRepositoryPlan(steps));
        return;
      }
      const reached = await origin.reach(forge);
      if (reached?.remote) await fromGit(forge, wish, reached, reached.remote, flags);
      else await fromFossil(forge, signingIn(wish, reached), flags.follow === true ? reached : undefined);
    });
  } finally {
    origin.discard();
  }
}

/** The same as who the flags name, not only the address. */
const signingIn = (wish: NewRepositoryWish, reached: Reached | undefined): NewRepositoryWish =>
  wish.from && reached?.address ? { ...wish, from: { ...wish.from, address: reached.address } } : wish;

async function fromFossil(
  forge: Forge,
  wish: NewRepositoryWish,
  followed: Reached | undefined,
): Promise<void> {
  const at = Date.now();
  const planned = planNew(forge, {
    ...wish,
    ...(followed && {
      note: (id: string) =>
        setUpstream(forge.store, { ...followed.upstream, repository: id, triedAt: at, okAt: at }),
    }),
  });
  const sanitised = await makeAside(forge, planned);
  for (const line of sanitised) forge.out.say(`made safe: ${line}`);
  const repository = await alone(forge, () => serveNew(forge, planned));
  await tell(forge, repository, { sanitised, upstream: followed?.upstream.url ?? null });
}

async function fromGit(
  forge: Forge,
  wish: NewRepositoryWish,
  { upstream, follows }: Reached,
  remote: Remote,
  flags: Flags,
): Promise<void> {
  const { out } = forge;
  const hindrance = flags.follow === false ? undefined : await follows?.();
  if (hindrance !== undefined) out.warn(`It is imported once and not followed: ${hindrance}`);
  const follow = flags.follow === false || hindrance !== undefined ? undefined : upstream;
  let last = performance.now();
  const progress = (done: number, all: number): void => {
    if (!out.live || performance.now() - last < 2_000) return;
    last = performance.now();
    out.say(`${done} of ${all} commits are imported`);
  };
  const { name, visibility, description } = wish;
  const { repository, history } = await createFromGit(
    forge,
    { name, visibility, description, shown: upstream.url, remote, follow },
    { progress },
  );
  for (const line of notesOn(history)) out.say(line);
  await tell(forge, repository, {
    ...{ sanitised: [], upstream: follow?.url ?? null },
    imported: {
      ...{ commits: history.marks.size, tags: history.tags, submodules: history.submodules },
      unseenBranches: history.unseen,
    },
  });
}

async function tell(
  forge: Forge,
  repository: Repository,
  more: { sanitised: string[]; upstream: string | null; imported?: object },
): Promise<void> {
  const shown = await describeRepository(forge, repository);
  const text = [
    shown.url,
    shown.cloneCommand,
    ...(more.upstream === null ? [] : [`follows ${more.upstream}`]),
  ];
  forge.out.result({ ...shown, ...more }, text.join('\n'));
}
