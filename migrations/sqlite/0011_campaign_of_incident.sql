-- Which campaign has this failure of a host: by the whole key, so that no order of joins reads all hosts of a
-- campaign for each. Where nothing was counted yet of a table that has just grown, Postgres chose such an order.
DROP INDEX campaign_host_by_incident;
CREATE INDEX campaign_host_by_incident ON campaign_host (incident_id, campaign_id, run);
