//! Questions to the network, the same on every system: does a name resolve, does somebody answer.
//! Only connections are opened; nothing is asked for.

use std::io;
use std::time::Duration;

use fleetmend_core::evidence::{Answer, Finding};
use fleetmend_core::probe::ProxyQuestion;

use super::with_value;
use crate::platform::{Platform, Proxy};

/// Time for a name or a connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// Places that are asked.
const MOST: usize = 5;

/// A place on the network.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Endpoint {
    pub(super) host: String,
    pub(super) port: u16,
}

impl Endpoint {
    pub(super) fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }

    /// The host and port of an HTTP address; the reason where it is none.
    pub(super) fn parse(address: &str) -> Result<Self, String> {
        let uri: http::Uri =
            address.trim().parse().map_err(|e| format!("that is no address: {e}"))?;
        let port = match uri.scheme_str() {
            Some("http") => 80,
            Some("https") => 443,
            _ => return Err("it begins with neither http:// nor https://".to_owned()),
        };
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        let begins = |c: char| c.is_ascii_alphanumeric() || c == ':';
        if !host.starts_with(begins) || !host.chars().all(plain) {
            return Err("it names no host".to_owned());
        }
        if uri.port().is_some_and(|port| port.as_str().parse::<u16>().is_err()) {
            return Err("its port is no port".to_owned());
        }
        Ok(Self::new(host, uri.port_u16().unwrap_or(port)))
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Whether one of the places does not answer. A machine that goes through a proxy reaches them that
/// way: then only an answer says something.
pub(super) async fn answers(
    platform: &dyn Platform,
    endpoints: &[Endpoint],
    proxy: Result<Option<Proxy>, String>,
) -> Result<Finding, String> {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for endpoint in endpoints.iter().take(MOST) {
        match reach(platform, endpoint).await? {
            None => good.push(endpoint.to_string()),
            Some(why) => bad.push((endpoint.to_string(), why)),
        }
    }
    let Some((place, why)) = bad.first() else {
        return Ok(Finding::new(Answer::No, format!("answered: {}", good.join(", "))));
    };
    match proxy {
        Ok(None) => {
            let proof = format!("{place} does not answer: {why}");
            Ok(with_value(Answer::Yes, proof, place))
        }
        Ok(Some(proxy)) => Err(format!(
            "{place} does not answer directly, but the machine goes through {}:{}",
            proxy.host, proxy.port
        )),
        Err(why) => Err(format!("{place} does not answer directly; of a proxy: {why}")),
    }
}

/// Whether the name of one of the places is not resolved.
pub(super) async fn resolved(
    platform: &dyn Platform,
    endpoints: &[Endpoint],
    proxy: Result<Option<Proxy>, String>,
) -> Result<Finding, String> {
    if let Some(proxy) = proxy? {
        return Err(format!(
            "the machine goes through the proxy {}:{}, which looks the names up",
            proxy.host, proxy.port
        ));
    }
    let mut hosts: Vec<&str> = endpoints.iter().map(|e| e.host.as_str()).collect();
    hosts.dedup();
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for host in hosts.into_iter().take(MOST) {
        match tokio::time::timeout(PATIENCE, platform.resolve(host)).await {
            Ok(Ok(addresses)) if !addresses.is_empty() => good.push(host),
            Ok(Ok(_)) | Err(_) => bad.push(host),
            Ok(Err(e)) if e.kind() == io::ErrorKind::NotFound => bad.push(host),
            Ok(Err(e)) => return Err(format!("{host}: {e}")),
        }
    }
    Ok(match bad.first() {
        None => Finding::new(Answer::No, format!("resolved: {}", good.join(", "))),
        Some(first) => with_value(Answer::Yes, format!("not resolved: {}", bad.join(", ")), *first),
    })
}

/// Whether the machine's proxy is set, or does not answer.
pub(super) async fn proxy(
    platform: &dyn Platform,
    question: ProxyQuestion,
    proxy: Result<Option<Proxy>, String>,
) -> Result<Finding, String> {
    let Some(proxy) = proxy? else {
        return Ok(Finding::new(Answer::No, "no proxy is set for the machine"));
    };
    let endpoint = Endpoint::new(proxy.host, proxy.port);
    let value = endpoint.to_string();
    Ok(match question {
        ProxyQuestion::Set => with_value(Answer::Yes, format!("the proxy is {value}"), value),
        ProxyQuestion::Unreachable => match reach(platform, &endpoint).await? {
            None => Finding::new(Answer::No, format!("the proxy {value} answers")),
            Some(why) => {
                with_value(Answer::Yes, format!("the proxy {value} does not answer: {why}"), value)
            }
        },
    })
}

/// Why a place does not answer; `None` where it does. An error is a system that cannot try.
async fn reach(platform: &dyn Platform, endpoint: &Endpoint) -> Result<Option<String>, String> {
    let tried = platform.reach(&endpoint.host, endpoint.port);
    match tokio::time::timeout(PATIENCE, tried).await {
        Ok(Ok(())) => Ok(None),
        Ok(Err(e)) if e.kind() == io::ErrorKind::Unsupported => {
            Err(format!("this system cannot be asked whether {endpoint} answers: {e}"))
        }
        Ok(Err(e)) => Ok(Some(e.to_string())),
        Err(_) => Ok(Some(format!("no answer within {} s", PATIENCE.as_secs()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_their_port() {
        let good = [
            ("https://wsus.example.com:8531", "wsus.example.com", 8_531),
            ("http://wsus.example.com/", "wsus.example.com", 80),
            (" https://wsus.example.com/x ", "wsus.example.com", 443),
            ("http://[2001:db8::1]:8530", "2001:db8::1", 8_530),
        ];
        for (text, host, port) in good {
            assert_eq!(Endpoint::parse(text), Ok(Endpoint::new(host, port)), "{text}");
        }
        let bad = [
            "",
            "wsus",
            "wsus.example.com:8530",
            "ftp://a",
            "http://",
            "http:///x",
            "http://-a/",
            "http://a b",
        ];
        for text in bad {
            assert!(Endpoint::parse(text).is_err(), "{text} was taken");
        }
    }
}
