-- A job climbs: after a try that did not cure it, another remediation is chosen for it.
ALTER TABLE job ADD COLUMN plan_wanted BOOLEAN NOT NULL DEFAULT FALSE;
-- What is known of the cause of the next try, as JSON, and the cause's own probe; empty where it was not kept.
ALTER TABLE job ADD COLUMN known TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE job ADD COLUMN own_probe TEXT COLLATE "C" NOT NULL DEFAULT '' CHECK (length(own_probe) <= 80);
CREATE INDEX job_to_plan ON job (news_ms, id) WHERE plan_wanted;

-- Each try keeps what was tried, and on what: efficacy is counted from the tries.
ALTER TABLE job_attempt ADD COLUMN task TEXT COLLATE "C" NOT NULL DEFAULT 'remediate' CHECK (task IN ('remediate', 'verify', 'undo'));
ALTER TABLE job_attempt ADD COLUMN cause TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE job_attempt ADD COLUMN remediation TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE job_attempt ADD COLUMN version BIGINT NOT NULL DEFAULT 0;
ALTER TABLE job_attempt ADD COLUMN digest TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE job_attempt ADD COLUMN evidence_ids TEXT COLLATE "C" NOT NULL DEFAULT '[]';
-- What was known of the cause before the try, and after it; JSON, empty where it was not kept.
ALTER TABLE job_attempt ADD COLUMN known TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE job_attempt ADD COLUMN known_after TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE job_attempt ADD COLUMN own_probe TEXT COLLATE "C" NOT NULL DEFAULT '' CHECK (length(own_probe) <= 80);
-- Whether the cause's own probe said that the cause was gone; empty where it was not asked.
ALTER TABLE job_attempt ADD COLUMN cleared TEXT COLLATE "C" NOT NULL DEFAULT '' CHECK (cleared IN ('', 'yes', 'no'));
ALTER TABLE job_attempt ADD COLUMN proof TEXT COLLATE "C" NOT NULL DEFAULT '' CHECK (proof IN ('', 'repeated', 'observed', 'probe_only'));
ALTER TABLE job_attempt ADD COLUMN os_build TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE job_attempt ADD COLUMN simulated BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE job_attempt ADD COLUMN relapsed BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE job_attempt SET cause = j.cause, remediation = j.remediation, version = j.version, digest = j.digest,
    evidence_ids = j.evidence_ids, relapsed = j.relapsed_ms IS NOT NULL,
    proof = CASE WHEN j.attempt = job_attempt.attempt THEN j.proof ELSE '' END, os_build = h.os_build, simulated = h.simulated
    FROM job j JOIN host h ON h.id = j.host_id WHERE j.id = job_attempt.job_id;
CREATE INDEX job_attempt_efficacy ON job_attempt (simulated, cause, remediation, version, os_build, state, proof, cleared, relapsed)
    WHERE task = 'remediate' AND ended_ms IS NOT NULL;

-- Work for people: what no agent can do about an incident.
CREATE TABLE guided_task (
    id          UUID    NOT NULL PRIMARY KEY,
    incident_id UUID    NOT NULL REFERENCES incident (id),
    host_id     UUID    NOT NULL REFERENCES host (id),
    cause       TEXT COLLATE "C" NOT NULL,
    remediation TEXT COLLATE "C" NOT NULL,
    version     BIGINT NOT NULL,
    state       TEXT COLLATE "C" NOT NULL CHECK (state IN ('open', 'doing', 'done', 'dropped')),
    -- Who does it; empty while nobody took it.
    assignee    TEXT COLLATE "C" NOT NULL DEFAULT '',
    created_by  TEXT COLLATE "C" NOT NULL,
    created_ms  BIGINT NOT NULL,
    updated_ms  BIGINT NOT NULL,
    ended_ms    BIGINT,
    -- Why it was dropped.
    reason      TEXT COLLATE "C" NOT NULL DEFAULT '',
    -- The job that proves it, where an agent was asked.
    job_id      UUID
);
-- One open task an incident.
CREATE UNIQUE INDEX guided_task_open ON guided_task (incident_id) WHERE ended_ms IS NULL;
CREATE INDEX guided_task_by_incident ON guided_task (incident_id);
CREATE INDEX guided_task_by_created ON guided_task (created_ms, id);
CREATE INDEX guided_task_by_host ON guided_task (host_id, created_ms, id);

CREATE TABLE guided_tick (
    task_id   UUID    NOT NULL REFERENCES guided_task (id),
    step      BIGINT NOT NULL CHECK (step >= 0 AND step < 64),
    ticked_by TEXT COLLATE "C" NOT NULL,
    at_ms     BIGINT NOT NULL,
    PRIMARY KEY (task_id, step)
);

CREATE TABLE guided_note (
    task_id UUID    NOT NULL REFERENCES guided_task (id),
    number  BIGINT NOT NULL,
    noted_by TEXT COLLATE "C" NOT NULL,
    at_ms   BIGINT NOT NULL,
    text    TEXT COLLATE "C" NOT NULL CHECK (length(text) <= 2048),
    PRIMARY KEY (task_id, number)
);
