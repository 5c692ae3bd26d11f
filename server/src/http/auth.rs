//! Who calls: API tokens (`Authorization: Bearer`) and dashboard sessions (a cookie). Both are looked
//! up by the SHA-256 of a 256-bit secret: nothing is compared byte by byte, nothing secret is kept.

use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fleetmend_core::ids::{UserId, WebSessionId};
use fleetmend_core::time::Timestamp;
use fleetmend_core::token::{Permission, Role};
use fleetmend_store::{ApiToken, Db, Holder};
use sha2::{Digest as _, Sha256};

use super::problem::Problem;

/// What every API token begins with.
pub const TOKEN_PREFIX: &str = "fmt_";
/// The longest credential that is looked at.
const CREDENTIAL_BYTES: usize = 256;

/// By what somebody calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// An API token, or a session that was made from one.
    Token,
    /// An API token that a log-in by name and password gave, or a session made from it.
    LogIn,
    /// A session of a user who logged in by name and password.
    Session,
}

/// The user behind a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Which.
    pub id: UserId,
    /// The name.
    pub name: String,
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user's or the token's name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// By what.
    pub how: How,
    /// Whose credential it is; `None` for tokens that belong to nobody.
    pub person: Option<Person>,
    /// The session, where there is one.
    pub session: Option<WebSessionId>,
    /// Whether the password must be changed before anything else.
    pub must_change: bool,
    /// The session's cookie, where a browser calls: form tokens are made from it.
    cookie: Option<String>,
}

impl Caller {
    /// How the caller stands in the audit log.
    pub fn actor(&self) -> String {
        match (self.how, &self.cookie) {
            (How::Session | How::LogIn, _) => self.answerable(),
            (How::Token, Some(_)) => format!("dashboard {}", self.name),
            (How::Token, None) => format!("api-token {}", self.name),
        }
    }

    /// Who answers for what the caller does: the person, whatever the credential. Two names that
    /// are to be two persons are compared by this.
    pub fn answerable(&self) -> String {
        match &self.person {
            Some(person) => format!("user {}", person.name),
            None if self.cookie.is_some() => format!("dashboard {}", self.name),
            None => format!("api-token {}", self.name),
        }
    }

    /// Whether a cookie speaks for the caller.
    pub fn by_cookie(&self) -> bool {
        self.cookie.is_some()
    }

    /// Refuses what the caller's role does not grant.
    pub fn require(&self, permission: Permission) -> Result<(), Problem> {
        if permission.needs_person() && self.how != How::Session {
            return Err(Problem::forbidden(
                "no API token may do this, whatever its role: a person must log in by name and password",
            )
            .with("permission", permission));
        }
        if permission.needs_log_in() && self.how == How::Token {
            return Err(Problem::forbidden(
                "this takes a log-in by name and password: log in at /login, or with `fleetmend login`",
            )
            .with("permission", permission));
        }
        if self.must_change && !matches!(permission, Permission::Own | Permission::Public) {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "change_password",
                "Change your password first",
                "the password was given to you for one log-in: change it at /password",
            ));
        }
        if self.role.grants(permission) {
            return Ok(());
        }
        let roles: Vec<&str> =
            Role::ALL.iter().filter(|r| r.grants(permission)).map(|r| r.as_str()).collect();
        Err(Problem::forbidden(format!(
            "\"{}\" has the role {}, which does not allow {permission}: that takes the role {}",
            self.name,
            self.role,
            roles.join(" or ")
        ))
        .with("permission", permission)
        .with("role", self.role))
    }

    /// What a form of this session must carry.
    pub fn form_token(&self) -> String {
        self.cookie.as_deref().map(form_token).unwrap_or_default()
    }
}

/// A new API token: its text, shown once, and what is stored.
pub fn new_token() -> (String, [u8; 32]) {
    let secret: [u8; 32] = crate::entropy::bytes();
    let text = format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(secret));
    let hash = hash(&text);
    (text, hash)
}

/// What is stored of a credential.
pub fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// The name of the session's cookie; the prefix makes browsers hold it to TLS and this host.
pub const fn cookie_name(secure: bool) -> &'static str {
    if secure { "__Host-fleetmend" } else { "fleetmend" }
}

/// The name of the cookie by which a browser is known to its user.
pub const fn browser_cookie_name(secure: bool) -> &'static str {
    if secure { "__Host-fleetmend-browser" } else { "fleetmend-browser" }
}

/// The `Set-Cookie` by which a browser is known: it opens nothing, and stays after the log-out.
pub fn browser_cookie(secret: &str, secure: bool) -> String {
    let (name, age) =
        (browser_cookie_name(secure), fleetmend_core::limits::BROWSER_KNOWN.as_secs());
    let tls = if secure { "; Secure" } else { "" };
    format!("{name}={secret}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age}{tls}")
}

/// The hash of the secret by which a browser says that it is known.
pub fn known_browser(headers: &HeaderMap, secure: bool) -> Option<[u8; 32]> {
    let secret = cookie(headers, browser_cookie_name(secure)).filter(|s| !s.is_empty())?;
    (secret.len() <= CREDENTIAL_BYTES).then(|| hash(secret))
}

/// The `Set-Cookie` of a session; no `secret` ends it.
pub fn session_cookie(secret: Option<&str>, secure: bool) -> String {
    let (value, age) = match secret {
        Some(secret) => (secret, fleetmend_core::limits::WEB_SESSION_LIFE.as_secs()),
        None => ("", 0),
    };
    let name = cookie_name(secure);
    let tls = if secure { "; Secure" } else { "" };
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age}{tls}")
}

/// A cookie of the request.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .find_map(|pair| pair.trim().split_once('=').filter(|(n, _)| *n == name))
        .map(|(_, value)| value)
}

/// The caller of a request; `None` where it shows no credential. A bad one is refused, never
/// ignored.
pub async fn authenticate(
    db: &Db,
    headers: &HeaderMap,
    secure: bool,
    now: Timestamp,
) -> Result<Option<Caller>, Problem> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let bad = |detail: &str| Problem::unauthorized(detail).field("Authorization");
        let text = value.to_str().map_err(|_| bad("the header is not text"))?;
        let token = match text.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            _ => return Err(bad("send \"Authorization: Bearer fmt_…\" with an API token")),
        };
        return by_token(db, token, now).await?.map(|(caller, _)| Some(caller)).ok_or_else(|| {
            bad("the API token is unknown, expired or revoked: ask an admin for another")
        });
    }
    let Some(secret) = cookie(headers, cookie_name(secure)).filter(|s| !s.is_empty()) else {
        return Ok(None);
    };
    let unknown = || Problem::unauthorized("the session has ended: log in again").field("Cookie");
    if secret.len() > CREDENTIAL_BYTES {
        return Err(unknown());
    }
    let session = db.session(&hash(secret), now).await?.ok_or_else(unknown)?;
    let mut caller = match session.holder {
        Holder::Token(token) => of_token(&token),
        Holder::User(user) => Caller {
            person: Some(Person { id: user.id, name: user.name.clone() }),
            name: user.name,
            role: user.role,
            how: How::Session,
            session: None,
            must_change: user.must_change,
            cookie: None,
        },
    };
    caller.session = Some(session.id);
    caller.cookie = Some(secret.to_owned());
    Ok(Some(caller))
}

/// The caller that an API token stands for, and the token itself.
pub async fn by_token(
    db: &Db,
    text: &str,
    now: Timestamp,
) -> Result<Option<(Caller, ApiToken)>, Problem> {
    if text.len() > CREDENTIAL_BYTES || !text.starts_with(TOKEN_PREFIX) {
        return Ok(None);
    }
    let token = db.api_token(&hash(text), now).await?;
    Ok(token.map(|token| (of_token(&token), token)))
}

fn of_token(token: &ApiToken) -> Caller {
    let person = token.user.as_ref();
    Caller {
        name: token.name.clone(),
        role: token.role,
        how: if token.by_login { How::LogIn } else { How::Token },
        person: person.map(|user| Person { id: user.id, name: user.name.clone() }),
        session: None,
        must_change: false,
        cookie: None,
    }
}

/// What the forms of a session carry: made from its secret, so that nothing needs storing, and one
/// way, so that a page that leaks does not give the session away.
fn form_token(secret: &str) -> String {
    let mut digest = Sha256::new();
    digest.update(b"fleetmend form\0");
    digest.update(secret.as_bytes());
    URL_SAFE_NO_PAD.encode(digest.finalize())
}

/// Whether a form carries its session's token. Hashes are compared, so that the time it takes says
/// nothing of the token.
pub fn form_token_fits(caller: &Caller, given: &str) -> bool {
    let wanted = caller.form_token();
    !wanted.is_empty() && Sha256::digest(wanted.as_bytes()) == Sha256::digest(given.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_and_stored_as_their_hash() {
        let (text, stored) = new_token();
        assert_eq!(text.len(), 4 + 43);
        assert_eq!(hash(&text), stored);
        assert_ne!(new_token().0, text);
    }

    #[test]
    fn cookies_are_bound_to_host_and_tls() {
        assert_eq!(
            session_cookie(Some("x"), true),
            "__Host-fleetmend=x; Path=/; HttpOnly; SameSite=Strict; Max-Age=43200; Secure"
        );
        assert_eq!(
            session_cookie(None, false),
            "fleetmend=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0"
        );
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, "a=1; fleetmend=x; b=2".parse().expect("header"));
        assert_eq!(cookie(&headers, "fleetmend"), Some("x"));
        assert_eq!(cookie(&headers, "leetmend"), None);
    }

    #[test]
    fn form_tokens_belong_to_one_session() {
        let caller = |cookie: &str| Caller {
            name: "a".into(),
            role: Role::Viewer,
            how: How::Token,
            person: None,
            session: None,
            must_change: false,
            cookie: Some(cookie.into()),
        };
        let (one, two) = (caller("one"), caller("two"));
        assert!(form_token_fits(&one, &one.form_token()));
        assert!(!form_token_fits(&one, &two.form_token()));
        assert!(!form_token_fits(&one, ""));
    }

    #[test]
    fn no_api_token_approves_whatever_its_role() {
        let caller = |role, how, cookie: Option<&str>| Caller {
            name: "a".into(),
            role,
            how,
            person: None,
            session: None,
            must_change: false,
            cookie: cookie.map(str::to_owned),
        };
        for role in Role::ALL {
            for cookie in [None, Some("x")] {
                let token = caller(*role, How::Token, cookie);
                assert!(token.require(Permission::Approve).is_err(), "{role}");
                assert_eq!(
                    token.require(Permission::Author).is_ok(),
                    role.grants(Permission::Author)
                );
            }
            let session = caller(*role, How::Session, Some("x"));
            assert_eq!(
                session.require(Permission::Approve).is_ok(),
                role.grants(Permission::Approve)
            );
        }
    }
}
