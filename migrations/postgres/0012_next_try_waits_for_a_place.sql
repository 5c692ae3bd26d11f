-- The next try of a job of a campaign is chosen, and waits for a place within the campaign's limits.
ALTER TABLE job ADD COLUMN place_wanted BOOLEAN NOT NULL DEFAULT FALSE;
