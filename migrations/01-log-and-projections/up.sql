-- The log: the only truth. Rows are added, never changed or removed.
CREATE TABLE events (
    local_id   INTEGER PRIMARY KEY,          -- order of arrival on this store; the cursor of local readers
    uuid       TEXT NOT NULL UNIQUE,
    machine_id TEXT NOT NULL,
    seq        INTEGER NOT NULL,             -- from 1, without a gap for each machine
    wall_ms    INTEGER NOT NULL,
    counter    INTEGER NOT NULL,
    hlc        TEXT NOT NULL GENERATED ALWAYS AS (printf('%013d.%06d.%s', wall_ms, counter, machine_id)) VIRTUAL,
    event_type TEXT NOT NULL,
    version    INTEGER NOT NULL,
    subject    TEXT,                         -- the entity it is mainly about
    payload    TEXT NOT NULL,
    actor      TEXT NOT NULL,
    cause      TEXT,
    prev_hash  BLOB NOT NULL,                -- sha256(prev_hash of the machine's event before it || this event)
    created_at TEXT NOT NULL,
    UNIQUE (machine_id, seq)
) STRICT;
CREATE INDEX events_by_hlc ON events (hlc);
CREATE INDEX events_by_subject ON events (subject, local_id);
CREATE INDEX events_of_deletion ON events (local_id) WHERE event_type = 'task_deleted';
CREATE INDEX events_of_removal ON events (subject, local_id) WHERE event_type = 'worktree_removed';

-- Projections: folded from the log, `state` as JSON beside the columns that queries need. `replay` rebuilds them.
CREATE TABLE projects (
    id      TEXT PRIMARY KEY,
    name    TEXT NOT NULL,
    present INTEGER NOT NULL,                -- added, and not removed since
    state   TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX projects_by_name ON projects (name) WHERE present = 1;

CREATE TABLE tasks (
    id       TEXT PRIMARY KEY,
    project  TEXT,
    status   TEXT NOT NULL,
    priority INTEGER NOT NULL,
    rank     REAL NOT NULL,
    deleted  INTEGER NOT NULL,               -- or not heard of as created yet
    title    TEXT NOT NULL,
    branch   TEXT,
    state    TEXT NOT NULL
) STRICT;
CREATE INDEX tasks_on_board ON tasks (project, deleted, priority, rank, id);
CREATE INDEX tasks_in_order ON tasks (deleted, priority, rank, id);
CREATE INDEX tasks_on_board_by_status ON tasks (project, status, deleted, priority, rank, id);
CREATE INDEX tasks_by_status ON tasks (status, deleted, priority, rank, id);
CREATE INDEX tasks_by_title ON tasks (title);
CREATE INDEX tasks_by_branch ON tasks (branch) WHERE branch IS NOT NULL;

CREATE TABLE task_dependencies (
    task       TEXT NOT NULL,
    depends_on TEXT NOT NULL,
    PRIMARY KEY (task, depends_on)
) STRICT, WITHOUT ROWID;
CREATE INDEX task_dependents ON task_dependencies (depends_on);

-- How many tasks a project has in each status; kept by the triggers below, so that a count never scans the tasks.
CREATE TABLE task_counts (
    project TEXT NOT NULL,
    status  TEXT NOT NULL,
    count   INTEGER NOT NULL,
    PRIMARY KEY (project, status)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER task_counted AFTER INSERT ON tasks WHEN new.deleted = 0 AND new.project IS NOT NULL BEGIN
    INSERT INTO task_counts VALUES (new.project, new.status, 1)
        ON CONFLICT DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER task_uncounted AFTER DELETE ON tasks WHEN old.deleted = 0 AND old.project IS NOT NULL BEGIN
    UPDATE task_counts SET count = count - 1 WHERE project = old.project AND status = old.status;
END;
CREATE TRIGGER task_recounted AFTER UPDATE ON tasks
WHEN old.status IS NOT new.status OR old.deleted IS NOT new.deleted OR old.project IS NOT new.project BEGIN
    UPDATE task_counts SET count = count - 1
        WHERE project = old.project AND status = old.status AND old.deleted = 0;
    INSERT INTO task_counts SELECT new.project, new.status, 1 WHERE new.deleted = 0 AND new.project IS NOT NULL
        ON CONFLICT DO UPDATE SET count = count + 1;
END;

CREATE TABLE sessions (
    id       TEXT PRIMARY KEY,
    project  TEXT,
    open     INTEGER NOT NULL,
    task     TEXT,
    branch   TEXT NOT NULL,
    tab_name TEXT NOT NULL,
    title    TEXT NOT NULL,
    claude   TEXT,                           -- the client's own id of the conversation
    snapshot TEXT,                           -- what keeps the work of its removed worktree
    created  INTEGER NOT NULL,
    state    TEXT NOT NULL
) STRICT;
CREATE INDEX sessions_open ON sessions (open, project, created, id);
CREATE INDEX sessions_of_project ON sessions (project, created, id);
CREATE INDEX sessions_by_branch ON sessions (branch);
CREATE INDEX sessions_by_tab ON sessions (tab_name);
CREATE INDEX sessions_by_title ON sessions (title);
CREATE INDEX sessions_by_claude ON sessions (claude) WHERE claude IS NOT NULL;
CREATE INDEX sessions_kept ON sessions (id) WHERE snapshot IS NOT NULL;

CREATE TABLE asks (
    id      TEXT PRIMARY KEY,
    session TEXT,
    open    INTEGER NOT NULL,
    since   INTEGER NOT NULL,
    state   TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX asks_open ON asks (session, since, id) WHERE open = 1;

CREATE TABLE messages (
    id      TEXT PRIMARY KEY,
    session TEXT,
    waiting INTEGER NOT NULL,
    queued  INTEGER NOT NULL,                -- with counter: the order of delivery
    counter INTEGER NOT NULL,
    state   TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX messages_waiting ON messages (session, queued, counter, id) WHERE waiting = 1;

-- Timelines: one row for each event that says something to people.
CREATE TABLE updates (
    local_id   INTEGER PRIMARY KEY,          -- of its event
    task       TEXT,
    session    TEXT,
    source     TEXT NOT NULL,
    level      TEXT NOT NULL,
    text       TEXT NOT NULL,
    wall_ms    INTEGER NOT NULL,
    counter    INTEGER NOT NULL
) STRICT;
CREATE INDEX updates_of_task ON updates (task, wall_ms, counter, local_id) WHERE task IS NOT NULL;
CREATE INDEX updates_of_session ON updates (session, wall_ms, counter, local_id) WHERE session IS NOT NULL;

-- What the world must still be asked to do. A finished row stays a while: its key keeps it from being done again.
CREATE TABLE outbox (
    id         INTEGER PRIMARY KEY,
    key        TEXT NOT NULL UNIQUE,
    effect     TEXT NOT NULL,
    state      TEXT NOT NULL,                -- pending, done, failed
    not_before INTEGER NOT NULL,
    attempts   INTEGER NOT NULL DEFAULT 0,
    why        TEXT,
    created    INTEGER NOT NULL,
    finished   INTEGER
) STRICT;
CREATE INDEX outbox_pending ON outbox (not_before, id) WHERE state = 'pending';
CREATE INDEX outbox_finished ON outbox (finished) WHERE finished IS NOT NULL;

-- The last telemetry of each session; may be lost, never in the log.
CREATE TABLE live (
    session TEXT PRIMARY KEY,
    at      INTEGER NOT NULL,
    state   TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Reports that were taken: one that comes again, from the spool or a retry, changes nothing.
CREATE TABLE seen_reports (
    id TEXT PRIMARY KEY,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX seen_reports_by_age ON seen_reports (at);

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
