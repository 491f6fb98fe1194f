import { randomUUID } from 'node:crypto';
import { Resolver } from 'node:dns/promises';
import { createServer, request, type Server } from 'node:http';
import { networkInterfaces } from 'node:os';
import type { Config } from '../config/config.ts';
import { codeOf } from '../errors.ts';
import { addressesOf } from '../system/resolve.ts';
import { noSuchAddress, type Preflight } from './preflight.ts';

/** Who answers where a name leads: this machine, another one, nobody though it was heard, nobody at all. */
export type Answer = 'here' | 'another' | 'refused' | 'silent';

/** What is known of a name. */
export type NameFacts = {
  name: string;
  addresses: readonly { address: string; own: boolean; answer: Answer | 'not asked' }[];
  /** Whether the DNS has it, whatever /etc/hosts says. */
  inDns: 'yes' | 'no' | 'silent' | 'not asked';
};

/** How long an answer is waited for. Milliseconds. */
const patience = 3_000;

/**
 * Where the domain and a name below it lead. A resolved name proves little, so a token is put up where the edge will listen and asked for
 * by each address; while the edge itself is there, its canary looks instead.
 * @param thorough whether the addresses and the DNS itself are asked, too
 */
export async function checkNames(config: Config, thorough: boolean): Promise<Preflight[]> {
  const own = new Set(
    Object.values(networkInterfaces()).flatMap((list) => list?.map(({ address }) => address)),
  );
  await using beacon = thorough && !config.local ? await lightBeacon(config) : undefined;
  const look = async (name: string): Promise<NameFacts> => ({
    name,
    addresses: await Promise.all(
      (await addressesOf(name)).map(async (address) => ({
        address,
        own: own.has(address) || address.startsWith('127.'),
        answer: beacon ? await beacon.answerAt(name, address) : 'not asked',
      })),
    ),
    inDns: thorough && config.tls === 'auto' ? await inDns(name) : 'not asked',
  });
  const facts = await Promise.all([config.domain, `fossilrepo-check.${config.domain}`].map(look));
  return judgeNames(config, facts);
}

/** Wrong for certain is refused; what may be is a warning. */
export function judgeNames(
  config: Pick<Config, 'domain' | 'local' | 'tls' | 'ports'>,
  facts: readonly NameFacts[],
): Preflight[] {
  const missing = facts.filter(({ addresses }) => addresses.length === 0).map(({ name }) => name);
  const found = [
    ...(missing.length > 0 ? [unresolved(config, missing)] : []),
    ...(config.local ? [] : facts.flatMap((one) => [...misled(one), ...unpublished(one)])),
  ];
  if (found.length > 0) return found;
  return [{ what: 'names', verdict: 'fine', message: `${config.domain} and names below it lead here` }];
}

function unresolved(
  { domain, local, tls, ports }: Parameters<typeof judgeNames>[0],
  missing: readonly string[],
): Preflight {
  const what = 'names';
  if (local)
    return {
      what,
      verdict: 'warn',
      message: `${missing.join(' and ')} can't be resolved here: repositories answer at http://localhost:${ports.repositories}/NAME.`,
      next: 'Install the Debian package libnss-myhostname for names of their own.',
    };
  return {
    what,
    verdict: tls === 'auto' ? 'refuse' : 'warn',
    message: `${missing.join(' and ')} can't be resolved.`,
    next: `Add DNS records (A, and AAAA if there is one) for ${domain} and *.${domain} that point to this server.`,
  };
}

function misled({ name, addresses }: NameFacts): Preflight[] {
  return addresses.flatMap(({ address, own, answer }): Preflight[] => {
    const what = 'names';
    if (answer === 'here' || answer === 'not asked') return [];
    if (answer === 'refused' && own)
      return [
        {
          what,
          verdict: 'refuse',
          message: `${name} leads to ${address}, an address of this machine at which it would not listen.`,
          next: 'Correct listen in fossilrepo.yaml, or the DNS record.',
        },
      ];
    if (answer === 'another')
      return [
        {
          what,
          verdict: 'warn',
          message: `${name} leads to ${address}, where another server answers.`,
          next: 'If that one passes connections on to this machine, all is well; otherwise correct the DNS record.',
        },
      ];
    return [
      {
        what,
        verdict: 'warn',
        message: `${name} leads to ${address}, which does not answer from here${own ? '' : ' and is no address of this machine'}.`,
        next: own
          ? "Let the edge's ports through this machine's firewall."
          : 'If it is that of the router before this server, let it pass ports 80 and 443 on, also from inside; otherwise correct the DNS record.',
      },
    ];
  });
}

function unpublished({ name, addresses, inDns: published }: NameFacts): Preflight[] {
  if (addresses.length === 0 || published === 'yes' || published === 'not asked') return [];
  return [
    {
      what: 'names',
      verdict: 'warn',
      message:
        published === 'no'
          ? `Only this machine knows ${name}, as by /etc/hosts: the DNS has no record of it.`
          : `Whether others can resolve ${name} can't be known: no DNS server answers here.`,
      next: 'The certificate authority and people need a DNS record that points to this server.',
    },
  ];
}

/** Asks the DNS servers of this machine, past /etc/hosts. */
async function inDns(name: string): Promise<'yes' | 'no' | 'silent'> {
  const resolver = new Resolver({ timeout: patience / 2, tries: 2 });
  const asked = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
  if (asked.some(({ status }) => status === 'fulfilled')) return 'yes';
  const known = ['ENOTFOUND', 'ENODATA'];
  return asked.every((one) => one.status === 'rejected' && known.includes(codeOf(one.reason) ?? ''))
    ? 'no'
    : 'silent';
}

/** Answers with a token where the edge will, until it is disposed of; undefined where something else listens, such as the edge. */
async function lightBeacon({ listen, ports }: Pick<Config, 'listen' | 'ports'>) {
  const token = `fossilrepo ${randomUUID()}`;
  const servers: Server[] = [];
  const put = async () => {
    await Promise.all(
      servers.map((server) => {
        const closed = new Promise((resolve) => server.close(resolve));
        // Whoever else has found it is not waited for.
        server.closeAllConnections();
        return closed;
      }),
    );
  };
  for (const host of listen) {
    const server = createServer((_, response) => response.setHeader('connection', 'close').end(token));
    const problem = await new Promise<string | undefined>((resolve) => {
      server.once('error', (error) => resolve(codeOf(error) ?? ''));
      server.listen({ host, port: ports.http, exclusive: true, ipv6Only: host.includes(':') }, () =>
        resolve(undefined),
      );
    });
    if (problem === undefined) servers.push(server);
    else if (!noSuchAddress.includes(problem)) {
      await put();
      return undefined;
    }
  }
  return {
    answerAt: (name: string, address: string) => answerAt(token, name, address, ports.http),
    [Symbol.asyncDispose]: put,
  };
}

function answerAt(token: string, name: string, host: string, port: number): Promise<Answer> {
  return new Promise((resolve) => {
    const asked = request({
      host,
      port,
      path: '/.well-known/fossilrepo-check',
      headers: { host: name },
      agent: false,
      signal: AbortSignal.timeout(patience),
    });
    asked.on('error', (error) => resolve(codeOf(error) === 'ECONNREFUSED' ? 'refused' : 'silent'));
    asked.on('response', (response) => {
      let said = '';
      response.setEncoding('utf8');
      response.on('data', (piece: string) => (said = (said + piece).slice(0, token.length + 1)));
      response.on('error', () => resolve('silent'));
      response.on('end', () => resolve(said === token ? 'here' : 'another'));
    });
    asked.end();
  });
}
