-- The first schema. Ids are UUIDs (16 bytes), times are milliseconds since 1970-01-01T00:00:00Z,
-- JSON is text, enums are short words with a CHECK. Where a failure has no code or subject, the
-- column holds the empty text, so that keys compare without NULLs.

CREATE TABLE enrollment_token (
    id            BLOB    NOT NULL PRIMARY KEY,
    name          TEXT    NOT NULL,
    kind          TEXT    NOT NULL CHECK (kind IN ('one_use', 'deployment')),
    secret_hash   BLOB    NOT NULL UNIQUE,
    uses_max      INTEGER NOT NULL CHECK (uses_max >= 1),
    uses          INTEGER NOT NULL DEFAULT 0 CHECK (uses >= 0 AND uses <= uses_max),
    expires_ms    INTEGER NOT NULL,
    labels        TEXT    NOT NULL,
    networks      TEXT    NOT NULL,
    created_by    TEXT    NOT NULL,
    created_ms    INTEGER NOT NULL,
    revoked_ms    INTEGER
) STRICT;

CREATE TABLE host (
    id                BLOB    NOT NULL PRIMARY KEY,
    name              TEXT    NOT NULL CHECK (length(name) <= 255),
    os                TEXT    NOT NULL CHECK (os IN ('windows', 'linux')),
    os_name           TEXT    NOT NULL,
    os_build          TEXT    NOT NULL,
    arch              TEXT    NOT NULL,
    agent_version     TEXT    NOT NULL,
    boot_id           TEXT    NOT NULL,
    simulated         INTEGER NOT NULL CHECK (simulated IN (0, 1)),
    lifecycle         TEXT    NOT NULL CHECK (lifecycle IN ('pending', 'active', 'stale', 'quarantined', 'revoked', 'retired')),
    lifecycle_reason  TEXT    NOT NULL,
    lifecycle_ms      INTEGER NOT NULL,
    token_id          BLOB    REFERENCES enrollment_token (id),
    enrolled_ms       INTEGER NOT NULL,
    last_seen_ms      INTEGER NOT NULL,
    -- The highest counter of an order ever given to, or claimed by, this host.
    order_counter     INTEGER NOT NULL DEFAULT 0,
    -- Items that the agent lost before it could send them, and those the server set aside.
    lost_items        INTEGER NOT NULL DEFAULT 0,
    lost_reason       TEXT    NOT NULL DEFAULT '',
    quarantined_items INTEGER NOT NULL DEFAULT 0,
    state             TEXT,
    state_ms          INTEGER,
    ceiling           TEXT    NOT NULL DEFAULT '',
    -- The labels as JSON; host_label holds the same, for filters.
    labels            TEXT    NOT NULL
) STRICT;
CREATE INDEX host_by_name ON host (name, id);
CREATE INDEX host_by_silence ON host (lifecycle, last_seen_ms, id);
CREATE INDEX host_by_lifecycle ON host (lifecycle, simulated);

CREATE TABLE host_label (
    host_id BLOB NOT NULL REFERENCES host (id),
    key     TEXT NOT NULL,
    value   TEXT NOT NULL,
    PRIMARY KEY (host_id, key)
) STRICT;
CREATE INDEX host_label_by_value ON host_label (key, value, host_id);

CREATE TABLE host_certificate (
    serial         TEXT    NOT NULL PRIMARY KEY,
    host_id        BLOB    NOT NULL REFERENCES host (id),
    -- The DER of the SubjectPublicKeyInfo.
    public_key     BLOB    NOT NULL,
    not_before_ms  INTEGER NOT NULL,
    not_after_ms   INTEGER NOT NULL,
    issued_ms      INTEGER NOT NULL,
    revoked_ms     INTEGER,
    revoked_reason TEXT    NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX host_certificate_by_host ON host_certificate (host_id, issued_ms);
-- Enrolment refuses a key that is known.
CREATE INDEX host_certificate_by_key ON host_certificate (public_key);

-- What happened to a host besides its failures and jobs: enrolment, changes of its life, recoveries,
-- gaps.
CREATE TABLE host_event (
    host_id BLOB    NOT NULL REFERENCES host (id),
    number  INTEGER NOT NULL,
    at_ms   INTEGER NOT NULL,
    kind    TEXT    NOT NULL CHECK (kind IN ('enrolled', 'lifecycle', 'labels', 'recovery', 'gap')),
    text    TEXT    NOT NULL,
    PRIMARY KEY (host_id, number)
) STRICT;
CREATE INDEX host_event_by_time ON host_event (host_id, at_ms, number);

-- How far each spool of a host was taken.
CREATE TABLE spool_position (
    host_id    BLOB    NOT NULL REFERENCES host (id),
    epoch      BLOB    NOT NULL,
    sequence   INTEGER NOT NULL CHECK (sequence >= 0),
    updated_ms INTEGER NOT NULL,
    PRIMARY KEY (host_id, epoch)
) STRICT;

CREATE TABLE incident (
    id               BLOB    NOT NULL PRIMARY KEY,
    host_id          BLOB    NOT NULL REFERENCES host (id),
    product          TEXT    NOT NULL CHECK (product IN ('windows_update', 'servicing', 'windows_backup', 'system_image', 'vss', 'system_restore', 'upgrade', 'store_apps', 'bits', 'apt', 'dnf', 'zypper', 'systemd', 'restic', 'borg', 'rsync', 'agent', 'other')),
    operation        TEXT    NOT NULL CHECK (operation IN ('scan', 'download', 'install', 'uninstall', 'backup', 'restore', 'snapshot', 'upgrade', 'repair', 'verify', 'check', 'other')),
    code             TEXT    NOT NULL CHECK (length(code) <= 80),
    subject          TEXT    NOT NULL CHECK (length(subject) <= 512),
    symbol           TEXT    NOT NULL CHECK (length(symbol) <= 128),
    message          TEXT    NOT NULL CHECK (length(message) <= 1024),
    state            TEXT    NOT NULL CHECK (state IN ('open', 'remediating', 'verifying', 'fixed', 'resolved', 'superseded', 'recurred', 'ignored')),
    opened_ms        INTEGER NOT NULL,
    first_seen_ms    INTEGER NOT NULL,
    last_seen_ms     INTEGER NOT NULL,
    -- When the host was seen healthy while a job was still at work.
    recovered_ms     INTEGER,
    -- Set with fixed, resolved and superseded; the host's own time of it.
    ended_ms         INTEGER,
    reports          INTEGER NOT NULL,
    previous_id      BLOB,
    -- Triage is due while wanted is above done.
    triage_wanted    INTEGER NOT NULL DEFAULT 1,
    triage_done      INTEGER NOT NULL DEFAULT 0,
    verdict          TEXT,
    -- Empty while no named cause leads.
    cause            TEXT    NOT NULL DEFAULT '',
    share            REAL    NOT NULL DEFAULT 0,
    certainty        TEXT    NOT NULL DEFAULT '' CHECK (certainty IN ('', 'confirmed', 'likely', 'possible', 'ruled_out')),
    ignored_reason   TEXT    NOT NULL DEFAULT '',
    ignored_owner    TEXT    NOT NULL DEFAULT '',
    ignored_until_ms INTEGER
) STRICT;
-- At most one live incident a key; also the target of the ingest upsert.
CREATE UNIQUE INDEX incident_live ON incident (host_id, product, operation, code, subject) WHERE ended_ms IS NULL;
CREATE INDEX incident_ended ON incident (host_id, product, operation, code, subject, ended_ms) WHERE ended_ms IS NOT NULL;
CREATE INDEX incident_by_seen ON incident (last_seen_ms, id);
CREATE INDEX incident_by_problem ON incident (cause, code, product, operation) WHERE ended_ms IS NULL;
CREATE INDEX incident_untriaged ON incident (id) WHERE triage_wanted > triage_done AND ended_ms IS NULL;
CREATE INDEX incident_by_opened ON incident (opened_ms);
CREATE INDEX incident_fixed ON incident (ended_ms) WHERE state = 'fixed';
CREATE INDEX incident_ignored ON incident (ignored_until_ms) WHERE state = 'ignored';

-- No unique key beyond the id: Postgres partitions this table by the day received.
CREATE TABLE report (
    id           BLOB    NOT NULL,
    received_day INTEGER NOT NULL,
    received_ms  INTEGER NOT NULL,
    host_id      BLOB    NOT NULL,
    incident_id  BLOB,
    -- The day that the report counts for in the roll-ups.
    day          INTEGER NOT NULL,
    at_ms        INTEGER NOT NULL,
    source_time  TEXT    NOT NULL,
    product      TEXT    NOT NULL CHECK (product IN ('windows_update', 'servicing', 'windows_backup', 'system_image', 'vss', 'system_restore', 'upgrade', 'store_apps', 'bits', 'apt', 'dnf', 'zypper', 'systemd', 'restic', 'borg', 'rsync', 'agent', 'other')),
    operation    TEXT    NOT NULL CHECK (operation IN ('scan', 'download', 'install', 'uninstall', 'backup', 'restore', 'snapshot', 'upgrade', 'repair', 'verify', 'check', 'other')),
    code         TEXT    NOT NULL CHECK (length(code) <= 80),
    symbol       TEXT    NOT NULL CHECK (length(symbol) <= 128),
    kind         TEXT    NOT NULL CHECK (kind IN ('failure', 'pending', 'benign', 'cancelled', 'success')),
    subject      TEXT    NOT NULL CHECK (length(subject) <= 512),
    source       TEXT    NOT NULL CHECK (source IN ('evtx', 'cbs', 'windowsupdate', 'reportingevents', 'dism', 'setup', 'apt', 'dpkg', 'systemd', 'probe', 'job')),
    provider     TEXT    CHECK (length(provider) <= 255),
    event_id     INTEGER,
    record_id    INTEGER,
    line         INTEGER,
    things       INTEGER,
    message      TEXT    NOT NULL CHECK (length(message) <= 1024),
    evidence     TEXT,
    PRIMARY KEY (id, received_day)
) STRICT;
CREATE INDEX report_by_host ON report (host_id, at_ms, id);
CREATE INDEX report_by_time ON report (at_ms, id);
CREATE INDEX report_by_incident ON report (incident_id, at_ms, id) WHERE incident_id IS NOT NULL;

CREATE TABLE report_day (
    day       INTEGER NOT NULL,
    product   TEXT    NOT NULL,
    operation TEXT    NOT NULL,
    code      TEXT    NOT NULL,
    reports   INTEGER NOT NULL,
    PRIMARY KEY (day, product, operation, code)
) STRICT;

-- The latest answer of each probe on each host.
CREATE TABLE evidence (
    host_id BLOB    NOT NULL REFERENCES host (id),
    probe   TEXT    NOT NULL CHECK (length(probe) <= 80),
    id      BLOB    NOT NULL,
    answer  TEXT    NOT NULL CHECK (answer IN ('yes', 'no', 'unknown')),
    proof   TEXT    NOT NULL CHECK (length(proof) <= 2048),
    value   TEXT    CHECK (length(value) <= 1024),
    at_ms   INTEGER NOT NULL,
    PRIMARY KEY (host_id, probe)
) STRICT;

CREATE TABLE job (
    id               BLOB    NOT NULL PRIMARY KEY,
    host_id          BLOB    NOT NULL REFERENCES host (id),
    incident_id      BLOB    NOT NULL REFERENCES incident (id),
    cause            TEXT    NOT NULL,
    remediation      TEXT    NOT NULL,
    version          INTEGER NOT NULL,
    digest           TEXT    NOT NULL,
    evidence_ids     TEXT    NOT NULL,
    state            TEXT    NOT NULL CHECK (state IN ('queued', 'waiting_window', 'blocked', 'offered', 'running', 'reboot_pending', 'rebooting', 'verifying', 'fixed', 'unverified', 'failed', 'rolled_back', 'timed_out', 'not_reached', 'unknown', 'not_applicable', 'skipped', 'cancelled')),
    detail           TEXT    NOT NULL,
    proof            TEXT    NOT NULL DEFAULT '' CHECK (proof IN ('', 'repeated', 'observed', 'probe_only')),
    attempt          INTEGER NOT NULL,
    created_by       TEXT    NOT NULL,
    reason           TEXT    NOT NULL,
    created_ms       INTEGER NOT NULL,
    -- The time that its steps may take in all, and how long a proof may be awaited.
    steps_ms         INTEGER NOT NULL,
    verify_ms        INTEGER NOT NULL,
    not_before_ms    INTEGER NOT NULL,
    expires_ms       INTEGER NOT NULL,
    counter          INTEGER,
    offered_ms       INTEGER,
    begun_ms         INTEGER,
    -- When the server last heard of it.
    news_ms          INTEGER NOT NULL,
    ended_ms         INTEGER,
    cancel_requested INTEGER NOT NULL DEFAULT 0 CHECK (cancel_requested IN (0, 1)),
    relapsed_ms      INTEGER,
    log_pieces       INTEGER NOT NULL DEFAULT 0,
    log_dropped      INTEGER NOT NULL DEFAULT 0
) STRICT;
-- At most one active job a host.
CREATE UNIQUE INDEX job_active ON job (host_id) WHERE ended_ms IS NULL;
CREATE INDEX job_by_host ON job (host_id, created_ms, id);
CREATE INDEX job_by_incident ON job (incident_id, created_ms, id);
CREATE INDEX job_by_created ON job (created_ms, id);
CREATE INDEX job_due ON job (state, expires_ms) WHERE ended_ms IS NULL;

CREATE TABLE job_attempt (
    job_id     BLOB    NOT NULL REFERENCES job (id),
    attempt    INTEGER NOT NULL,
    counter    INTEGER NOT NULL,
    offered_ms INTEGER NOT NULL,
    begun_ms   INTEGER,
    ended_ms   INTEGER,
    state      TEXT    NOT NULL,
    detail     TEXT    NOT NULL,
    PRIMARY KEY (job_id, attempt)
) STRICT;

CREATE TABLE job_step (
    job_id         BLOB    NOT NULL REFERENCES job (id),
    attempt        INTEGER NOT NULL,
    step           INTEGER NOT NULL CHECK (step >= 0 AND step < 64),
    title          TEXT    NOT NULL CHECK (length(title) <= 512),
    state          TEXT    NOT NULL CHECK (state IN ('running', 'already_done', 'done', 'failed', 'undone', 'undo_failed', 'unknown')),
    exit_status    INTEGER,
    detail         TEXT    NOT NULL CHECK (length(detail) <= 2048),
    output_dropped INTEGER NOT NULL,
    started_ms     INTEGER NOT NULL,
    updated_ms     INTEGER NOT NULL,
    PRIMARY KEY (job_id, attempt, step)
) STRICT;

CREATE TABLE job_log (
    job_id   BLOB    NOT NULL REFERENCES job (id),
    attempt  INTEGER NOT NULL,
    step     INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    -- The piece's place in the order of arrival over the whole job, from 1: what a reader follows.
    arrival  INTEGER NOT NULL,
    at_ms    INTEGER NOT NULL,
    text     TEXT    NOT NULL,
    PRIMARY KEY (job_id, attempt, step, sequence)
) STRICT;
CREATE UNIQUE INDEX job_log_by_arrival ON job_log (job_id, arrival);

-- Items that the database refused: set aside with the reason, acknowledged, and counted.
CREATE TABLE quarantine (
    -- The order of arrival, drawn by the database.
    number   INTEGER NOT NULL PRIMARY KEY,
    host_id  BLOB    NOT NULL REFERENCES host (id),
    epoch    BLOB    NOT NULL,
    sequence INTEGER NOT NULL,
    at_ms    INTEGER NOT NULL,
    reason   TEXT    NOT NULL,
    item     TEXT    NOT NULL
) STRICT;
CREATE UNIQUE INDEX quarantine_by_place ON quarantine (host_id, epoch, sequence);

CREATE TABLE api_token (
    id           BLOB    NOT NULL PRIMARY KEY,
    name         TEXT    NOT NULL,
    role         TEXT    NOT NULL CHECK (role IN ('viewer', 'auditor', 'operator', 'admin')),
    secret_hash  BLOB    NOT NULL UNIQUE,
    created_by   TEXT    NOT NULL,
    created_ms   INTEGER NOT NULL,
    expires_ms   INTEGER,
    last_used_ms INTEGER,
    revoked_ms   INTEGER
) STRICT;
CREATE INDEX api_token_by_created ON api_token (created_ms, id);

CREATE TABLE web_session (
    id           BLOB    NOT NULL PRIMARY KEY,
    secret_hash  BLOB    NOT NULL UNIQUE,
    api_token_id BLOB    NOT NULL REFERENCES api_token (id),
    created_ms   INTEGER NOT NULL,
    expires_ms   INTEGER NOT NULL
) STRICT;
CREATE INDEX web_session_by_expiry ON web_session (expires_ms);

-- Each row's hash covers the row and the hash before it.
CREATE TABLE audit (
    sequence INTEGER NOT NULL PRIMARY KEY,
    at_ms    INTEGER NOT NULL,
    actor    TEXT    NOT NULL,
    action   TEXT    NOT NULL,
    subject  TEXT    NOT NULL,
    detail   TEXT    NOT NULL,
    previous BLOB    NOT NULL,
    hash     BLOB    NOT NULL UNIQUE
) STRICT;

-- Single values, such as the version of the catalogue that last judged the incidents.
CREATE TABLE setting (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
