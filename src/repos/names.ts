import { OperatorError } from '../errors.ts';
import { pageNames } from './page-names.ts';

/** The permanent hidden repository that install and the loop write to and look for from outside. */
export const canaryName = 'fossilrepo-canary';

/** Names below the domain that are not for repositories. */
const reservedNames: ReadonlySet<string> = new Set(['www', 'app']);

/** What a repository may be called: it is a host name's label, and a file's name. */
const pattern = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * Refuses a name that could not be served.
 * @param options.canary true for the one caller that makes the canary
 * @throws OperatorError (usage) that says why
 */
export function checkName(name: string, options: { canary?: boolean } = {}): void {
  const problem = problemWithName(name, options);
  if (problem !== undefined) throw new OperatorError(problem.message, { next: problem.next, exit: 'usage' });
}

/** Why a name cannot be a repository's, or undefined when it can. For whoever reports instead of failing. */
export function problemWithName(
  name: string,
  options: { canary?: boolean } = {},
): { message: string; next: string } | undefined {
  if (!pattern.test(name))
    return {
      message: `${JSON.stringify(name)} cannot be a repository's name.`,
      next: 'Use 1 to 63 of a-z, 0-9 and minus, with no minus at the start or the end: it becomes part of a host name.',
    };
  if (pageNames.has(name))
    return { message: `${name} is the name of a page of Fossil's.`, next: 'Choose another name.' };
  if (reservedNames.has(name) || (name === canaryName && options.canary !== true))
    return { message: `${name} is reserved for the server itself.`, next: 'Choose another name.' };
  return undefined;
}
