import { Listr } from 'listr2';
import { messageOf, OperatorError } from '../errors.ts';
import type { Output } from '../system/output.ts';

export type Task = { title: string; run: () => Promise<void> };

/**
 * Runs tasks one after the other: a live list for a person, a line each elsewhere, nothing with `--json`.
 * @throws OperatorError that names the task that failed
 */
export async function runTasks(tasks: readonly Task[], out: Output): Promise<void> {
  const named = tasks.map(({ title, run }) => ({
    title,
    task: () =>
      run().catch((error: unknown) => {
        if (!(error instanceof OperatorError)) throw error;
        const { next, exit } = error;
        throw new OperatorError(`${title}: ${messageOf(error)}`, {
          ...(next !== undefined && { next }),
          exit,
          cause: error,
        });
      }),
  }));
  if (out.live && !out.json) {
    await new Listr(named, { renderer: 'default', rendererOptions: { showErrorMessage: false } }).run();
    return;
  }
  for (const { title, task } of named) {
    await task();
    if (!out.json) out.say(`- ${title}`);
  }
}
