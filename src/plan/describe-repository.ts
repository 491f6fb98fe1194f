import type { RepositoryStep } from './repository.ts';

/** A plan for people: a line for each step. */
export const describeRepositoryPlan = (steps: readonly RepositoryStep[]): string =>
  steps.length === 0 ? 'nothing to do' : steps.map((step) => `- ${describeStep(step)}`).join('\n');

function describeStep(step: RepositoryStep): string {
  switch (step.do) {
    case 'make':
      return `make an empty repository ${step.name}`;
    case 'bring':
      return `bring ${step.name} from ${step.from.shown} and make it safe`;
    case 'record':
      return `record ${Object.entries(step.changes)
        .map(([key, value]) => `${key} = ${JSON.stringify(value)}`)
        .join(', ')}`;
    case 'describe':
      return `write name and description into ${step.file}`;
    case 'project':
      return `write today's access into ${step.file}`;
    case 'close':
      return `close ${step.name}`;
    case 'drain':
      return `wait until nobody writes to ${step.file} and all of it is in the replica`;
    case 'abandon':
      return `wait until nobody has ${step.file} open, and replicate it no longer`;
    case 'move':
      return `move ${step.from} to ${step.to}`;
    case 'replicate':
      return `replicate ${step.file}`;
    case 'route':
      return `serve ${step.name}`;
    case 'unroute':
      return `serve ${step.name} no longer`;
    case 'open':
      return `open ${step.name}`;
    case 'check':
      return 'look at it from outside: its page, a clone, and whether a stranger can clone it';
    case 'prove':
      return step.writable
        ? 'prove by a push that it can be written'
        : 'prove by a push that nobody can write';
    case 'miss':
      return `see that ${step.name} is not there any more`;
    case 'rebuild':
      return `rebuild and compact a copy of ${step.from}, and compare the two`;
    case 'prepare':
      return `write today's access into ${step.file}${step.shun.length > 0 ? `, and shun ${step.shun.length} artifacts in it` : ''}`;
    case 'exchange':
      return step.keep === undefined
        ? `put ${step.from} in the place of ${step.to}`
        : `put ${step.from} in the place of ${step.to}, and keep what is there as ${step.keep}`;
    case 'erase':
      return `destroy ${step.file} and its history in the replica`;
  }
}
