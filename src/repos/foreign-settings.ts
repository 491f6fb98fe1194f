/**
 * What becomes of a setting in a file from outside: only what is known to be harmless stays, because the next Fossil may
 * have a new one that runs something.
 * - `kept`;
 * - `dropped`: belongs to one copy of a repository (leases, where it was cloned from) or is written anew anyway: not worth a word;
 * - `removed`: runs programs or scripts, opens other files, sends mail, lets somebody in, or is a password;
 * - `aside`: renamed, so that Fossil does not read it: pages with TH1 in them, and what nobody knows.
 */
export type SettingFate = 'kept' | 'dropped' | 'removed' | 'aside';

/** In front of the name of a setting that was put aside. */
export const asidePrefix = 'fossilrepo-aside:';

const kept = [
  // What the project is.
  /^(project-code|server-code|project-name|short-project-name|project-description|index-page)$/,
  /^(parent-project-code|parent-project-name|main-branch|doc-branch|mimetypes|path-to-tag)$/,
  /^(content-schema|aux-schema|rebuilt|hash-policy|uv-hash|seen-delta-manifest|forbid-delta-manifests)$/,
  // How it looks, without a script: the skins that Fossil itself brings, menus, dates.
  /^(default-skin|mainmenu|sitemap-extra|user-color-map|raw-bgcolor|preferred-diff-type|hash-digits|suggested-downloads)$/,
  /^(logo|icon|background)-(image|mimetype)$/,
  /^(timeline|search|wiki|forum|chat)-[a-z-]+$/,
  /^(interwiki:|walias:\/).*$/,
  // Tickets: the table and its columns. Its scripts are put aside.
  /^ticket-(table|default-report|title-expr|status-column)$/,
  // What is let through, and how much of it.
  /^(modreq-(wiki|tkt)|auto-captcha|require-captcha|auto-hyperlink.*|robots-txt|robot-.*|max-.*|attachment-size-limit)$/,
  /^(access-log|admin-log|artifact_stats_enable|auto-shun|uv-sync|large-file-size)$/,
  // For checkouts: a server never uses them.
  /^(autosync.*|manifest|empty-dirs|dotfiles|comment-format|verify-comments|case-sensitive|repo-cksum|mtime-changes)$/,
  /^[a-z]+-glob$/,
  /^(fossilrepo-id|fossilrepo-aside:.*)$/,
];

const dropped = [
  /^(localauth|self-register|self-pw-reset|default-perms|remote_user_ok|http_authentication_ok|public-pages)$/,
  /^(backoffice|captcha-secret.*|hook-last-rcvid|last-git-export-repo|default-user)$/,
  /^(last-sync-url|last-sync-pw|sync-(url|pw):.*|parent-project-(url|pw))$/,
  /^(redirect-to-https|https-login)$/,
];

const removed = [
  /^(hooks|tcl.*|th1-.*|xfer-.*|.*-command|editor|web-browser|pgp-.*)$/,
  /^(peer-.*|login-group-.*|email-.*|backoffice-.*|proxy|ssl-.*|cert:.*|trusted:.*|allow-symlinks)$/,
];

const images = /^image\/(png|gif|jpeg|webp|x-icon|vnd\.microsoft\.icon)$/;

/** Decides about one setting. @param value as text; binary ones are images and never looked at */
export function fateOf(name: string, value: string): SettingFate {
  // A picture that is sent as HTML would be a page with scripts.
  if (/^(logo|icon|background)-mimetype$/.test(name) && !images.test(value)) return 'aside';
  if (name === 'default-skin' && !/^[a-z0-9_]+$/.test(value)) return 'aside';
  const isIn = (patterns: readonly RegExp[]) => patterns.some((pattern) => pattern.test(name));
  if (isIn(removed)) return 'removed';
  if (isIn(dropped)) return 'dropped';
  return isIn(kept) ? 'kept' : 'aside';
}
