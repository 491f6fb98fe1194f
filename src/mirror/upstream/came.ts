/** What a pull brought. */
export type Came = {
  checkins: number;
  /** Tags that were set or moved. */
  tags: number;
  /** From Fossil: all that came, files and tickets too. */
  artifacts: number;
  /** What could not be taken as it is, a sentence each. */
  notes: string[];
};

export const nothing: Came = { checkins: 0, tags: 0, artifacts: 0, notes: [] };

export type PullOptions = {
  /** Ends every program that is at work. */
  signal?: AbortSignal | undefined;
  /** Told now and then how many of all new commits are written. */
  progress?: ((done: number, all: number) => void) | undefined;
  /** Takes a rewritten history beside the old one. */
  acceptRewrite?: boolean;
};

/** In words, for events and people; empty when nothing came. */
export function describeCame({ checkins, tags, artifacts, notes }: Came): string {
  const parts = [
    ...(checkins > 0 ? [checkins === 1 ? '1 check-in' : `${checkins} check-ins`] : []),
    ...(tags > 0 ? [tags === 1 ? '1 tag' : `${tags} tags`] : []),
    ...(artifacts > 0 ? [artifacts === 1 ? '1 artifact' : `${artifacts} artifacts`] : []),
  ];
  return [parts.join(', '), ...notes].filter((part) => part !== '').join('; ');
}
