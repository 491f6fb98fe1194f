import { messageOf, OperatorError } from '../../errors.ts';
import type { Forge } from '../../forge.ts';
import { forgetMirrorIssue, mirrorIssues, setMirrorIssue } from '../../store/mirror-issues.ts';
import type { Mirror } from '../../store/mirrors.ts';
import type { IssueCounts } from '../../store/sync-runs.ts';
import type { IssueTracker } from '../hosts/issues.ts';
import { HostFailed } from '../hosts/transport.ts';
import { RemoteError } from '../remote/error.ts';
import { issueOf, type WantedIssue } from './issue.ts';
import { type Markers, markersOf } from './marker.ts';
import { editOf, type KnownIssue, newBody, planTickets, type TicketStep } from './plan.ts';
import { readTickets } from './read.ts';

/** What was done about a mirror's tickets. */
export type TicketsDone = IssueCounts & {
  /** Issues that are tickets'. */
  count: number;
  /** It took so long that the rest was left for the next time. */
  more: boolean;
  /** Why it ended early; else why the first of those that a host refused or failed at is not there: the others are. */
  error: OperatorError | undefined;
};

type Place = Pick<Forge, 'store' | 'secrets'>;

/** What would be done, by what is known here: nobody is asked. @param file the repository */
export const plannedTickets = (
  { store }: Pick<Place, 'store'>,
  mirror: Pick<Mirror, 'id'>,
  file: string,
): TicketStep[] => planTickets(readTickets(file).map(issueOf), mirrorIssues(store, mirror.id));

/** A host that failed at more tickets in a row than this is ill itself. */
const mostFailures = 3;

/** For making issues there is always so much time. Milliseconds. */
const leastWork = 20_000;

/**
 * Makes a project's issues what a repository's tickets are. It may end at any moment and be run again: before anything is made, every issue
 * there is looked at for markers, so that what is known here may be lost, too.
 * @param tracker opens the project, when there is something to do
 * @param options.until after this instant nothing more is begun. Milliseconds since 1970
 * @throws what `signal` was aborted with
 */
export async function syncTickets(
  { store, secrets }: Place,
  mirror: Pick<Mirror, 'id' | 'repository'>,
  file: string,
  tracker: () => Promise<IssueTracker>,
  options: { signal?: AbortSignal | undefined; until?: number } = {},
): Promise<TicketsDone> {
  const { signal } = options;
  let { until = Infinity } = options;
  const wanted = readTickets(file).map(issueOf);
  const done: TicketsDone = {
    ...{ issuesMade: 0, issuesChanged: 0, commentsMade: 0, count: 0, more: false, error: undefined },
  };
  const enough = () => {
    signal?.throwIfAborted();
    done.more ||= Date.now() > until;
    return done.more;
  };
  const markers = markersOf(secrets.instanceKey, mirror.repository);
  const note = (ticket: string, known: KnownIssue) => setMirrorIssue(store, mirror.id, ticket, known);
  const steps = () => planTickets(wanted, mirrorIssues(store, mirror.id));
  const missing = () => steps().filter(({ kind }) => kind === 'create');
  const work = async () => {
    if (steps().length === 0) return;
    const issues = await tracker();
    const at = { issues, markers, done, note, failures: 0 };
    let look: Promise<void> | undefined;
    const lookForMarks = () =>
      (look ??= noteMarked(at).then(() => {
        // However long that took, something is made then: the next time it would take as long.
        until = Math.max(until, Date.now() + leastWork);
      }));
    if (missing().length > 0) await lookForMarks();
    for (const step of steps()) {
      if (step.kind !== 'update' || enough()) continue;
      // One that somebody deleted is made anew, unless it is found elsewhere.
      if (!(await attempt(at, step, () => update(at, step))))
        forgetMirrorIssue(store, mirror.id, step.wanted.ticket);
    }
    if (missing().length > 0) await lookForMarks();
    for (const step of missing()) {
      if (enough()) break;
      await attempt(at, step, () => create(at, step.wanted));
    }
  };
  try {
    await work();
  } catch (error) {
    signal?.throwIfAborted();
    // What was done until then stays, and is told.
    done.error =
      error instanceof OperatorError ? error : new OperatorError(messageOf(error), { cause: error });
  }
  done.count = mirrorIssues(store, mirror.id).size;
  return done;
}

type Work = {
  issues: IssueTracker;
  markers: Markers;
  done: TicketsDone;
  note: (ticket: string, known: KnownIssue) => unknown;
  /** At how many tickets in a row the host failed. */
  failures: number;
};

/** Notes every issue with one of our markers; of several with the same the oldest. */
async function noteMarked({ issues, markers, note }: Work): Promise<void> {
  const found = new Map<string, KnownIssue>();
  for await (const page of issues.list())
    for (const { number, body } of page) {
      const marker = markers.readTicket(body);
      if (!marker) continue;
      const other = found.get(marker.ticket);
      if (other === undefined || number < other.issue)
        found.set(marker.ticket, { issue: number, rev: marker.rev });
    }
  for (const [ticket, known] of found) note(ticket, known);
}

/** A ticket that a host refuses or fails at doesn't keep the others from being there. @returns what the work says; true when it did */
async function attempt(at: Work, { wanted }: TicketStep, work: () => Promise<boolean>): Promise<boolean> {
  try {
    const went = await work();
    at.failures = 0;
    return went;
  } catch (error) {
    if (!(error instanceof RemoteError)) throw error;
    const itsOwn = error instanceof HostFailed ? ++at.failures <= mostFailures : error.kind === 'rejected';
    if (!itsOwn) throw error;
    at.done.error ??= new RemoteError(
      error.kind,
      `Ticket ${wanted.ticket.slice(0, 10)}: ${messageOf(error)}`,
    );
    return true;
  }
}

async function create(at: Work, wanted: WantedIssue): Promise<true> {
  const { title, labels } = wanted;
  const body = newBody(wanted, at.markers);
  const { number } = await at.issues.create({ title, body, labels });
  if (!Number.isInteger(number) || number < 1)
    throw new RemoteError('unreachable', 'A new issue came without a number.');
  at.done.issuesMade++;
  const whole = wanted.comments.length === 0 && wanted.open;
  at.note(wanted.ticket, { issue: number, rev: whole ? wanted.rev : '-' });
  if (!whole) await complete(at, wanted, { number, title, body, open: true, labels }, []);
  return true;
}

/** @returns false: there is no such issue any more, or it is another one: only what bears our marker is changed */
async function update(at: Work, { wanted, issue }: TicketStep & { kind: 'update' }): Promise<boolean> {
  const there = await at.issues.get(issue);
  if (at.markers.readTicket(there?.body ?? '')?.ticket !== wanted.ticket || !there) return false;
  const texts = wanted.comments.length === 0 ? [] : await at.issues.comments(issue);
  await complete(at, wanted, there, texts);
  at.done.issuesChanged++;
  return true;
}

async function complete(
  at: Work,
  wanted: WantedIssue,
  there: Parameters<typeof editOf>[1],
  texts: readonly string[],
): Promise<void> {
  const { comments, change } = editOf(wanted, there, texts, at.markers);
  for (const { id, text } of comments) {
    await at.issues.comment(there.number, `${at.markers.comment(wanted.ticket, id)}\n${text}`);
    at.done.commentsMade++;
  }
  if (Object.keys(change).length > 0) await at.issues.edit(there.number, change);
  at.note(wanted.ticket, { issue: there.number, rev: wanted.rev });
}
