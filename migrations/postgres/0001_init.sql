-- The first schema. Ids are UUIDs, times are milliseconds since 1970-01-01T00:00:00Z, JSON is text (it is
-- read as it was written: hashes cover it), enums are short words with a CHECK. Texts compare by their
-- bytes, and lower case is that of ASCII, as on SQLite. Where a failure has no code or subject, the
-- column holds the empty text, so that keys compare without NULLs.

CREATE TABLE enrollment_token (
    id            UUID NOT NULL PRIMARY KEY,
    name          TEXT COLLATE "C" NOT NULL,
    kind          TEXT COLLATE "C" NOT NULL CHECK (kind IN ('one_use', 'deployment')),
    secret_hash   BYTEA NOT NULL UNIQUE,
    uses_max      BIGINT NOT NULL CHECK (uses_max >= 1),
    uses          BIGINT NOT NULL DEFAULT 0 CHECK (uses >= 0 AND uses <= uses_max),
    expires_ms    BIGINT NOT NULL,
    labels        TEXT COLLATE "C" NOT NULL,
    networks      TEXT COLLATE "C" NOT NULL,
    created_by    TEXT COLLATE "C" NOT NULL,
    created_ms    BIGINT NOT NULL,
    revoked_ms    BIGINT
);

CREATE TABLE host (
    id                UUID NOT NULL PRIMARY KEY,
    name              TEXT COLLATE "C" NOT NULL CHECK (length(name) <= 255),
    os                TEXT COLLATE "C" NOT NULL CHECK (os IN ('windows', 'linux')),
    os_name           TEXT COLLATE "C" NOT NULL,
    os_build          TEXT COLLATE "C" NOT NULL,
    arch              TEXT COLLATE "C" NOT NULL,
    agent_version     TEXT COLLATE "C" NOT NULL,
    boot_id           TEXT COLLATE "C" NOT NULL,
    simulated         BOOLEAN NOT NULL,
    lifecycle         TEXT COLLATE "C" NOT NULL CHECK (lifecycle IN ('pending', 'active', 'stale', 'quarantined', 'revoked', 'retired')),
    lifecycle_reason  TEXT COLLATE "C" NOT NULL,
    lifecycle_ms      BIGINT NOT NULL,
    token_id          UUID REFERENCES enrollment_token (id),
    enrolled_ms       BIGINT NOT NULL,
    last_seen_ms      BIGINT NOT NULL,
    -- The highest counter of an order ever given to, or claimed by, this host.
    order_counter     BIGINT NOT NULL DEFAULT 0,
    -- Items that the agent lost before it could send them, and those the server set aside.
    lost_items        BIGINT NOT NULL DEFAULT 0,
    lost_reason       TEXT COLLATE "C" NOT NULL DEFAULT '',
    quarantined_items BIGINT NOT NULL DEFAULT 0,
    state             TEXT COLLATE "C",
    state_ms          BIGINT,
    ceiling           TEXT COLLATE "C" NOT NULL DEFAULT '',
    -- The labels as JSON; host_label holds the same, for filters.
    labels            TEXT COLLATE "C" NOT NULL
);
CREATE INDEX host_by_name ON host (name, id);
CREATE INDEX host_by_silence ON host (lifecycle, last_seen_ms, id);
CREATE INDEX host_by_lifecycle ON host (lifecycle, simulated);

CREATE TABLE host_label (
    host_id UUID NOT NULL REFERENCES host (id),
    key     TEXT COLLATE "C" NOT NULL,
    value   TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (host_id, key)
);
CREATE INDEX host_label_by_value ON host_label (key, value, host_id);

CREATE TABLE host_certificate (
    serial         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    host_id        UUID NOT NULL REFERENCES host (id),
    -- The DER of the SubjectPublicKeyInfo.
    public_key     BYTEA NOT NULL,
    not_before_ms  BIGINT NOT NULL,
    not_after_ms   BIGINT NOT NULL,
    issued_ms      BIGINT NOT NULL,
    revoked_ms     BIGINT,
    revoked_reason TEXT COLLATE "C" NOT NULL DEFAULT ''
);
CREATE INDEX host_certificate_by_host ON host_certificate (host_id, issued_ms);
-- Enrolment refuses a key that is known.
CREATE INDEX host_certificate_by_key ON host_certificate (public_key);

-- What happened to a host besides its failures and jobs: enrolment, changes of its life, recoveries,
-- gaps.
CREATE TABLE host_event (
    host_id UUID NOT NULL REFERENCES host (id),
    number  BIGINT NOT NULL,
    at_ms   BIGINT NOT NULL,
    kind    TEXT COLLATE "C" NOT NULL CHECK (kind IN ('enrolled', 'lifecycle', 'labels', 'recovery', 'gap')),
    text    TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (host_id, number)
);
CREATE INDEX host_event_by_time ON host_event (host_id, at_ms, number);

-- How far each spool of a host was taken.
CREATE TABLE spool_position (
    host_id    UUID NOT NULL REFERENCES host (id),
    epoch      UUID NOT NULL,
    sequence   BIGINT NOT NULL CHECK (sequence >= 0),
    updated_ms BIGINT NOT NULL,
    PRIMARY KEY (host_id, epoch)
);

CREATE TABLE incident (
    id               UUID NOT NULL PRIMARY KEY,
    host_id          UUID NOT NULL REFERENCES host (id),
    product          TEXT COLLATE "C" NOT NULL CHECK (product IN ('windows_update', 'servicing', 'windows_backup', 'system_image', 'vss', 'system_restore', 'upgrade', 'store_apps', 'bits', 'apt', 'dnf', 'zypper', 'systemd', 'restic', 'borg', 'rsync', 'agent', 'other')),
    operation        TEXT COLLATE "C" NOT NULL CHECK (operation IN ('scan', 'download', 'install', 'uninstall', 'backup', 'restore', 'snapshot', 'upgrade', 'repair', 'verify', 'check', 'other')),
    code             TEXT COLLATE "C" NOT NULL CHECK (length(code) <= 80),
    subject          TEXT COLLATE "C" NOT NULL CHECK (length(subject) <= 512),
    symbol           TEXT COLLATE "C" NOT NULL CHECK (length(symbol) <= 128),
    message          TEXT COLLATE "C" NOT NULL CHECK (length(message) <= 1024),
    state            TEXT COLLATE "C" NOT NULL CHECK (state IN ('open', 'remediating', 'verifying', 'fixed', 'resolved', 'superseded', 'recurred', 'ignored')),
    opened_ms        BIGINT NOT NULL,
    first_seen_ms    BIGINT NOT NULL,
    last_seen_ms     BIGINT NOT NULL,
    -- When the host was seen healthy while a job was still at work.
    recovered_ms     BIGINT,
    -- Set with fixed, resolved and superseded; the host's own time of it.
    ended_ms         BIGINT,
    reports          BIGINT NOT NULL,
    previous_id      UUID,
    -- Triage is due while wanted is above done.
    triage_wanted    BIGINT NOT NULL DEFAULT 1,
    triage_done      BIGINT NOT NULL DEFAULT 0,
    verdict          TEXT COLLATE "C",
    -- Empty while no named cause leads.
    cause            TEXT COLLATE "C" NOT NULL DEFAULT '',
    share            DOUBLE PRECISION NOT NULL DEFAULT 0,
    certainty        TEXT COLLATE "C" NOT NULL DEFAULT '' CHECK (certainty IN ('', 'confirmed', 'likely', 'possible', 'ruled_out')),
    ignored_reason   TEXT COLLATE "C" NOT NULL DEFAULT '',
    ignored_owner    TEXT COLLATE "C" NOT NULL DEFAULT '',
    ignored_until_ms BIGINT
);
-- At most one live incident a key; also the target of the ingest upsert.
CREATE UNIQUE INDEX incident_live ON incident (host_id, product, operation, code, subject) WHERE ended_ms IS NULL;
CREATE INDEX incident_ended ON incident (host_id, product, operation, code, subject, ended_ms) WHERE ended_ms IS NOT NULL;
CREATE INDEX incident_by_seen ON incident (last_seen_ms, id);
CREATE INDEX incident_by_problem ON incident (cause, code, product, operation) WHERE ended_ms IS NULL;
CREATE INDEX incident_untriaged ON incident (id) WHERE triage_wanted > triage_done AND ended_ms IS NULL;
CREATE INDEX incident_by_opened ON incident (opened_ms);
CREATE INDEX incident_fixed ON incident (ended_ms) WHERE state = 'fixed';
CREATE INDEX incident_ignored ON incident (ignored_until_ms) WHERE state = 'ignored';

-- In parts by the day received, so that old days are dropped whole. There is no part for days that have
-- none: what it gathered would stand in the way of their own. The store makes each part ahead, and
-- before it writes the first report of a day.
CREATE TABLE report (
    id           UUID NOT NULL,
    received_day BIGINT NOT NULL,
    received_ms  BIGINT NOT NULL,
    host_id      UUID NOT NULL,
    incident_id  UUID,
    -- The day that the report counts for in the roll-ups.
    day          BIGINT NOT NULL,
    at_ms        BIGINT NOT NULL,
    source_time  TEXT COLLATE "C" NOT NULL,
    product      TEXT COLLATE "C" NOT NULL CHECK (product IN ('windows_update', 'servicing', 'windows_backup', 'system_image', 'vss', 'system_restore', 'upgrade', 'store_apps', 'bits', 'apt', 'dnf', 'zypper', 'systemd', 'restic', 'borg', 'rsync', 'agent', 'other')),
    operation    TEXT COLLATE "C" NOT NULL CHECK (operation IN ('scan', 'download', 'install', 'uninstall', 'backup', 'restore', 'snapshot', 'upgrade', 'repair', 'verify', 'check', 'other')),
    code         TEXT COLLATE "C" NOT NULL CHECK (length(code) <= 80),
    symbol       TEXT COLLATE "C" NOT NULL CHECK (length(symbol) <= 128),
    kind         TEXT COLLATE "C" NOT NULL CHECK (kind IN ('failure', 'pending', 'benign', 'cancelled', 'success')),
    subject      TEXT COLLATE "C" NOT NULL CHECK (length(subject) <= 512),
    source       TEXT COLLATE "C" NOT NULL CHECK (source IN ('evtx', 'cbs', 'windowsupdate', 'reportingevents', 'dism', 'setup', 'apt', 'dpkg', 'systemd', 'probe', 'job')),
    provider     TEXT COLLATE "C" CHECK (length(provider) <= 255),
    event_id     BIGINT,
    record_id    BIGINT,
    line         BIGINT,
    things       BIGINT,
    message      TEXT COLLATE "C" NOT NULL CHECK (length(message) <= 1024),
    evidence     TEXT COLLATE "C",
    PRIMARY KEY (id, received_day)
) PARTITION BY RANGE (received_day);
CREATE INDEX report_by_host ON report (host_id, at_ms, id);
CREATE INDEX report_by_time ON report (at_ms, id);
CREATE INDEX report_by_incident ON report (incident_id, at_ms, id) WHERE incident_id IS NOT NULL;

CREATE TABLE report_day (
    day       BIGINT NOT NULL,
    product   TEXT COLLATE "C" NOT NULL,
    operation TEXT COLLATE "C" NOT NULL,
    code      TEXT COLLATE "C" NOT NULL,
    reports   BIGINT NOT NULL,
    PRIMARY KEY (day, product, operation, code)
);

-- The latest answer of each probe on each host.
CREATE TABLE evidence (
    host_id UUID NOT NULL REFERENCES host (id),
    probe   TEXT COLLATE "C" NOT NULL CHECK (length(probe) <= 80),
    id      UUID NOT NULL,
    answer  TEXT COLLATE "C" NOT NULL CHECK (answer IN ('yes', 'no', 'unknown')),
    proof   TEXT COLLATE "C" NOT NULL CHECK (length(proof) <= 2048),
    value   TEXT COLLATE "C" CHECK (length(value) <= 1024),
    at_ms   BIGINT NOT NULL,
    PRIMARY KEY (host_id, probe)
);

CREATE TABLE job (
    id               UUID NOT NULL PRIMARY KEY,
    host_id          UUID NOT NULL REFERENCES host (id),
    incident_id      UUID NOT NULL REFERENCES incident (id),
    cause            TEXT COLLATE "C" NOT NULL,
    remediation      TEXT COLLATE "C" NOT NULL,
    version          BIGINT NOT NULL,
    digest           TEXT COLLATE "C" NOT NULL,
    evidence_ids     TEXT COLLATE "C" NOT NULL,
    state            TEXT COLLATE "C" NOT NULL CHECK (state IN ('queued', 'waiting_window', 'blocked', 'offered', 'running', 'reboot_pending', 'rebooting', 'verifying', 'fixed', 'unverified', 'failed', 'rolled_back', 'timed_out', 'not_reached', 'unknown', 'not_applicable', 'skipped', 'cancelled')),
    detail           TEXT COLLATE "C" NOT NULL,
    proof            TEXT COLLATE "C" NOT NULL DEFAULT '' CHECK (proof IN ('', 'repeated', 'observed', 'probe_only')),
    attempt          BIGINT NOT NULL,
    created_by       TEXT COLLATE "C" NOT NULL,
    reason           TEXT COLLATE "C" NOT NULL,
    created_ms       BIGINT NOT NULL,
    -- The time that its steps may take in all, and how long a proof may be awaited.
    steps_ms         BIGINT NOT NULL,
    verify_ms        BIGINT NOT NULL,
    not_before_ms    BIGINT NOT NULL,
    expires_ms       BIGINT NOT NULL,
    counter          BIGINT,
    offered_ms       BIGINT,
    begun_ms         BIGINT,
    -- When the server last heard of it.
    news_ms          BIGINT NOT NULL,
    ended_ms         BIGINT,
    cancel_requested BOOLEAN NOT NULL DEFAULT FALSE,
    relapsed_ms      BIGINT,
    log_pieces       BIGINT NOT NULL DEFAULT 0,
    log_dropped      BIGINT NOT NULL DEFAULT 0
);
-- At most one active job a host.
CREATE UNIQUE INDEX job_active ON job (host_id) WHERE ended_ms IS NULL;
CREATE INDEX job_by_host ON job (host_id, created_ms, id);
CREATE INDEX job_by_incident ON job (incident_id, created_ms, id);
CREATE INDEX job_by_created ON job (created_ms, id);
CREATE INDEX job_due ON job (state, expires_ms) WHERE ended_ms IS NULL;

CREATE TABLE job_attempt (
    job_id     UUID NOT NULL REFERENCES job (id),
    attempt    BIGINT NOT NULL,
    counter    BIGINT NOT NULL,
    offered_ms BIGINT NOT NULL,
    begun_ms   BIGINT,
    ended_ms   BIGINT,
    state      TEXT COLLATE "C" NOT NULL,
    detail     TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (job_id, attempt)
);

CREATE TABLE job_step (
    job_id         UUID NOT NULL REFERENCES job (id),
    attempt        BIGINT NOT NULL,
    step           BIGINT NOT NULL CHECK (step >= 0 AND step < 64),
    title          TEXT COLLATE "C" NOT NULL CHECK (length(title) <= 512),
    state          TEXT COLLATE "C" NOT NULL CHECK (state IN ('running', 'already_done', 'done', 'failed', 'undone', 'undo_failed', 'unknown')),
    exit_status    BIGINT,
    detail         TEXT COLLATE "C" NOT NULL CHECK (length(detail) <= 2048),
    output_dropped BIGINT NOT NULL,
    started_ms     BIGINT NOT NULL,
    updated_ms     BIGINT NOT NULL,
    PRIMARY KEY (job_id, attempt, step)
);

CREATE TABLE job_log (
    job_id   UUID NOT NULL REFERENCES job (id),
    attempt  BIGINT NOT NULL,
    step     BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    -- The piece's place in the order of arrival over the whole job, from 1: what a reader follows.
    arrival  BIGINT NOT NULL,
    at_ms    BIGINT NOT NULL,
    text     TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (job_id, attempt, step, sequence)
);
CREATE UNIQUE INDEX job_log_by_arrival ON job_log (job_id, arrival);

-- Items that the database refused: set aside with the reason, acknowledged, and counted.
CREATE TABLE quarantine (
    -- The order of arrival, drawn by the database.
    number   BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    host_id  UUID NOT NULL REFERENCES host (id),
    epoch    UUID NOT NULL,
    sequence BIGINT NOT NULL,
    at_ms    BIGINT NOT NULL,
    reason   TEXT COLLATE "C" NOT NULL,
    item     TEXT COLLATE "C" NOT NULL
);
CREATE UNIQUE INDEX quarantine_by_place ON quarantine (host_id, epoch, sequence);

CREATE TABLE api_token (
    id           UUID NOT NULL PRIMARY KEY,
    name         TEXT COLLATE "C" NOT NULL,
    role         TEXT COLLATE "C" NOT NULL CHECK (role IN ('viewer', 'auditor', 'operator', 'admin')),
    secret_hash  BYTEA NOT NULL UNIQUE,
    created_by   TEXT COLLATE "C" NOT NULL,
    created_ms   BIGINT NOT NULL,
    expires_ms   BIGINT,
    last_used_ms BIGINT,
    revoked_ms   BIGINT
);
CREATE INDEX api_token_by_created ON api_token (created_ms, id);

CREATE TABLE web_session (
    id           UUID NOT NULL PRIMARY KEY,
    secret_hash  BYTEA NOT NULL UNIQUE,
    api_token_id UUID NOT NULL REFERENCES api_token (id),
    created_ms   BIGINT NOT NULL,
    expires_ms   BIGINT NOT NULL
);
CREATE INDEX web_session_by_expiry ON web_session (expires_ms);

-- Each row's hash covers the row and the hash before it.
CREATE TABLE audit (
    sequence BIGINT NOT NULL PRIMARY KEY,
    at_ms    BIGINT NOT NULL,
    actor    TEXT COLLATE "C" NOT NULL,
    action   TEXT COLLATE "C" NOT NULL,
    subject  TEXT COLLATE "C" NOT NULL,
    detail   TEXT COLLATE "C" NOT NULL,
    previous BYTEA NOT NULL,
    hash     BYTEA NOT NULL UNIQUE
);

-- Single values, such as the version of the catalogue that last judged the incidents.
CREATE TABLE setting (
    name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value TEXT COLLATE "C" NOT NULL
);
