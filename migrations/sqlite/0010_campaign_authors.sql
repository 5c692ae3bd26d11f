-- Everybody who had a hand in a campaign's text, in lower case: as the audit log has them, and the person
-- behind it. None of them approves it, though somebody else changed it later.
CREATE TABLE campaign_author (
    campaign_id BLOB NOT NULL REFERENCES campaign (id),
    author      TEXT NOT NULL,
    PRIMARY KEY (campaign_id, author)
) STRICT;
INSERT INTO campaign_author (campaign_id, author)
    SELECT id, lower(created_by) FROM campaign
    UNION SELECT id, lower(created_person) FROM campaign WHERE created_person <> ''
    UNION SELECT id, lower(edited_by) FROM campaign
    UNION SELECT id, lower(edited_person) FROM campaign WHERE edited_person <> '';
