-- A job whose steps are done waits for its proof for up to 14 days. It does nothing meanwhile: the host's other jobs go
-- on. A job never leaves *verifying* but for its end.
DROP INDEX job_active;
CREATE UNIQUE INDEX job_active ON job (host_id) WHERE ended_ms IS NULL AND state <> 'verifying';
CREATE INDEX job_open ON job (host_id) WHERE ended_ms IS NULL;
-- One job an incident: what is being proved is not repaired beside it.
CREATE UNIQUE INDEX job_of_incident ON job (incident_id) WHERE ended_ms IS NULL;
