-- Why a campaign stands as it does, as codes with their values (JSON); empty where the words beside are a person's, or
-- older than this.
ALTER TABLE campaign ADD COLUMN state_said TEXT NOT NULL DEFAULT '';
ALTER TABLE campaign ADD COLUMN waiting_said TEXT NOT NULL DEFAULT '';
-- Since when a host that waits has not told what its remediation needs to know.
ALTER TABLE campaign_host ADD COLUMN untold_ms INTEGER;
