import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { closedMark, type Paths, routeMark } from '../config/paths.ts';

/** From now on the edge answers for the name, and its certificate can be had. */
export const markRoute = (paths: Pick<Paths, 'routes'>, name: string): void => mark(routeMark(paths, name));

/** From now on the edge answers 503 for the name. */
export function markClosed(paths: Pick<Paths, 'closed'>, name: string): void {
  mkdirSync(paths.closed, { recursive: true });
  mark(closedMark(paths, name));
}

/** The edge opens the file to see whether it is there (Caddy 2.11, fileserver/matcher.go), and is in no group of ours. */
function mark(file: string): void {
  writeFileSync(file, '');
  chmodSync(file, 0o644);
}
