//! Where the server and a proxy are: what people type, read once.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The agents' port unless another is named.
pub const PORT: u16 = 7443;

/// A server's host and port. Typed as `https://host:7443`, `host:7443` or `host`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServerAddress {
    /// A DNS name or an IP address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// An HTTP proxy that takes CONNECT.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyAddress {
    /// Its DNS name or IP address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// `user:password`, where the address holds them.
    pub user: Option<String>,
}

/// The password stays out of logs.
impl fmt::Debug for ProxyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyAddress({self})")
    }
}

impl fmt::Display for ProxyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&joined(&self.host, self.port))
    }
}

/// A text that names no server or proxy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is no {what}: {want}")]
pub struct BadAddress {
    what: &'static str,
    want: &'static str,
    text: String,
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&joined(&self.host, self.port))
    }
}

impl FromStr for ServerAddress {
    type Err = BadAddress;
    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let bad = || BadAddress {
            what: "server address",
            want: "write https://HOST:7443 or HOST:7443",
            text: text.chars().take(120).collect(),
        };
        let rest = text.trim();
        let rest = rest.strip_prefix("https://").unwrap_or(rest).trim_end_matches('/');
        let (host, port) = split(rest, PORT).ok_or_else(bad)?;
        Ok(Self { host, port })
    }
}

impl TryFrom<String> for ServerAddress {
    type Error = BadAddress;
    fn try_from(text: String) -> Result<Self, BadAddress> {
        text.parse()
    }
}

impl From<ServerAddress> for String {
    fn from(address: ServerAddress) -> Self {
        address.to_string()
    }
}

impl FromStr for ProxyAddress {
    type Err = BadAddress;
    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let bad = || BadAddress {
            what: "proxy",
            want: "write http://HOST:PORT (a proxy reached over TLS is not supported), or none",
            text: text.rsplit('@').next().unwrap_or_default().chars().take(120).collect(),
        };
        let rest = text.trim();
        let rest = rest.strip_prefix("http://").unwrap_or(rest).trim_end_matches('/');
        let (user, rest) = match rest.rsplit_once('@') {
            Some((user, rest)) => (Some(user.to_owned()), rest),
            None => (None, rest),
        };
        let (host, port) = split(rest, 3128).ok_or_else(bad)?;
        Ok(Self { host, port, user })
    }
}

/// What the environment says of proxies. Read in one place, so that tests give their own.
#[derive(Debug, Clone, Default)]
pub struct ProxyEnvironment {
    /// `HTTPS_PROXY` or `ALL_PROXY`, in either case.
    pub proxy: Option<String>,
    /// `NO_PROXY`.
    pub except: Option<String>,
}

impl ProxyEnvironment {
    /// The process's own.
    pub fn read() -> Self {
        let first = |names: &[&str]| {
            names.iter().find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()))
        };
        Self {
            proxy: first(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]),
            except: first(&["NO_PROXY", "no_proxy"]),
        }
    }
}

/// The proxy to use: the one given (`none` for a direct way), else the environment's unless it
/// excepts the server.
pub fn choose_proxy(
    given: Option<&str>,
    environment: &ProxyEnvironment,
    server: &ServerAddress,
) -> Result<Option<ProxyAddress>, BadAddress> {
    match given.map(str::trim).filter(|text| !text.is_empty()) {
        Some("none") => return Ok(None),
        Some(text) => return text.parse().map(Some),
        None => {}
    }
    let Some(text) = &environment.proxy else { return Ok(None) };
    let host = server.host.to_ascii_lowercase();
    let loopback =
        host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    let excepted = environment.except.as_deref().unwrap_or_default().split(',').any(|entry| {
        let entry = entry.trim().trim_start_matches('.').to_ascii_lowercase();
        entry == "*"
            || (!entry.is_empty() && (host == entry || host.ends_with(&format!(".{entry}"))))
    });
    if excepted || loopback { Ok(None) } else { text.parse().map(Some) }
}

fn split(text: &str, default: u16) -> Option<(String, u16)> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        (host, after.strip_prefix(':'))
    } else if text.matches(':').count() > 1 {
        (text, None)
    } else {
        text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
    };
    let port = port.map_or(Some(default), |p| p.parse().ok().filter(|p| *p > 0))?;
    let name = !host.is_empty()
        && host.len() <= 253
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':'));
    name.then(|| (host.to_owned(), port))
}

fn joined(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (text, want) in [
            ("https://fleet.example:7443/", "fleet.example:7443"),
            ("fleet.example", "fleet.example:7443"),
            ("10.0.0.1:9", "10.0.0.1:9"),
            ("[::1]:8443", "[::1]:8443"),
            ("::1", "[::1]:7443"),
        ] {
            assert_eq!(text.parse::<ServerAddress>().expect(text).to_string(), want);
        }
        for bad in ["", "http://x", "a b", "host:", "host:99999", "host:0", "x/y", "[::1"] {
            assert!(bad.parse::<ServerAddress>().is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn a_given_proxy_goes_before_the_environments() {
        let server: ServerAddress = "fleet.corp.example".parse().expect("valid");
        let env = |proxy: &str, except: &str| ProxyEnvironment {
            proxy: Some(proxy.to_owned()),
            except: Some(except.to_owned()),
        };
        let chosen = |given, env: &ProxyEnvironment| {
            choose_proxy(given, env, &server).expect("valid").map(|p| p.to_string())
        };
        assert_eq!(chosen(None, &ProxyEnvironment::default()), None);
        assert_eq!(chosen(None, &env("http://p:1", "")), Some("p:1".into()));
        assert_eq!(chosen(Some("http://q:2"), &env("http://p:1", "*")), Some("q:2".into()));
        assert_eq!(chosen(Some("none"), &env("http://p:1", "")), None);
        for except in ["corp.example", " .corp.example , x", "*", "fleet.corp.example"] {
            assert_eq!(chosen(None, &env("http://p:1", except)), None, "{except}");
        }
        assert_eq!(chosen(None, &env("http://p:1", "orp.example")), Some("p:1".into()));
        let secret: ProxyAddress = "http://u:secret@p:1".parse().expect("valid");
        assert!(!format!("{secret:?}").contains("secret"));
    }
}
