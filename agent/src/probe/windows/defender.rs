//! Whether Windows' own virus scanner is down (`check_defender_service`).

use std::io;

use fleetmend_core::evidence::{Answer, Finding};
use fleetmend_core::step::{StartType, is_build};

use super::registry::is_on;
use super::{Found, told};
use crate::platform::{Platform, ServiceCall};
use crate::probe::{with_value, yes_if};

const SERVICE: &str = "WinDefend";
const POLICY: &str = r"SOFTWARE\Policies\Microsoft\Windows Defender";
/// Versions in which the scanner of Windows is another product, or only looks for spyware.
const OTHERS: [&str; 2] = ["6.0", "6.1"];

/// Where another scanner is at work, or policy keeps this one off, it is well that it does not run.
pub(super) async fn down(platform: &dyn Platform) -> Found {
    let build = platform.facts().map_err(told)?.os_build;
    if OTHERS.iter().any(|other| is_build(&build, other)) {
        return Err(format!("build {build} has another virus scanner"));
    }
    if is_on(platform, POLICY, "DisableAntiSpyware").await? {
        let proof = format!(r"policy keeps it off: HKLM\{POLICY}\DisableAntiSpyware = 1");
        return Ok(Finding::new(Answer::No, proof));
    }
    let products = match platform.antivirus().await {
        Ok(products) => products,
        // Servers keep no such list.
        Err(e) if e.kind() == io::ErrorKind::Unsupported => Vec::new(),
        Err(e) => return Err(told(e)),
    };
    if let Some(other) = products.iter().find(|p| p.active && !p.of_windows) {
        return Ok(Finding::new(Answer::No, format!("{} is at work instead", other.name)));
    }
    let seen = match platform.service(SERVICE, ServiceCall::Look).await {
        Ok(seen) => seen,
        // A server may do without it, as a feature that was taken out.
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(format!("there is no service {SERVICE}"));
        }
        Err(e) => return Err(told(e)),
    };
    let down = seen.start == StartType::Disabled || !seen.runs();
    let proof = format!("{SERVICE} is {}, start type {}", seen.state, seen.start);
    Ok(with_value(yes_if(down), proof, SERVICE))
}
