-- Campaigns: what a person wrote, where it stands, its hosts, waves, runs and approvals.
CREATE TABLE campaign (
    id             BLOB    NOT NULL PRIMARY KEY,
    name           TEXT    NOT NULL CHECK (length(name) <= 255),
    -- As JSON, and SHA-256 of its canonical form: what an approval is bound to.
    definition     TEXT    NOT NULL,
    digest         TEXT    NOT NULL,
    -- Why it needs the approval of a second person, as JSON; an empty list where it needs none.
    needs          TEXT    NOT NULL,
    state          TEXT    NOT NULL CHECK (state IN ('draft', 'awaiting_approval', 'scheduled', 'running', 'paused', 'aborted', 'completed', 'completed_with_errors', 'cancelled')),
    state_ms       INTEGER NOT NULL,
    state_by       TEXT    NOT NULL,
    state_reason   TEXT    NOT NULL,
    -- The actor as the audit log has it, and the person behind it; empty where none is known.
    created_by     TEXT    NOT NULL,
    created_person TEXT    NOT NULL,
    created_ms     INTEGER NOT NULL,
    edited_by      TEXT    NOT NULL,
    edited_person  TEXT    NOT NULL,
    edited_ms      INTEGER NOT NULL,
    -- Its present or last run; 0 before the first.
    run            INTEGER NOT NULL DEFAULT 0,
    -- Hosts that never came to an end are not reached after this.
    expires_ms     INTEGER,
    -- When the planner looks again though nothing happens.
    next_look_ms   INTEGER,
    -- Why nothing more starts now.
    waiting_for    TEXT    NOT NULL DEFAULT '',
    -- The campaign whose jobs it takes back.
    undoes         BLOB,
    -- Rises with every change; who changes it says which one was seen.
    revision       INTEGER NOT NULL
) STRICT;
CREATE INDEX campaign_by_created ON campaign (created_ms, id);
CREATE INDEX campaign_by_state ON campaign (state, state_ms);
CREATE INDEX campaign_due ON campaign (next_look_ms, id) WHERE next_look_ms IS NOT NULL;

CREATE TABLE campaign_run (
    campaign_id BLOB    NOT NULL REFERENCES campaign (id),
    run         INTEGER NOT NULL CHECK (run >= 1),
    started_by  TEXT    NOT NULL,
    started_ms  INTEGER NOT NULL,
    -- Set with its end, and how it ended.
    ended_ms    INTEGER,
    outcome     TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (campaign_id, run)
) STRICT;
CREATE INDEX campaign_run_by_end ON campaign_run (ended_ms) WHERE ended_ms IS NOT NULL;

-- One row a host and run.
CREATE TABLE campaign_host (
    campaign_id     BLOB    NOT NULL REFERENCES campaign (id),
    run             INTEGER NOT NULL CHECK (run >= 1),
    host_id         BLOB    NOT NULL REFERENCES host (id),
    -- Its place in the order in which hosts were taken in, from 0.
    position        INTEGER NOT NULL CHECK (position >= 0),
    incident_id     BLOB    NOT NULL,
    -- The wave it was last started in, from 0, and its job there.
    wave            INTEGER,
    job_id          BLOB,
    -- Whether the campaign itself took that job back before it began.
    recalled        INTEGER NOT NULL DEFAULT 0 CHECK (recalled IN (0, 1)),
    -- Jobs of it that a retry put aside.
    retries         INTEGER NOT NULL DEFAULT 0,
    left_out        INTEGER NOT NULL DEFAULT 0 CHECK (left_out IN (0, 1)),
    left_out_reason TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (campaign_id, run, host_id)
) STRICT;
CREATE UNIQUE INDEX campaign_host_by_position ON campaign_host (campaign_id, run, position);
CREATE INDEX campaign_host_by_incident ON campaign_host (incident_id);
CREATE INDEX campaign_host_by_host ON campaign_host (host_id);

CREATE TABLE campaign_wave (
    campaign_id  BLOB    NOT NULL REFERENCES campaign (id),
    run          INTEGER NOT NULL CHECK (run >= 1),
    wave         INTEGER NOT NULL CHECK (wave >= 0),
    opened_ms    INTEGER NOT NULL,
    -- When its gate first held.
    gate_held_ms INTEGER,
    PRIMARY KEY (campaign_id, run, wave)
) STRICT;

CREATE TABLE approval (
    campaign_id     BLOB    NOT NULL REFERENCES campaign (id),
    number          INTEGER NOT NULL,
    digest          TEXT    NOT NULL,
    approved_by     TEXT    NOT NULL,
    approved_person TEXT    NOT NULL,
    approved_ms     INTEGER NOT NULL,
    note            TEXT    NOT NULL,
    -- When an edit took it its force. It does not come back with the text.
    void_ms         INTEGER,
    PRIMARY KEY (campaign_id, number)
) STRICT;

-- Spans in which nothing begins, as people wrote them.
CREATE TABLE change_freeze (
    id         BLOB    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL CHECK (length(name) <= 255),
    reason     TEXT    NOT NULL,
    -- As JSON: when, in which zone, for hosts with which labels.
    definition TEXT    NOT NULL,
    -- When it is over; absent where it comes again every year.
    until_ms   INTEGER,
    created_by TEXT    NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX change_freeze_by_created ON change_freeze (created_ms, id);

-- What a host is besides a machine, as its agent found; JSON. Its state tells it too, but is too long to be read for
-- every host of a selection.
ALTER TABLE host ADD COLUMN roles TEXT NOT NULL DEFAULT '[]';
UPDATE host SET roles = COALESCE(json_extract(state, '$.roles'), '[]') WHERE state IS NOT NULL;

-- What a job is for, whose it is, and how far it may go.
ALTER TABLE job ADD COLUMN task TEXT NOT NULL DEFAULT 'remediate' CHECK (task IN ('remediate', 'verify', 'undo'));
ALTER TABLE job ADD COLUMN undoes BLOB;
ALTER TABLE job ADD COLUMN undoes_attempt INTEGER;
ALTER TABLE job ADD COLUMN campaign_id BLOB;
ALTER TABLE job ADD COLUMN wave INTEGER;
ALTER TABLE job ADD COLUMN climbs INTEGER NOT NULL DEFAULT 0 CHECK (climbs IN (0, 1));
ALTER TABLE job ADD COLUMN max_risk TEXT NOT NULL DEFAULT 'safe' CHECK (max_risk IN ('safe', 'disruptive', 'dangerous', 'guided', 'refused'));
ALTER TABLE job ADD COLUMN reboot TEXT NOT NULL DEFAULT 'anytime' CHECK (reboot IN ('never', 'in_window', 'anytime'));
-- The spans in which it may begin, as JSON; at any time where there is none.
ALTER TABLE job ADD COLUMN begin_in TEXT NOT NULL DEFAULT '[]';
ALTER TABLE job ADD COLUMN max_deferrals INTEGER NOT NULL DEFAULT 3;
ALTER TABLE job ADD COLUMN notice_s INTEGER NOT NULL DEFAULT 300;
-- When it came into its state.
ALTER TABLE job ADD COLUMN state_ms INTEGER NOT NULL DEFAULT 0;
UPDATE job SET state_ms = COALESCE(ended_ms, news_ms);
CREATE INDEX job_by_campaign ON job (campaign_id, created_ms, id) WHERE campaign_id IS NOT NULL;
CREATE INDEX job_by_undone ON job (undoes) WHERE undoes IS NOT NULL;

-- Everything that was done to one thing: a campaign's document holds it.
CREATE INDEX audit_by_subject ON audit (subject, sequence);
