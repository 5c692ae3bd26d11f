-- What a host's state says of its upkeep, apart from the state itself: overdue incidents are judged by it.
-- JSON; empty before the first state.
ALTER TABLE host ADD COLUMN upkeep TEXT COLLATE "C" NOT NULL DEFAULT '';
-- Whether it tells of anything that worked.
ALTER TABLE host ADD COLUMN proved BOOLEAN NOT NULL DEFAULT FALSE;
-- Since when a restart is awaited without a break.
ALTER TABLE host ADD COLUMN reboot_since_ms BIGINT;
-- When to look again for what is overdue; 0: at once.
ALTER TABLE host ADD COLUMN watch_ms BIGINT NOT NULL DEFAULT 0;
CREATE INDEX host_by_watch ON host (watch_ms, id);

-- Builds of Windows that the fleet has run, and since when: the revision of a line of builds.
CREATE TABLE build_seen (
    simulated BOOLEAN NOT NULL,
    branch    TEXT COLLATE "C" NOT NULL CHECK (length(branch) <= 64),
    revision  BIGINT NOT NULL,
    first_ms  BIGINT NOT NULL,
    PRIMARY KEY (simulated, branch, revision)
);

-- Failures that go by themselves, counted until they have lasted so long that they are an incident.
CREATE TABLE passing_failure (
    host_id   UUID NOT NULL REFERENCES host (id),
    product   TEXT COLLATE "C" NOT NULL,
    operation TEXT COLLATE "C" NOT NULL,
    code      TEXT COLLATE "C" NOT NULL CHECK (length(code) <= 80),
    subject   TEXT COLLATE "C" NOT NULL CHECK (length(subject) <= 512),
    symbol    TEXT COLLATE "C" NOT NULL CHECK (length(symbol) <= 128),
    message   TEXT COLLATE "C" NOT NULL CHECK (length(message) <= 1024),
    failures  BIGINT NOT NULL CHECK (failures >= 1),
    first_ms  BIGINT NOT NULL,
    last_ms   BIGINT NOT NULL,
    PRIMARY KEY (host_id, product, operation, code, subject)
);
CREATE INDEX passing_failure_by_age ON passing_failure (last_ms);

-- The incident of the update that replaced this one's, and that update in words.
ALTER TABLE incident ADD COLUMN successor_id UUID;
ALTER TABLE incident ADD COLUMN successor TEXT COLLATE "C" NOT NULL DEFAULT '';

-- More kinds of events.
ALTER TABLE host_event DROP CONSTRAINT host_event_kind_check;
ALTER TABLE host_event ADD CONSTRAINT host_event_kind_check
    CHECK (kind IN ('enrolled', 'lifecycle', 'labels', 'recovery', 'gap', 'overdue', 'superseded'));
