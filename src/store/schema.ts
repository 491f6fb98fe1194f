/**
 * The management database's schema, one entry a version; `user_version` says how many were applied. Entries are only
 * ever added. Tables named `_litestream_…` belong to Litestream, which replicates this file: nothing here touches them.
 * Instants are milliseconds since 1970.
 */
export const migrations: readonly string[] = [
  `
  CREATE TABLE setting(
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
  ) STRICT;

  CREATE TABLE repository(
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('creating', 'active', 'trashed')),
    visibility TEXT NOT NULL CHECK (visibility IN ('public', 'internal', 'private')),
    description TEXT NOT NULL,
    archived INTEGER NOT NULL CHECK (archived IN (0, 1)),
    hidden INTEGER NOT NULL CHECK (hidden IN (0, 1)),
    file TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    deleted_at INTEGER CHECK ((deleted_at IS NULL) = (state <> 'trashed'))
  ) STRICT;
  CREATE UNIQUE INDEX repository_name ON repository(name) WHERE state <> 'trashed';

  CREATE TABLE member(
    id INTEGER PRIMARY KEY,
    login TEXT NOT NULL UNIQUE,
    display_name TEXT NOT NULL,
    administrator INTEGER NOT NULL CHECK (administrator IN (0, 1)),
    password_hash TEXT NOT NULL,
    sealed_token TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    disabled_at INTEGER
  ) STRICT;

  CREATE TABLE session(
    token_hash TEXT PRIMARY KEY,
    member INTEGER NOT NULL REFERENCES member(id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX session_member ON session(member);

  CREATE TABLE event(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    repository TEXT,
    kind TEXT NOT NULL,
    text TEXT NOT NULL
  ) STRICT;
  CREATE INDEX event_repository ON event(repository, id);
  `,
  `
  CREATE TABLE high_water(
    id TEXT PRIMARY KEY,
    txid INTEGER NOT NULL
  ) STRICT;

  -- One row for each time that a repository's file was exchanged for another state of it.
  CREATE TABLE restore(
    id TEXT PRIMARY KEY,
    repository TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('restore', 'undo')),
    at INTEGER NOT NULL,
    begun_at INTEGER NOT NULL,
    ended_at INTEGER,
    outcome TEXT CHECK (outcome IN ('done', 'not done')),
    interrupted INTEGER NOT NULL CHECK (interrupted IN (0, 1)),
    undo_file TEXT,
    receipt INTEGER NOT NULL,
    CHECK ((outcome IS NULL) = (ended_at IS NULL))
  ) STRICT;
  CREATE INDEX restore_repository ON restore(repository, begun_at);
  `,
  `
  -- Each time that a database's replica was restored aside and compared: a repository's by its id, or 'management'.
  CREATE TABLE verification(
    id INTEGER PRIMARY KEY,
    database TEXT NOT NULL,
    at INTEGER NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('ok', 'wrong', 'not done')),
    error TEXT CHECK ((error IS NULL) = (outcome = 'ok')),
    txid INTEGER NOT NULL,
    artifacts INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    fetch_ms INTEGER NOT NULL,
    check_ms INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX verification_database ON verification(database, id);
  `,
  `
  -- A Git remote that follows a repository. It is believed, the bridge's own Git repository never is.
  CREATE TABLE mirror(
    id TEXT PRIMARY KEY,
    repository TEXT NOT NULL REFERENCES repository(id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    main TEXT NOT NULL,
    branches TEXT,
    on_divergence TEXT NOT NULL CHECK (on_divergence IN ('refuse', 'overwrite', 'keep')),
    every_ms INTEGER NOT NULL,
    tickets INTEGER NOT NULL CHECK (tickets IN (0, 1)),
    wiki INTEGER NOT NULL CHECK (wiki IN (0, 1)),
    user TEXT,
    sealed_credential TEXT,
    public_key TEXT,
    host_keys TEXT,
    created_at INTEGER NOT NULL,
    tried_at INTEGER,
    ok_at INTEGER,
    compared_at INTEGER,
    stamp TEXT,
    checkins INTEGER NOT NULL,
    error TEXT,
    error_kind TEXT,
    failures INTEGER NOT NULL,
    failing_since INTEGER,
    next_try_at INTEGER,
    rewound_at INTEGER,
    rewound_to INTEGER,
    verified_at INTEGER,
    verify_error TEXT,
    CHECK ((error IS NULL) = (error_kind IS NULL)),
    CHECK ((error IS NULL) = (failing_since IS NULL)),
    UNIQUE(repository, name)
  ) STRICT;

  -- What was last pushed to a mirror.
  CREATE TABLE mirror_ref(
    mirror TEXT NOT NULL REFERENCES mirror(id) ON DELETE CASCADE,
    ref TEXT NOT NULL,
    git TEXT NOT NULL,
    fossil TEXT NOT NULL,
    name TEXT,
    PRIMARY KEY(mirror, ref)
  ) STRICT, WITHOUT ROWID;

  -- Each time that something was pushed to a mirror, or could not be.
  CREATE TABLE sync_run(
    id INTEGER PRIMARY KEY,
    mirror TEXT NOT NULL REFERENCES mirror(id) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    why TEXT NOT NULL,
    error TEXT,
    refs TEXT NOT NULL,
    pushed INTEGER NOT NULL,
    commits INTEGER NOT NULL,
    bytes INTEGER,
    took_ms INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX sync_run_mirror ON sync_run(mirror, id);
  CREATE INDEX sync_run_at ON sync_run(at);
  `,
  `
  -- Under which name and address somebody's check-ins go to Git. A row never changes: commits' hashes follow from it.
  CREATE TABLE ident(
    repository TEXT NOT NULL,
    login TEXT NOT NULL,
    name TEXT NOT NULL,
    mail TEXT NOT NULL,
    PRIMARY KEY (repository, login)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  -- Whose API a mirror's host speaks, and what is known of its token. One without this is only pushed to.
  CREATE TABLE mirror_host(
    mirror TEXT PRIMARY KEY REFERENCES mirror(id) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('github', 'gitlab', 'gitea')),
    api TEXT NOT NULL,
    path TEXT NOT NULL,
    sealed_token TEXT,
    expires_at INTEGER,
    asked_at INTEGER
  ) STRICT;

  -- What a mirror has besides code: how that stands.
  CREATE TABLE mirror_part(
    mirror TEXT NOT NULL REFERENCES mirror(id) ON DELETE CASCADE,
    part TEXT NOT NULL CHECK (part IN ('tickets', 'wiki')),
    place TEXT CHECK (place IN ('repository', 'branch')),
    ref TEXT,
    git TEXT,
    stamp TEXT,
    tried_at INTEGER,
    ok_at INTEGER,
    count INTEGER NOT NULL,
    error TEXT,
    error_kind TEXT,
    failures INTEGER NOT NULL,
    failing_since INTEGER,
    next_try_at INTEGER,
    CHECK ((error IS NULL) = (error_kind IS NULL)),
    CHECK ((error IS NULL) = (failing_since IS NULL)),
    PRIMARY KEY(mirror, part)
  ) STRICT, WITHOUT ROWID;

  -- Which issue is which ticket's. It only saves looking: the issues themselves say it.
  CREATE TABLE mirror_issue(
    mirror TEXT NOT NULL REFERENCES mirror(id) ON DELETE CASCADE,
    ticket TEXT NOT NULL,
    issue INTEGER NOT NULL,
    rev TEXT NOT NULL,
    PRIMARY KEY(mirror, ticket)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  -- What a repository follows: a Fossil or a Git repository elsewhere.
  CREATE TABLE upstream(
    id TEXT PRIMARY KEY,
    repository TEXT NOT NULL UNIQUE REFERENCES repository(id) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('fossil', 'git')),
    url TEXT NOT NULL,
    every_ms INTEGER NOT NULL,
    user TEXT,
    sealed_credential TEXT,
    public_key TEXT,
    host_keys TEXT,
    created_at INTEGER NOT NULL,
    tried_at INTEGER,
    ok_at INTEGER,
    came_at INTEGER,
    came TEXT,
    error TEXT,
    error_kind TEXT,
    failures INTEGER NOT NULL,
    failing_since INTEGER,
    next_try_at INTEGER,
    CHECK ((error IS NULL) = (error_kind IS NULL)),
    CHECK ((error IS NULL) = (failing_since IS NULL))
  ) STRICT;

  -- A repository that was imported from Git: which branch is its trunk, how many commits it was told of, and the refs that were about to be
  -- imported when it was last at work (JSON).
  CREATE TABLE git_import(
    repository TEXT PRIMARY KEY REFERENCES repository(id) ON DELETE CASCADE,
    main TEXT NOT NULL,
    commits INTEGER NOT NULL,
    intended TEXT
  ) STRICT;

  -- The check-in that each commit became. Nobody can find this out again: without it a history would be imported twice.
  CREATE TABLE import_mark(
    repository TEXT NOT NULL REFERENCES repository(id) ON DELETE CASCADE,
    git TEXT NOT NULL,
    fossil TEXT NOT NULL,
    PRIMARY KEY(repository, git)
  ) STRICT, WITHOUT ROWID;

  -- The branches and tags of the remote as they were last imported.
  CREATE TABLE import_ref(
    repository TEXT NOT NULL REFERENCES repository(id) ON DELETE CASCADE,
    ref TEXT NOT NULL,
    git TEXT NOT NULL,
    PRIMARY KEY(repository, ref)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  -- Which part of a mirror a run was about; for tickets, what was done there.
  ALTER TABLE sync_run ADD COLUMN part TEXT NOT NULL DEFAULT 'code' CHECK (part IN ('code', 'wiki', 'tickets'));
  ALTER TABLE sync_run ADD COLUMN issues_made INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE sync_run ADD COLUMN issues_changed INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE sync_run ADD COLUMN comments_made INTEGER NOT NULL DEFAULT 0;
  `,
  `
  -- What lay in the repository's place before a restore.
  ALTER TABLE restore ADD COLUMN was TEXT NOT NULL DEFAULT 'whole' CHECK (was IN ('whole', 'damaged', 'missing'));
  `,
  `
  -- When a mirror was last to be verified, whatever came of it; verified_at is only of what came to an answer.
  ALTER TABLE mirror ADD COLUMN verify_tried_at INTEGER;
  UPDATE mirror SET verify_tried_at = verified_at;
  `,
];
