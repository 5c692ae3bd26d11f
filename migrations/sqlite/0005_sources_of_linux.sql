-- The logs of dnf and zypper are sources too. SQLite changes no check of a column: the table is written anew.
CREATE TABLE report_new (
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
    source       TEXT    NOT NULL CHECK (source IN ('evtx', 'cbs', 'windowsupdate', 'reportingevents', 'dism', 'setup', 'apt', 'dpkg', 'dnf', 'zypper', 'systemd', 'probe', 'job')),
    provider     TEXT    CHECK (length(provider) <= 255),
    event_id     INTEGER,
    record_id    INTEGER,
    line         INTEGER,
    things       INTEGER,
    message      TEXT    NOT NULL CHECK (length(message) <= 1024),
    evidence     TEXT,
    update_class TEXT NOT NULL DEFAULT '' CHECK (update_class IN ('', 'cumulative', 'dotnet', 'winre', 'driver', 'definition', 'servicing_stack', 'feature')),
    PRIMARY KEY (id, received_day)
) STRICT;
INSERT INTO report_new (id, received_day, received_ms, host_id, incident_id, day, at_ms, source_time, product, operation, code, symbol, kind, subject, source, provider, event_id, record_id, line, things, message, evidence, update_class)
    SELECT id, received_day, received_ms, host_id, incident_id, day, at_ms, source_time, product, operation, code, symbol, kind, subject, source, provider, event_id, record_id, line, things, message, evidence, update_class FROM report;
DROP TABLE report;
ALTER TABLE report_new RENAME TO report;
CREATE INDEX report_by_host ON report (host_id, at_ms, id);
CREATE INDEX report_by_time ON report (at_ms, id);
CREATE INDEX report_by_incident ON report (incident_id, at_ms, id) WHERE incident_id IS NOT NULL;
CREATE INDEX report_by_day ON report (day, received_day);
