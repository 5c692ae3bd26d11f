-- What an answer is about joins the key of evidence: two failed units each keep their own proof.
-- Empty where the answer is about the host.
ALTER TABLE evidence ADD COLUMN subject TEXT COLLATE "C" NOT NULL DEFAULT '' CHECK (length(subject) <= 512);
ALTER TABLE evidence DROP CONSTRAINT evidence_pkey;
ALTER TABLE evidence ADD PRIMARY KEY (host_id, probe, subject);

-- Recounting a day of the roll-up, and dropping days.
CREATE INDEX report_by_day ON report (day, received_day);

-- Days of trends: what stands is read from the first index alone, what ended from the second.
DROP INDEX incident_by_problem;
CREATE INDEX incident_by_problem ON incident (cause, code, product, operation, first_seen_ms, state) WHERE ended_ms IS NULL;
DROP INDEX incident_fixed;
CREATE INDEX incident_by_ended ON incident (ended_ms, state, first_seen_ms) WHERE ended_ms IS NOT NULL;

-- What grows old and is dropped.
CREATE INDEX evidence_by_age ON evidence (at_ms) WHERE subject <> '';
CREATE INDEX host_event_by_age ON host_event (at_ms);
CREATE INDEX job_with_log ON job (ended_ms) WHERE ended_ms IS NOT NULL AND log_pieces > 0;
CREATE INDEX incident_by_previous ON incident (previous_id) WHERE previous_id IS NOT NULL;
