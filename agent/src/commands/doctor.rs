//! `doctor`: walks the way from this host to its server and says at which step it ends, and what to
//! do about it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fleetmend_core::time::{Clock, Timestamp};
use fleetmend_core::words;
use serde::Serialize;

use crate::config::AgentConfig;
use crate::execute::ceiling::{Allowed, Ceiling, halted};
use crate::identity::Identity;
use crate::link;
use crate::link::contact::Contact;
use crate::link::dial::Dialer;
use crate::state::StateDir;

words! {
    /// How a check went.
    pub enum Mark ("result") {
        /// As it should be.
        Ok = "ok",
        /// Works, and should be looked at.
        Warn = "warn",
        /// Does not work.
        Fail = "fail",
    }
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it went.
    pub result: Mark,
    /// What was found, and the remedy.
    pub detail: String,
}

/// All checks. Those behind a failed one are not made: they would only say the same.
pub async fn doctor(config: &AgentConfig, clock: Arc<dyn Clock>) -> Vec<Check> {
    let mut checks = vec![state_directory(&config.state_dir), ceiling(config)];
    let now = clock.now();
    let state = match StateDir::open(&config.state_dir) {
        Ok(state) => state,
        Err(error) => {
            checks.push(fail("identity", error));
            return checks;
        }
    };
    match Identity::load(&state) {
        Err(error) => checks.push(fail("identity", error)),
        Ok(None) => checks.push(Check {
            name: "identity",
            result: Mark::Fail,
            detail: "this host is not enrolled: run `fleetmend-agent enroll --server … --token …`"
                .to_owned(),
        }),
        Ok(Some(identity)) => {
            checks.push(certificate(&identity, now));
            match link::dialer(&identity, true, config.proxy.as_deref(), &clock) {
                Ok(dialer) => way(&dialer, &mut checks).await,
                Err(trouble) => checks.push(fail("proxy", trouble)),
            }
            checks.push(contact(&Contact::read(&state), now));
        }
    }
    checks
}

/// For people.
pub fn table(checks: &[Check]) -> String {
    let line = |c: &Check| format!("{:<5} {:<16} {}\n", c.result, c.name, c.detail);
    checks.iter().map(line).collect()
}

/// Whether any check failed.
pub fn failed(checks: &[Check]) -> bool {
    checks.iter().any(|c| c.result == Mark::Fail)
}

fn ok(name: &'static str, detail: impl ToString) -> Check {
    Check { name, result: Mark::Ok, detail: detail.to_string() }
}

fn warn(name: &'static str, detail: impl ToString) -> Check {
    Check { name, result: Mark::Warn, detail: detail.to_string() }
}

fn fail(name: &'static str, detail: impl ToString) -> Check {
    Check { name, result: Mark::Fail, detail: detail.to_string() }
}

async fn way(dialer: &Dialer, checks: &mut Vec<Check>) {
    let hop = match &dialer.proxy {
        Some(proxy) => (proxy.host.clone(), proxy.port),
        None => (dialer.server.host.clone(), dialer.server.port),
    };
    let named = tokio::time::timeout(
        Duration::from_secs(10),
        tokio::net::lookup_host((hop.0.as_str(), hop.1)),
    );
    match named.await {
        Ok(Ok(mut found)) => match found.next() {
            Some(address) => checks.push(ok("dns", format!("{} is {}", hop.0, address.ip()))),
            None => return checks.push(fail("dns", format!("{} has no address", hop.0))),
        },
        Ok(Err(error)) => {
            let words =
                format!("{} cannot be resolved: {error}; check the DNS of this host", hop.0);
            return checks.push(fail("dns", words));
        }
        Err(_) => {
            let words = format!("the resolver gave no answer for {} within 10 s", hop.0);
            return checks.push(fail("dns", words));
        }
    }
    let proxy = match &dialer.proxy {
        Some(proxy) => format!("by way of {proxy}"),
        None => "none: the way is direct".to_owned(),
    };
    let tcp = match dialer.tcp().await {
        Ok(tcp) => tcp,
        Err(trouble) => {
            let name = if dialer.proxy.is_some() { "proxy" } else { "tcp" };
            return checks.push(fail(name, trouble));
        }
    };
    checks.push(ok("proxy", proxy));
    checks.push(ok("tcp", format!("{} answers", dialer.server)));
    match dialer.tls(tcp).await {
        Ok(_) => {
            checks.push(ok("tls", "the server is the one that this host was enrolled with"));
            checks.push(ok("http/2", "agreed by ALPN"));
        }
        Err(trouble @ link::trouble::Trouble::NoHttp2 { .. }) => {
            checks.push(fail("http/2", trouble));
        }
        Err(trouble) => checks.push(fail("tls", trouble)),
    }
}

fn certificate(identity: &Identity, now: Timestamp) -> Check {
    match identity.validity() {
        Err(error) => fail("identity", error),
        Ok((from, _)) if now < from => fail(
            "identity",
            format!("the certificate holds only from {from}: this host's clock is behind"),
        ),
        Ok((_, until)) if now >= until => warn(
            "identity",
            format!("the certificate expired at {until}; the agent renews it by proof of its key"),
        ),
        Ok((_, until)) => {
            ok("identity", format!("host {}, certificate until {until}", identity.host))
        }
    }
}

fn contact(contact: &Contact, now: Timestamp) -> Check {
    let skew = i64::try_from(fleetmend_core::limits::CLOCK_SKEW.as_millis()).unwrap_or(i64::MAX);
    match (contact.heard, contact.clock_ahead_ms) {
        (_, Some(ahead)) if ahead.abs() > skew => fail(
            "clock",
            format!(
                "this host's clock was {} s {} the server's at the last contact: orders will be refused; set the clock",
                ahead.abs() / 1_000,
                if ahead > 0 { "behind" } else { "ahead of" }
            ),
        ),
        (None, _) => warn("contact", "the server was never heard: is the agent running?"),
        (Some(at), ahead) => {
            let minutes = now.since(at).as_secs() / 60;
            let clock = ahead.map_or(0, |ms| ms / 1_000);
            let words =
                format!("the server was heard {minutes} min ago; its clock is {clock} s ahead");
            match &contact.trouble {
                Some(trouble) => warn("contact", format!("{words}; since then: {trouble}")),
                None => ok("contact", words),
            }
        }
    }
}

fn state_directory(path: &Path) -> Check {
    let words = format!("{} is missing; it is made by `enroll`", path.display());
    let Ok(meta) = std::fs::metadata(path) else { return fail("state directory", words) };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        if meta.mode() & 0o077 != 0 {
            let words = format!(
                "{} can be read by others than its owner: chmod 0700 {}",
                path.display(),
                path.display()
            );
            return fail("state directory", words);
        }
        if meta.uid() != rustix::process::geteuid().as_raw() {
            let words = format!(
                "{} belongs to user {}, and this runs as user {}: run as that user",
                path.display(),
                meta.uid(),
                rustix::process::geteuid().as_raw()
            );
            return fail("state directory", words);
        }
    }
    #[cfg(not(unix))]
    let _ = meta;
    ok("state directory", format!("{}, readable by its owner only", path.display()))
}

fn ceiling(config: &AgentConfig) -> Check {
    let loaded = Ceiling::load(&config.ceiling_file);
    if let Some(problem) = loaded.problem {
        return fail("ceiling", problem);
    }
    if let Some(file) = halted(&config.state_dir, &config.ceiling_file) {
        return warn("ceiling", format!("the kill switch is set: {}", file.display()));
    }
    let risk = loaded.ceiling.risk;
    if risk == Allowed::Observe {
        let words = format!(
            "observe: this host reports and repairs nothing; to allow repairs write `risk = \"safe\"` to {}",
            config.ceiling_file.display()
        );
        return ok("ceiling", words);
    }
    ok("ceiling", format!("{risk}: repairs up to that risk may be ordered"))
}
