-- People who log in by name and password. A row stays when its user leaves: the audit log names it.
CREATE TABLE user_account (
    id                UUID NOT NULL PRIMARY KEY,
    -- In lower case.
    name              TEXT COLLATE "C" NOT NULL UNIQUE CHECK (length(name) >= 1 AND length(name) <= 64),
    role              TEXT COLLATE "C" NOT NULL CHECK (role IN ('viewer', 'auditor', 'approver', 'operator', 'author', 'admin')),
    -- Argon2id, in PHC form.
    password_hash     TEXT COLLATE "C" NOT NULL CHECK (length(password_hash) <= 256),
    password_ms       BIGINT NOT NULL,
    -- To be changed at the next log-in; good until then only.
    must_change       BOOLEAN NOT NULL,
    password_until_ms BIGINT,
    created_by        TEXT COLLATE "C" NOT NULL,
    created_ms        BIGINT NOT NULL,
    disabled_ms       BIGINT,
    last_login_ms     BIGINT,
    -- Refused log-ins and lock-outs in a row, and until when the name is locked.
    failures          BIGINT NOT NULL DEFAULT 0,
    lock_outs         BIGINT NOT NULL DEFAULT 0,
    locked_until_ms   BIGINT NOT NULL DEFAULT 0
);

-- Browsers that a user logged in with: others' refused tries lock the name, not them.
CREATE TABLE user_browser (
    secret_hash BYTEA NOT NULL PRIMARY KEY,
    user_id     UUID NOT NULL REFERENCES user_account (id),
    failures    BIGINT NOT NULL DEFAULT 0,
    created_ms  BIGINT NOT NULL,
    expires_ms  BIGINT NOT NULL
);
CREATE INDEX user_browser_by_user ON user_browser (user_id, created_ms);
CREATE INDEX user_browser_by_expiry ON user_browser (expires_ms);

-- More roles, and whose a token is: it ends with its maker.
ALTER TABLE api_token DROP CONSTRAINT api_token_role_check;
ALTER TABLE api_token ADD CONSTRAINT api_token_role_check
    CHECK (role IN ('viewer', 'auditor', 'approver', 'operator', 'author', 'admin'));
ALTER TABLE api_token ADD COLUMN user_id UUID REFERENCES user_account (id);
-- Made by a log-in: it ends with the password.
ALTER TABLE api_token ADD COLUMN by_login BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX api_token_by_user ON api_token (user_id);
-- A session is a token's or a user's.
ALTER TABLE web_session ALTER COLUMN api_token_id DROP NOT NULL;
ALTER TABLE web_session ADD COLUMN user_id UUID REFERENCES user_account (id);
ALTER TABLE web_session ADD CONSTRAINT web_session_of_one
    CHECK ((api_token_id IS NULL) <> (user_id IS NULL));
CREATE INDEX web_session_by_user ON web_session (user_id);
