/** Something that is not as it should be. */
export type Finding = {
  /** `red`: data or service is at risk now. `yellow`: it works, but somebody should look. */
  level: 'red' | 'yellow';
  /** What it is about: a part, a repository's name, `replica`, `canary` … */
  about: string;
  /** What is wrong, one sentence. */
  what: string;
  /** What to do, one sentence. */
  next: string;
};
