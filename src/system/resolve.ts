import { lookup } from 'node:dns/promises';

/** Whether the system's own resolver, which Fossil and git use too, knows a name. */
export async function resolves(name: string): Promise<boolean> {
  return lookup(name).then(
    () => true,
    () => false,
  );
}
