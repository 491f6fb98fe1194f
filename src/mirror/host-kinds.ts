/** Apart from all that works with them: the command line's declarations load nothing. */
export const hostKinds = ['github', 'gitlab', 'gitea'] as const;

/** Whose API a host speaks; Forgejo, and so Codeberg, speak Gitea's. */
export type HostKind = (typeof hostKinds)[number];
