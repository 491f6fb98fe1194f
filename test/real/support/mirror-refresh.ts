import { pathsUnder } from '../../../src/config/paths.ts';
import { parseConfig } from '../../../src/config/config.ts';
import { refreshCache } from '../../../src/mirror/export/cache.ts';
import { findRepositoryById } from '../../../src/store/repositories.ts';
import { openStore } from '../../../src/store/store.ts';
import { run } from '../../../src/system/run.ts';

// node mirror-refresh.ts ROOT ID [FOSSIL]: brings one Git side up to date in a process of its own, which a test kills or measures.

const [root = '', id = '', fossil] = process.argv.slice(2);
const paths = pathsUnder(root);
using store = openStore(paths);
const row = findRepositoryById(store, id);
if (row === undefined) throw new Error(`no repository ${id}`);
const config = parseConfig('', paths);
if (fossil !== undefined) config.programs.fossil = fossil;
const { made, commits } = await refreshCache({ run, config, paths, store }, row);
process.stdout.write(
  JSON.stringify({ made, commits: commits.size, memory: process.resourceUsage().maxRSS * 1024 }),
);
