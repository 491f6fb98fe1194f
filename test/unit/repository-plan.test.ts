import { describe, expect, test } from 'vitest';
import { planExchange } from '../../src/plan/exchange.ts';
import { describeRepositoryPlan } from '../../src/plan/describe-repository.ts';
import {
  planChange,
  planCreation,
  planPurge,
  planSettling,
  planTakingBack,
  type RepositoryStep,
} from '../../src/plan/repository.ts';
import { secret } from '../../src/secrets/secret.ts';
import type { Repository } from '../../src/store/repositories.ts';

const row: Repository = {
  id: 'ID',
  name: 'demo',
  state: 'active',
  visibility: 'private',
  description: '',
  archived: false,
  hidden: false,
  file: 'repos/demo.fossil',
  createdAt: 1,
  deletedAt: null,
};
const trashed: Repository = { ...row, state: 'trashed', file: 'work/trash/ID.fossil', deletedAt: 2 };
const right = { atFile: true, atPlace: false, accessIsRight: true };
const deeds = (steps: readonly RepositoryStep[]) =>
  steps.map((step) => ('name' in step ? `${step.do} ${step.name}` : step.do));

describe('a creation', () => {
  test('is made aside, and active only after it was seen from outside', () => {
    const { aside, service } = planCreation({ id: 'ID', name: 'demo', description: undefined }, undefined);
    expect(aside).toEqual({ do: 'make', id: 'ID', name: 'demo', description: '' });
    expect(service).toEqual([
      { do: 'project', id: 'ID', file: 'work/tmp/ID.fossil' },
      { do: 'move', from: 'work/tmp/ID.fossil', to: 'repos/demo.fossil' },
      { do: 'record', id: 'ID', changes: { file: 'repos/demo.fossil' } },
      { do: 'replicate', id: 'ID', file: 'repos/demo.fossil' },
      { do: 'route', name: 'demo' },
      { do: 'open', name: 'demo' },
      { do: 'check', id: 'ID' },
      { do: 'record', id: 'ID', changes: { state: 'active' } },
    ]);
  });

  test('from an address never shows its password', () => {
    const from = { shown: 'https://example.com/x', address: secret('https://me:hush@example.com/x') };
    const { aside } = planCreation({ id: 'ID', name: 'demo', description: undefined }, from);
    expect(aside).toMatchObject({ do: 'bring', description: undefined });
    expect(describeRepositoryPlan([aside])).toBe('- bring demo from https://example.com/x and make it safe');
    expect(JSON.stringify(aside)).not.toContain('hush');
  });

  test('that was killed is taken back; a file that came meanwhile stays', () => {
    expect(planTakingBack(row, { live: true })).toEqual([
      { do: 'unroute', name: 'demo' },
      { do: 'erase', id: 'ID', file: 'repos/demo.fossil' },
      { do: 'erase', id: 'ID', file: 'work/tmp/ID.fossil' },
    ]);
    expect(planTakingBack(row, { live: false })).toHaveLength(2);
  });
});

describe('a change', () => {
  test('of nothing is no step, unless the access in the file is another', () => {
    expect(planChange(row, {}, right)).toEqual([]);
    expect(describeRepositoryPlan([])).toBe('nothing to do');
    expect(deeds(planChange(row, {}, { ...right, accessIsRight: false }))).toEqual(['project', 'check']);
  });

  test('of the visibility is projected and looked at', () => {
    expect(deeds(planChange(row, { visibility: 'public' }, right))).toEqual(['record', 'project', 'check']);
  });

  test('of the description leaves access alone', () => {
    expect(planChange(row, { description: 'x' }, right)).toEqual([
      { do: 'record', id: 'ID', changes: { description: 'x' } },
      { do: 'describe', file: 'repos/demo.fossil', former: 'demo', name: 'demo', description: 'x' },
      { do: 'check', id: 'ID' },
    ]);
  });

  test('into an archive closes the name until everybody is out, and is proven by a push', () => {
    const steps = planChange(row, { archived: true }, right);
    expect(deeds(steps)).toEqual([
      'record',
      'close demo',
      'drain',
      'project',
      'replicate',
      'open demo',
      'check',
      'prove',
    ]);
    expect(steps.at(-1)).toEqual({ do: 'prove', id: 'ID', writable: false });
    const back = planChange({ ...row, archived: true }, { archived: false }, right);
    expect(deeds(back)).toEqual(['record', 'project', 'check', 'prove']);
    expect(back.at(-1)).toMatchObject({ writable: true });
  });

  test('of the name moves what is drained, and the old name is gone', () => {
    const steps = planChange(row, { name: 'new' }, right);
    expect(deeds(steps)).toEqual([
      'record',
      'close demo',
      'drain',
      'move',
      'record',
      'replicate',
      'route new',
      'open new',
      'unroute demo',
      'open demo',
      'describe new',
      'miss demo',
      'check',
    ]);
    expect(steps[3]).toEqual({ do: 'move', from: 'repos/demo.fossil', to: 'repos/new.fossil' });
  });

  test('into the trash and back: not served, then with today’s access', () => {
    expect(deeds(planChange(row, { state: 'trashed', deletedAt: 2 }, right))).toEqual([
      'record',
      'close demo',
      'drain',
      'move',
      'record',
      'unroute demo',
      'open demo',
      'miss demo',
    ]);
    const back = planChange(trashed, { state: 'active', deletedAt: null, name: 'new' }, right);
    expect(deeds(back)).toEqual([
      'record',
      'project',
      'move',
      'record',
      'replicate',
      'route new',
      'open new',
      'describe new',
      'check',
    ]);
    expect(back[1]).toEqual({ do: 'project', id: 'ID', file: 'work/trash/ID.fossil' });
    expect(planPurge(trashed)).toEqual([{ do: 'erase', id: 'ID', file: 'work/trash/ID.fossil' }]);
  });
});

describe('another state', () => {
  const planned = (present: 'whole' | 'damaged' | 'missing') =>
    deeds(planExchange(row, { from: 'new', present, keep: undefined, restore: 'R', shun: [] }));
  const [before, after] = [
    ['prepare', 'close demo'],
    ['exchange', 'replicate', 'open demo', 'check'],
  ];

  test('takes the place of one that is whole when all of that is in the replica', () => {
    expect(planned('whole')).toEqual([...before, 'drain', ...after]);
  });

  test('waits only until nobody has a damaged file open', () => {
    expect(planned('damaged')).toEqual([...before, 'abandon', ...after]);
  });

  test('is served where there was nothing', () => {
    expect(planned('missing')).toEqual([
      ...before,
      'abandon',
      'exchange',
      'replicate',
      'route demo',
      'open demo',
      'check',
    ]);
  });
});

describe('settling', () => {
  test('does nothing for what is in its place, or nowhere', () => {
    expect(planSettling(row, { atFile: true, atPlace: true })).toEqual([]);
    expect(planSettling({ ...row, name: 'new' }, { atFile: false, atPlace: false })).toEqual([]);
  });

  test('a deleted one whose file is lost lets go of its name', () => {
    const lost = { ...row, state: 'trashed', deletedAt: 2 } as const;
    const steps = planSettling(lost, { atFile: false, atPlace: false });
    expect(deeds(steps)).toEqual(['close demo', 'abandon', 'record', 'unroute demo', 'open demo']);
    expect(steps[2]).toMatchObject({ changes: { file: 'work/trash/ID.fossil' } });
    expect(planSettling(trashed, { atFile: false, atPlace: false })).toEqual([]);
  });

  test('goes on after a move that was not recorded', () => {
    expect(deeds(planSettling({ ...row, name: 'new' }, { atFile: false, atPlace: true }))).toEqual([
      'record',
      'replicate',
      'route new',
      'open new',
      'unroute demo',
      'open demo',
    ]);
    const undeleted = { ...trashed, state: 'active', deletedAt: null } as const;
    const steps = planSettling(undeleted, { atFile: false, atPlace: true });
    expect(steps[0]).toEqual({ do: 'project', id: 'ID', file: 'repos/demo.fossil' });
  });
});
