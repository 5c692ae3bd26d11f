//! The server's REST interface, as the commands use it.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;

use crate::args::Cli;
use crate::output::clean;
use crate::saved;

/// The most a single answer may hold, in bytes.
const ANSWER_BYTES: u64 = 256 * 1024 * 1024;
const PAGE: u32 = 500;

/// Why a command failed, in one line with the remedy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The command line or environment is wrong.
    #[error("{0}")]
    Usage(String),
    /// The server cannot be reached.
    #[error("cannot reach {url}: {why}; check --url or FLEETMEND_URL, and that the server runs")]
    Unreachable {
        /// Its address.
        url: String,
        /// What the system says.
        why: String,
    },
    /// The server refused.
    #[error("{0}")]
    Refused(String),
    /// The password is right, and was given for one log-in.
    #[error("{0}")]
    ChangePassword(String),
    /// The answer is none of Fleetmend's.
    #[error("{0} does not answer as a Fleetmend server: check --url or FLEETMEND_URL")]
    Foreign(String),
}

/// A connection to one server.
#[derive(Debug)]
pub(crate) struct Client {
    agent: ureq::Agent,
    base: String,
    /// None while logging in.
    token: Option<String>,
}

/// By what a call is made.
#[derive(Debug, Clone, Copy)]
enum Credential<'a> {
    Token,
    Cookie(&'a str),
}

/// A log-in by name and password; ended when it is done with.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    client: &'a Client,
    cookie: String,
}

impl Session<'_> {
    /// Acts as the person.
    pub(crate) fn send(&self, verb: &str, path: &str, body: &Value) -> Result<Value, ClientError> {
        let by = Some(Credential::Cookie(&self.cookie));
        let (_, text) = self.client.exchange(verb, path, Some(body), "application/json", by)?;
        if text.is_empty() { Ok(Value::Null) } else { self.client.json(&text) }
    }

    /// Ends the session; one that stays open ends by itself.
    pub(crate) fn end(self) {
        let _ = self.send("DELETE", "/sessions/current", &serde_json::json!({}));
    }
}

impl Client {
    /// Checks address and token; connects only with the first call. The token is the one that is
    /// given, else the one that the last log-in at this address kept.
    pub(crate) fn new(cli: &Cli) -> Result<Self, ClientError> {
        let mut client = Self::without_token(cli)?;
        let given = cli.token.as_deref().map(str::trim).filter(|t| !t.is_empty());
        let token = match given {
            Some(token) => token.to_owned(),
            None => saved::find(&client.base)?.ok_or_else(|| {
                ClientError::Usage(
                    "no API token: log in with `fleetmend login`, or set FLEETMEND_TOKEN; \
                     `fleetmend-server admin create` makes the first user"
                        .to_owned(),
                )
            })?,
        };
        if !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(ClientError::Usage(
                "FLEETMEND_TOKEN holds characters that no token has: copy it again".to_owned(),
            ));
        }
        client.token = Some(token);
        Ok(client)
    }

    /// The same without a token: for the log-in.
    pub(crate) fn without_token(cli: &Cli) -> Result<Self, ClientError> {
        let usage = |text: &str| ClientError::Usage(text.to_owned());
        let base = cli.url.trim_end_matches('/').to_owned();
        let (scheme, rest) = base
            .split_once("://")
            .ok_or_else(|| usage("the server's address must begin with http:// or https://"))?;
        let authority = rest.split('/').next().unwrap_or_default();
        match scheme {
            "https" => {}
            "http" if is_loopback(authority) => {}
            "http" => {
                return Err(usage(
                    "a token must not travel in the clear: use https://, or http:// to this machine only",
                ));
            }
            _ => return Err(usage("the server's address must begin with http:// or https://")),
        }
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_global(Some(Duration::from_mins(2)))
            .user_agent(concat!("fleetmend/", env!("CARGO_PKG_VERSION")));
        if let Some(file) = &cli.ca {
            config = config.tls_config(trust(file)?);
        }
        Ok(Self { agent: config.build().into(), base, token: None })
    }

    /// The server's address.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Reads JSON.
    pub(crate) fn get(&self, path: &str) -> Result<Value, ClientError> {
        let body = self.call("GET", path, None, "application/json")?;
        self.json(&body)
    }

    /// Reads text.
    pub(crate) fn text(&self, path: &str, accept: &str) -> Result<String, ClientError> {
        self.call("GET", path, None, accept)
    }

    /// Acts; an empty answer is `null`.
    pub(crate) fn send(&self, verb: &str, path: &str, body: &Value) -> Result<Value, ClientError> {
        let body = self.call(verb, path, Some(body), "application/json")?;
        if body.is_empty() { Ok(Value::Null) } else { self.json(&body) }
    }

    /// Reads a list, page by page, up to `limit` items. Returns the items and the total.
    pub(crate) fn list(&self, path: &str, limit: u32) -> Result<(Vec<Value>, u64), ClientError> {
        let mut items: Vec<Value> = Vec::new();
        let mut cursor: Option<String> = None;
        let joint = if path.contains('?') { '&' } else { '?' };
        loop {
            let have = u32::try_from(items.len()).unwrap_or(u32::MAX);
            let want = limit.saturating_sub(have).min(PAGE);
            let mut page = format!("{path}{joint}limit={want}");
            if let Some(cursor) = &cursor {
                page = format!("{page}&cursor={}", encode(cursor));
            }
            let answer = self.get(&page)?;
            let total = answer["total"].as_u64().unwrap_or(0);
            let Some(more) = answer["items"].as_array() else {
                return Err(ClientError::Foreign(self.base.clone()));
            };
            items.extend(more.iter().cloned());
            cursor = answer["next_cursor"].as_str().map(str::to_owned);
            let full = u32::try_from(items.len()).unwrap_or(u32::MAX) >= limit;
            if cursor.is_none() || more.is_empty() || full {
                return Ok((items, total));
            }
        }
    }

    /// Reads a list, page by page, up to `limit` items, and hands each on; nothing is kept. Returns the
    /// total.
    pub(crate) fn each(
        &self,
        path: &str,
        limit: u32,
        mut take: impl FnMut(Value) -> Result<(), serde_json::Error>,
    ) -> Result<u64, ClientError> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let (mut cursor, mut left): (Option<String>, u32) = (None, limit);
        loop {
            let mut page = format!("{path}{joint}limit={}", left.min(200));
            if let Some(cursor) = &cursor {
                page = format!("{page}&cursor={}", encode(cursor));
            }
            let answer = self.get(&page)?;
            let total = answer["total"].as_u64().unwrap_or(0);
            let Some(items) = answer["items"].as_array() else {
                return Err(ClientError::Foreign(self.base.clone()));
            };
            for item in items {
                take(item.clone()).map_err(|_| ClientError::Foreign(self.base.clone()))?;
                left -= 1;
                if left == 0 {
                    return Ok(total);
                }
            }
            cursor = answer["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() || items.is_empty() {
                return Ok(total);
            }
        }
    }

    /// Logs in by name and password, for what no API token may do.
    pub(crate) fn log_in(&self, name: &str, password: &str) -> Result<Session<'_>, ClientError> {
        let body = serde_json::json!({ "name": name, "password": password });
        let (cookie, _) =
            self.exchange("POST", "/sessions", Some(&body), "application/json", None)?;
        let cookie = cookie.ok_or_else(|| ClientError::Foreign(self.base.clone()))?;
        Ok(Session { client: self, cookie })
    }

    fn call(
        &self,
        verb: &str,
        path: &str,
        body: Option<&Value>,
        accept: &str,
    ) -> Result<String, ClientError> {
        self.exchange(verb, path, body, accept, Some(Credential::Token)).map(|(_, text)| text)
    }

    /// Asks, and gives the session's cookie where one was set, and the body.
    fn exchange(
        &self,
        verb: &str,
        path: &str,
        body: Option<&Value>,
        accept: &str,
        by: Option<Credential<'_>>,
    ) -> Result<(Option<String>, String), ClientError> {
        let url = format!("{}/api/v1{path}", self.base);
        let unreachable = |e: ureq::Error| ClientError::Unreachable {
            url: self.base.clone(),
            why: clean(&e.to_string()),
        };
        let mut request =
            ureq::http::Request::builder().method(verb).uri(&url).header("accept", accept);
        request = match by {
            Some(Credential::Token) => match &self.token {
                Some(token) => request.header("authorization", format!("Bearer {token}")),
                None => request,
            },
            // A cookie counts only with a word that our own page, not another site's, sends it.
            Some(Credential::Cookie(cookie)) => {
                request.header("cookie", cookie).header("origin", &self.base)
            }
            None => request,
        };
        let bad =
            |e: ureq::http::Error| ClientError::Usage(format!("the address is not valid: {e}"));
        let answer = match body {
            Some(body) => {
                let request = request
                    .header("content-type", "application/json")
                    .body(body.to_string())
                    .map_err(bad)?;
                let request =
                    self.agent.configure_request(request).allow_non_standard_methods(true);
                self.agent.run(request.build())
            }
            None => self.agent.run(request.body(()).map_err(bad)?),
        };
        let mut answer = answer.map_err(unreachable)?;
        let status = answer.status().as_u16();
        let cookie = answer
            .headers()
            .get("set-cookie")
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.split(';').next())
            .map(str::to_owned);
        let text = answer
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES)
            .read_to_string()
            .map_err(unreachable)?;
        if (200..300).contains(&status) {
            return Ok((cookie, text));
        }
        Err(self.refusal(status, &text))
    }

    /// The server's problem details in one line.
    fn refusal(&self, status: u16, text: &str) -> ClientError {
        let Ok(problem) = serde_json::from_str::<Value>(text) else {
            return ClientError::Foreign(self.base.clone());
        };
        let Some(detail) = problem["detail"].as_str() else {
            return ClientError::Foreign(self.base.clone());
        };
        let mut line = clean(detail);
        if let Some(field) = problem["field"].as_str()
            && !detail.contains(field)
        {
            line = format!("{}: {line}", clean(field));
        }
        if status >= 500
            && let Some(instance) = problem["instance"].as_str()
        {
            line = format!("{line} ({})", clean(instance));
        }
        if let Some(guide) = problem["guide"].as_array() {
            let steps: Vec<_> = guide.iter().filter_map(Value::as_str).map(clean).collect();
            if !steps.is_empty() {
                line = format!("{line} Steps for a person: {}", steps.join(" / "));
            }
        }
        if problem["type"] == "urn:fleetmend:problem:change_password" {
            return ClientError::ChangePassword(line);
        }
        ClientError::Refused(line)
    }

    fn json(&self, text: &str) -> Result<Value, ClientError> {
        serde_json::from_str(text).map_err(|_| ClientError::Foreign(self.base.clone()))
    }
}

/// Encodes a text for use as a query value or one part of a path.
pub(crate) fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn is_loopback(authority: &str) -> bool {
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn trust(file: &std::path::Path) -> Result<ureq::tls::TlsConfig, ClientError> {
    let bad = |why: String| ClientError::Usage(format!("--ca {}: {why}", file.display()));
    let pem = std::fs::read(file).map_err(|e| bad(e.to_string()))?;
    let certificate = ureq::tls::Certificate::from_pem(&pem)
        .map_err(|e| bad(format!("no PEM certificate: {e}")))?;
    Ok(ureq::tls::TlsConfig::builder()
        .root_certs(ureq::tls::RootCerts::new_with_certs(&[certificate]))
        .build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_is_told_from_the_rest() {
        for ours in ["127.0.0.1:7080", "localhost:1", "[::1]:7080", "127.8.8.8"] {
            assert!(is_loopback(ours), "{ours}");
        }
        for other in ["127.0.0.1@evil.example", "localhost.evil.example", "10.0.0.1", "[::2]:1", ""]
        {
            assert!(!is_loopback(other), "{other}");
        }
    }
}
