-- What a host's state says of its upkeep, apart from the state itself: overdue incidents are judged by it.
-- JSON; empty before the first state.
ALTER TABLE host ADD COLUMN upkeep TEXT NOT NULL DEFAULT '';
-- Whether it tells of anything that worked.
ALTER TABLE host ADD COLUMN proved INTEGER NOT NULL DEFAULT 0 CHECK (proved IN (0, 1));
-- Since when a restart is awaited without a break.
ALTER TABLE host ADD COLUMN reboot_since_ms INTEGER;
-- When to look again for what is overdue; 0: at once.
ALTER TABLE host ADD COLUMN watch_ms INTEGER NOT NULL DEFAULT 0;
CREATE INDEX host_by_watch ON host (watch_ms, id);

-- Builds of Windows that the fleet has run, and since when: the revision of a line of builds.
CREATE TABLE build_seen (
    simulated INTEGER NOT NULL CHECK (simulated IN (0, 1)),
    branch    TEXT    NOT NULL CHECK (length(branch) <= 64),
    revision  INTEGER NOT NULL,
    first_ms  INTEGER NOT NULL,
    PRIMARY KEY (simulated, branch, revision)
) STRICT;

-- Failures that go by themselves, counted until they have lasted so long that they are an incident.
CREATE TABLE passing_failure (
    host_id   BLOB    NOT NULL REFERENCES host (id),
    product   TEXT    NOT NULL,
    operation TEXT    NOT NULL,
    code      TEXT    NOT NULL CHECK (length(code) <= 80),
    subject   TEXT    NOT NULL CHECK (length(subject) <= 512),
    symbol    TEXT    NOT NULL CHECK (length(symbol) <= 128),
    message   TEXT    NOT NULL CHECK (length(message) <= 1024),
    failures  INTEGER NOT NULL CHECK (failures >= 1),
    first_ms  INTEGER NOT NULL,
    last_ms   INTEGER NOT NULL,
    PRIMARY KEY (host_id, product, operation, code, subject)
) STRICT;
CREATE INDEX passing_failure_by_age ON passing_failure (last_ms);

-- The incident of the update that replaced this one's, and that update in words.
ALTER TABLE incident ADD COLUMN successor_id BLOB;
ALTER TABLE incident ADD COLUMN successor TEXT NOT NULL DEFAULT '';

-- More kinds of events.
CREATE TABLE host_event_new (
    host_id BLOB    NOT NULL REFERENCES host (id),
    number  INTEGER NOT NULL,
    at_ms   INTEGER NOT NULL,
    kind    TEXT    NOT NULL CHECK (kind IN ('enrolled', 'lifecycle', 'labels', 'recovery', 'gap', 'overdue', 'superseded')),
    text    TEXT    NOT NULL,
    PRIMARY KEY (host_id, number)
) STRICT;
INSERT INTO host_event_new SELECT host_id, number, at_ms, kind, text FROM host_event;
DROP TABLE host_event;
ALTER TABLE host_event_new RENAME TO host_event;
CREATE INDEX host_event_by_time ON host_event (host_id, at_ms, number);
CREATE INDEX host_event_by_age ON host_event (at_ms);
