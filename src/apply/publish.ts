import { X509Certificate } from 'node:crypto';
import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { parseConfig } from '../config/config.ts';
import type { Paths } from '../config/paths.ts';
import { messageOf, OperatorError } from '../errors.ts';
import type { ChangedFile, Step } from '../plan/steps.ts';
import { caddyRoot, caddyValidate } from '../programs/caddy.ts';
import { litestreamCheck, readLitestreamCheck } from '../programs/litestream.ts';
import { checkTmpfiles, verifyUnits } from '../programs/systemd.ts';
import { findUser, serviceUsers } from '../system/identity.ts';
import { writeAtomic } from '../system/files.ts';
import { type Machine, idsOf } from './apply.ts';
import { noteDue } from './due.ts';

type Publication = Extract<Step, { do: 'files' }>;

/**
 * Writes rendered files, each whole or not at all, after the program that reads them has agreed to copies beside.
 * @returns puts the former files back; undefined when there were none
 * @throws OperatorError with what the program says against them; nothing is changed then
 */
export async function publish(
  step: Publication,
  machine: Pick<Machine, 'run' | 'config' | 'paths'>,
): Promise<(() => void) | undefined> {
  await approve(step, machine);
  if (step.check === 'caddy' && machine.config.tls === 'internal') publishRoot(machine.paths);
  noteDue(machine.paths, step.then);
  for (const file of step.files)
    writeAtomic(file.path, file.content, file.mode, file.owner && idsOf(file.owner));
  if (step.files.every(({ former }) => former === undefined)) return undefined;
  return () => {
    for (const file of step.files) putBack(file);
  };
}

/** Caddy has made its authority by now, since it was shown a configuration that needs one; a later one is a file of the plan's. */
function publishRoot(paths: Paths): void {
  writeAtomic(paths.edgeRoot, readFileSync(caddyRoot(paths)), 0o644);
}

function putBack(file: ChangedFile): void {
  if (file.former === undefined) rmSync(file.path, { force: true });
  else writeAtomic(file.path, file.former, file.mode, file.owner && idsOf(file.owner));
}

/** Shows the files, in a folder of their own, to the program that will read them. */
async function approve(
  step: Publication,
  { run, config, paths }: Pick<Machine, 'run' | 'config' | 'paths'>,
): Promise<void> {
  const first = step.files[0];
  if (first === undefined) return;
  const beside = mkdtempSync(join(dirname(first.path), '.fossilrepo-check-'));
  try {
    const copies = step.files.map((file) => {
      const copy = join(beside, basename(file.path));
      writeFileSync(copy, file.content, { mode: 0o600 });
      if (file.owner) chownSync(copy, idsOf(file.owner).uid, idsOf(file.owner).gid);
      return copy;
    });
    // The folder is what keeps others out; Caddy, who has to look as the edge's user, gets in by its group.
    const edge = findUser(serviceUsers.edge);
    if (step.check === 'caddy' && step.files[0]?.owner && edge) {
      chownSync(beside, 0, edge.gid);
      chmodSync(beside, 0o750);
      for (const copy of copies) chmodSync(copy, 0o644);
    }
    for (const copy of copies) await check(step, copy, { run, config, paths });
  } catch (error) {
    throw new OperatorError(
      `${step.title} would not work, so nothing of it was changed:\n${messageOf(error)}`,
      {
        next: 'Correct fossilrepo.yaml and run the command again.',
        cause: error,
      },
    );
  } finally {
    rmSync(beside, { recursive: true, force: true });
  }
}

async function check(
  step: Publication,
  copy: string,
  { run, config, paths }: { run: Machine['run']; config: Machine['config']; paths: Paths },
) {
  if (typeof step.check === 'object') {
    const { stdout } = await run(litestreamCheck(config.programs.litestream, copy));
    readLitestreamCheck(stdout, step.check.litestream);
    return;
  }
  switch (step.check) {
    case 'caddy':
      await run({ ...caddyValidate(paths, config.programs.caddy, copy), ...asEdge(step) });
      return;
    case 'certificate':
      new X509Certificate(readFileSync(copy));
      return;
    case 'systemd':
      await complainAboutUnit(run, copy);
      return;
    case 'tmpfiles':
      await complainAboutTmpfiles(run, copy);
      return;
    case 'fossilrepo':
      for (const file of step.files) parseConfig(file.content, paths);
      return;
  }
}

/** With a certificate authority of its own Caddy makes that when it looks: so that the edge can read it, as the edge's user. */
function asEdge(step: Publication): { as?: { uid: number; gid: number } } {
  const edge = findUser(serviceUsers.edge);
  return step.files[0]?.owner && edge ? { as: { uid: edge.uid, gid: edge.gid } } : {};
}

/** systemd-analyze answers 0 for keys that it ignores, and complains of units that come only with the next files. */
async function complainAboutUnit(run: Machine['run'], copy: string): Promise<void> {
  const { stderr } = await run({ ...verifyUnits([copy]), accept: [1] });
  const complaints = stderr
    .split('\n')
    .filter((line) => line.includes(copy) || line.includes(basename(copy)))
    .filter((line) => !/Unit fossilrepo\S* not found|Failed to create fossilrepo\S*\/start/.test(line));
  if (complaints.length > 0) throw new OperatorError(complaints.join('\n'));
}

/** systemd-tmpfiles answers 65 for lines that it leaves out (EX_DATAERR), and 0 for fields that it leaves out. */
async function complainAboutTmpfiles(run: Machine['run'], copy: string): Promise<void> {
  const { stderr, code } = await run({ ...checkTmpfiles(copy), accept: [65] });
  if (code !== 0 || stderr.includes(copy)) throw new OperatorError(stderr);
}
