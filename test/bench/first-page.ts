import { bootGuest, type Guest } from '../e2e/guest.ts';
import { type Bench, leftOut, type Row, time } from './row.ts';
import { timed } from './timing.ts';

const name = 'bare Debian 12 to first page';
const goal = '60 s';

const ours = '/srv/fossilrepo/install.sh --yes && first_page http://localhost/';

/** By hand: no certificates, no replica, no service, nothing looked at. */
const byHand = [
  'apt-get update -q',
  'apt-get install -q -y --no-install-recommends fossil',
  'USER=root fossil init /root/demo.fossil',
  '(setsid fossil server --port 21180 /root/demo.fossil </dev/null >/dev/null 2>&1 &)',
  'first_page http://127.0.0.1:21180/',
].join(' && ');

/** With bash alone: a fresh server has nothing else that speaks HTTP. */
const page = `first_page() { local to=\${1#http://} i; to=\${to%/}; case $to in *:*) ;; *) to=$to:80 ;; esac
  for i in $(seq 100); do
    if exec 5<>"/dev/tcp/\${to%:*}/\${to#*:}"; then
      printf 'GET / HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&5
      head -n 1 <&5 | grep -E ' (200|30[1-8]) ' && return 0
    fi 2>/dev/null
    sleep 0.1
  done; return 1; }; `;

/** A server with nothing but Debian, one command, until a page answers. */
export async function firstPage({ quick, say }: Bench): Promise<Row[]> {
  if (quick) return [leftOut(name, goal, 'not with --quick: it installs two servers')];
  if (process.getuid?.() !== 0) return [leftOut(name, goal, 'needs root, to boot a fresh server')];
  const took: number[] = [];
  for (const command of [ours, byHand]) {
    say(`a fresh server: ${command}`);
    const guest = await bootGuest('bookworm');
    try {
      await guest.copyCheckout('/srv/fossilrepo');
      took.push(await timed(() => install(guest, command)));
    } finally {
      await guest.close();
    }
  }
  const [mine = 0, hand = 0] = took;
  return [
    {
      name,
      ours: time(mine),
      instead: `apt-get install fossil; fossil init; fossil server: ${time(hand)}`,
      goal,
      met: mine <= 60_000,
    },
  ];
}

async function install(guest: Guest, command: string): Promise<void> {
  await guest.must(page + command, { timeout: 600_000 });
}
