import { expect, test } from 'vitest';
import { eventually } from '../real/forge.ts';
import { openStage } from './stage.ts';
import { judge } from './verdict.ts';

test('what is missing is noticed: on the server, in both kinds of restore, and in what was called safe too early', async () => {
  await using stage = await openStage('directory');
  const [pusher] = stage.pushers;
  await eventually(() => pusher.acknowledged.length >= 3, 60_000, 'some pushes');
  for (const each of stage.pushers) await each.pause();
  const until = Date.now();
  const [first = ''] = pusher.acknowledged;
  const tooEarly = { pusher, until, txid: '0000000000000001', newest: 0 };
  const { lost: early } = await judge(stage, [tooEarly]);
  expect(early).toContain(`${first} of one is missing in what was in the replica when it was called safe`);
  expect(early).toHaveLength(pusher.acknowledged.length);

  const invented = '0'.repeat(64);
  pusher.acknowledged.push(invented);
  pusher.acknowledgedAt.push(until);
  const { lost, restored } = await judge(stage, []);
  expect(lost.toSorted()).toEqual([
    `${invented} of one is missing in what Litestream brings back`,
    `${invented} of one is missing in what restore brings back`,
    `${invented} of one is missing on the server`,
  ]);
  expect(restored).toBe(6);
});
