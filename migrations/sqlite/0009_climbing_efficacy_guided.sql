-- A job climbs: after a try that did not cure it, another remediation is chosen for it.
ALTER TABLE job ADD COLUMN plan_wanted INTEGER NOT NULL DEFAULT 0 CHECK (plan_wanted IN (0, 1));
-- What is known of the cause of the next try, as JSON, and the cause's own probe; empty where it was not kept.
ALTER TABLE job ADD COLUMN known TEXT NOT NULL DEFAULT '';
ALTER TABLE job ADD COLUMN own_probe TEXT NOT NULL DEFAULT '' CHECK (length(own_probe) <= 80);
CREATE INDEX job_to_plan ON job (news_ms, id) WHERE plan_wanted;

-- Each try keeps what was tried, and on what: efficacy is counted from the tries.
ALTER TABLE job_attempt ADD COLUMN task TEXT NOT NULL DEFAULT 'remediate' CHECK (task IN ('remediate', 'verify', 'undo'));
ALTER TABLE job_attempt ADD COLUMN cause TEXT NOT NULL DEFAULT '';
ALTER TABLE job_attempt ADD COLUMN remediation TEXT NOT NULL DEFAULT '';
ALTER TABLE job_attempt ADD COLUMN version INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job_attempt ADD COLUMN digest TEXT NOT NULL DEFAULT '';
ALTER TABLE job_attempt ADD COLUMN evidence_ids TEXT NOT NULL DEFAULT '[]';
-- What was known of the cause before the try, and after it; JSON, empty where it was not kept.
ALTER TABLE job_attempt ADD COLUMN known TEXT NOT NULL DEFAULT '';
ALTER TABLE job_attempt ADD COLUMN known_after TEXT NOT NULL DEFAULT '';
ALTER TABLE job_attempt ADD COLUMN own_probe TEXT NOT NULL DEFAULT '' CHECK (length(own_probe) <= 80);
-- Whether the cause's own probe said that the cause was gone; empty where it was not asked.
ALTER TABLE job_attempt ADD COLUMN cleared TEXT NOT NULL DEFAULT '' CHECK (cleared IN ('', 'yes', 'no'));
ALTER TABLE job_attempt ADD COLUMN proof TEXT NOT NULL DEFAULT '' CHECK (proof IN ('', 'repeated', 'observed', 'probe_only'));
ALTER TABLE job_attempt ADD COLUMN os_build TEXT NOT NULL DEFAULT '';
ALTER TABLE job_attempt ADD COLUMN simulated INTEGER NOT NULL DEFAULT 0 CHECK (simulated IN (0, 1));
ALTER TABLE job_attempt ADD COLUMN relapsed INTEGER NOT NULL DEFAULT 0 CHECK (relapsed IN (0, 1));
UPDATE job_attempt SET
    (cause, remediation, version, digest, evidence_ids, relapsed) =
        (SELECT j.cause, j.remediation, j.version, j.digest, j.evidence_ids, j.relapsed_ms IS NOT NULL FROM job j WHERE j.id = job_attempt.job_id),
    proof = (SELECT CASE WHEN j.attempt = job_attempt.attempt THEN j.proof ELSE '' END FROM job j WHERE j.id = job_attempt.job_id),
    (os_build, simulated) =
        (SELECT h.os_build, h.simulated FROM job j JOIN host h ON h.id = j.host_id WHERE j.id = job_attempt.job_id);
CREATE INDEX job_attempt_efficacy ON job_attempt (simulated, cause, remediation, version, os_build, state, proof, cleared, relapsed)
    WHERE task = 'remediate' AND ended_ms IS NOT NULL;

-- Work for people: what no agent can do about an incident.
CREATE TABLE guided_task (
    id          BLOB    NOT NULL PRIMARY KEY,
    incident_id BLOB    NOT NULL REFERENCES incident (id),
    host_id     BLOB    NOT NULL REFERENCES host (id),
    cause       TEXT    NOT NULL,
    remediation TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('open', 'doing', 'done', 'dropped')),
    -- Who does it; empty while nobody took it.
    assignee    TEXT    NOT NULL DEFAULT '',
    created_by  TEXT    NOT NULL,
    created_ms  INTEGER NOT NULL,
    updated_ms  INTEGER NOT NULL,
    ended_ms    INTEGER,
    -- Why it was dropped.
    reason      TEXT    NOT NULL DEFAULT '',
    -- The job that proves it, where an agent was asked.
    job_id      BLOB
) STRICT;
-- One open task an incident.
CREATE UNIQUE INDEX guided_task_open ON guided_task (incident_id) WHERE ended_ms IS NULL;
CREATE INDEX guided_task_by_incident ON guided_task (incident_id);
CREATE INDEX guided_task_by_created ON guided_task (created_ms, id);
CREATE INDEX guided_task_by_host ON guided_task (host_id, created_ms, id);

CREATE TABLE guided_tick (
    task_id   BLOB    NOT NULL REFERENCES guided_task (id),
    step      INTEGER NOT NULL CHECK (step >= 0 AND step < 64),
    ticked_by TEXT    NOT NULL,
    at_ms     INTEGER NOT NULL,
    PRIMARY KEY (task_id, step)
) STRICT;

CREATE TABLE guided_note (
    task_id BLOB    NOT NULL REFERENCES guided_task (id),
    number  INTEGER NOT NULL,
    noted_by TEXT   NOT NULL,
    at_ms   INTEGER NOT NULL,
    text    TEXT    NOT NULL CHECK (length(text) <= 2048),
    PRIMARY KEY (task_id, number)
) STRICT;
