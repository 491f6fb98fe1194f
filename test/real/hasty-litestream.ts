import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { programHome } from '../../src/config/paths.ts';

/**
 * Litestream with shorter times than fossilrepo gives it, where `replica.step` is 30s. Seconds.
 * @param times.merged in the place of the step @param times.single how long single transactions are kept; as configured when left out
 */
export function hastyLitestream(times: { merged: number; again: number; snapshot: number; single?: number }) {
  const folder = mkdtempSync(join(tmpdir(), 'hasty-'));
  chmodSync(folder, 0o755);
  const program = join(folder, 'litestream');
  const own = join(programHome, 'embedded/programs/bin/litestream');
  const edits = [
    `s/interval: 30s/interval: ${times.merged}s/`,
    `s/interval: 360s/interval: ${times.again}s/`,
    `s/interval: 24h/interval: ${times.snapshot}s/`,
    ...(times.single === undefined
      ? []
      : [
          `s/^l0-retention: .*/l0-retention: ${times.single}s/`,
          `s/^l0-retention-check-interval: .*/l0-retention-check-interval: 1s/`,
        ]),
  ];
  const script = `#!/bin/sh
[ "$1" = replicate ] || exec ${own} "$@"
sed ${edits.map((edit) => `-e "${edit}"`).join(' ')} "$4" >"$4.hasty"
exec ${own} replicate -no-expand-env -config "$4.hasty"
`;
  writeFileSync(program, script, { mode: 0o755 });
  return { program, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
}
