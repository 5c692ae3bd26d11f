-- The next try of a job of a campaign is chosen, and waits for a place within the campaign's limits.
ALTER TABLE job ADD COLUMN place_wanted INTEGER NOT NULL DEFAULT 0 CHECK (place_wanted IN (0, 1));
