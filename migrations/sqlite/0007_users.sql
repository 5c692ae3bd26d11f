-- People who log in by name and password. A row stays when its user leaves: the audit log names it.
CREATE TABLE user_account (
    id                BLOB    NOT NULL PRIMARY KEY,
    -- In lower case.
    name              TEXT    NOT NULL UNIQUE CHECK (length(name) >= 1 AND length(name) <= 64),
    role              TEXT    NOT NULL CHECK (role IN ('viewer', 'auditor', 'approver', 'operator', 'author', 'admin')),
    -- Argon2id, in PHC form.
    password_hash     TEXT    NOT NULL CHECK (length(password_hash) <= 256),
    password_ms       INTEGER NOT NULL,
    -- To be changed at the next log-in; good until then only.
    must_change       INTEGER NOT NULL CHECK (must_change IN (0, 1)),
    password_until_ms INTEGER,
    created_by        TEXT    NOT NULL,
    created_ms        INTEGER NOT NULL,
    disabled_ms       INTEGER,
    last_login_ms     INTEGER,
    -- Refused log-ins and lock-outs in a row, and until when the name is locked.
    failures          INTEGER NOT NULL DEFAULT 0,
    lock_outs         INTEGER NOT NULL DEFAULT 0,
    locked_until_ms   INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Browsers that a user logged in with: others' refused tries lock the name, not them.
CREATE TABLE user_browser (
    secret_hash BLOB    NOT NULL PRIMARY KEY,
    user_id     BLOB    NOT NULL REFERENCES user_account (id),
    failures    INTEGER NOT NULL DEFAULT 0,
    created_ms  INTEGER NOT NULL,
    expires_ms  INTEGER NOT NULL
) STRICT;
CREATE INDEX user_browser_by_user ON user_browser (user_id, created_ms);
CREATE INDEX user_browser_by_expiry ON user_browser (expires_ms);

-- More roles, and whose a token is: it ends with its maker.
CREATE TABLE api_token_new (
    id           BLOB    NOT NULL PRIMARY KEY,
    name         TEXT    NOT NULL,
    role         TEXT    NOT NULL CHECK (role IN ('viewer', 'auditor', 'approver', 'operator', 'author', 'admin')),
    secret_hash  BLOB    NOT NULL UNIQUE,
    created_by   TEXT    NOT NULL,
    created_ms   INTEGER NOT NULL,
    expires_ms   INTEGER,
    last_used_ms INTEGER,
    revoked_ms   INTEGER,
    user_id      BLOB    REFERENCES user_account (id),
    -- Made by a log-in: it ends with the password.
    by_login     INTEGER NOT NULL DEFAULT 0 CHECK (by_login IN (0, 1))
) STRICT;
INSERT INTO api_token_new (id, name, role, secret_hash, created_by, created_ms, expires_ms, last_used_ms, revoked_ms)
    SELECT id, name, role, secret_hash, created_by, created_ms, expires_ms, last_used_ms, revoked_ms FROM api_token;
-- A session is a token's or a user's.
CREATE TABLE web_session_new (
    id           BLOB    NOT NULL PRIMARY KEY,
    secret_hash  BLOB    NOT NULL UNIQUE,
    api_token_id BLOB    REFERENCES api_token_new (id),
    user_id      BLOB    REFERENCES user_account (id),
    created_ms   INTEGER NOT NULL,
    expires_ms   INTEGER NOT NULL,
    CHECK ((api_token_id IS NULL) <> (user_id IS NULL))
) STRICT;
INSERT INTO web_session_new (id, secret_hash, api_token_id, created_ms, expires_ms)
    SELECT id, secret_hash, api_token_id, created_ms, expires_ms FROM web_session;
DROP TABLE web_session;
DROP TABLE api_token;
ALTER TABLE api_token_new RENAME TO api_token;
ALTER TABLE web_session_new RENAME TO web_session;
CREATE INDEX api_token_by_created ON api_token (created_ms, id);
CREATE INDEX api_token_by_user ON api_token (user_id);
CREATE INDEX web_session_by_expiry ON web_session (expires_ms);
CREATE INDEX web_session_by_user ON web_session (user_id);
