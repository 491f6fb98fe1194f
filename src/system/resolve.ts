import { lookup } from 'node:dns/promises';

/** What the system's own resolver, which Fossil and git use too, says of a name; nothing when it doesn't know it. */
export async function addressesOf(name: string): Promise<string[]> {
  return lookup(name, { all: true }).then(
    (found) => [...new Set(found.map(({ address }) => address))],
    () => [],
  );
}

/** Whether it knows a name. */
export const resolves = async (name: string): Promise<boolean> => (await addressesOf(name)).length > 0;
