/** An issue as its host has it. */
export type RemoteIssue = {
  /** What people call it by; unique in its project. */
  number: number;
  title: string;
  /** Markdown, with our marker in it when it is ours. */
  body: string;
  open: boolean;
  labels: readonly string[];
};

/** What is changed of an issue; what is left out stays. */
export type IssueChange = {
  title?: string;
  body?: string;
  open?: boolean;
  /** All of them: labels that are not named go. */
  labels?: readonly string[];
};

/** The issues of one project at one host. Every call has a deadline. @throws RemoteError, RateLimited */
export type IssueTracker = {
  /** All there are, open and closed, page by page: to look for markers in. */
  list: () => AsyncIterable<readonly RemoteIssue[]>;
  /** Undefined: there is none of that number. */
  get: (number: number) => Promise<RemoteIssue | undefined>;
  /** Never repeated by itself: when its answer is lost, whether it was made shows by looking for its marker. */
  create: (issue: { title: string; body: string; labels: readonly string[] }) => Promise<{ number: number }>;
  edit: (number: number, change: IssueChange) => Promise<void>;
  /** The texts of an issue's comments. */
  comments: (number: number) => Promise<readonly string[]>;
  comment: (number: number, body: string) => Promise<void>;
};

/** A host of Git repositories with an API, and one project there. */
export type Host = IssueTracker & {
  /** Makes the project's repository. @returns false when it was there */
  createRepository: (options: { description: string; open: boolean }) => Promise<boolean>;
  /** When the token ends. Milliseconds since 1970; null: never, or the host doesn't tell. */
  tokenExpiry: () => Promise<number | null>;
};
