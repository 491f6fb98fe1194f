import { setTimeout as sleep } from 'node:timers/promises';
import type { Luck } from './luck.ts';
import type { Stage } from './stage.ts';
import { tryFaults } from './try-faults.ts';

const full = async ({ forge, disk }: Stage, luck: Luck): Promise<string> => {
  disk().fill();
  try {
    await sleep(luck.between(1_000, 12_000));
    return (await forge.cli('status')).code === 4 ? 'it was said' : 'it was over before it counted';
  } finally {
    disk().empty();
  }
};

tryFaults('small replica', [{ name: "the disk of the replica's folder is full", once: full }]);
tryFaults('small data', [{ name: 'the disk of the repositories is full', once: full }]);
