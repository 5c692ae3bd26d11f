//! Questions about services. A stopped service that starts when it is needed is in order: only
//! *disabled*, missing, failed or hanging is a fault (S40).

use std::io;
use std::time::Duration;

use fleetmend_core::evidence::Answer;
use fleetmend_core::probe::ServiceQuestion;
use fleetmend_core::step::StartType;

use super::{Found, service_start_by_policy, told};
use crate::platform::{Platform, ServiceCall, ServiceSeen};
use crate::probe::{with_value, yes_if};

/// Looks at a service that stands between two states before it is said to hang, and the time
/// between them.
const LOOKS: u32 = 5;
const BETWEEN: Duration = Duration::from_millis(500);
const WAITED: &str = "2.5 s";
/// ERROR_SERVICE_NEVER_STARTED: it has not run since the system came up.
const NEVER_STARTED: u32 = 1_077;

pub(super) async fn ask(
    platform: &dyn Platform,
    service: &str,
    question: ServiceQuestion,
) -> Found {
    let seen = match platform.service(service, ServiceCall::Look).await {
        Ok(seen) => seen,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let words = format!("there is no service {service}");
            return match question {
                ServiceQuestion::Missing => Ok(with_value(Answer::Yes, words, service)),
                // What is not there is not at work: nobody has to wait for it.
                ServiceQuestion::Running => Ok(with_value(Answer::No, words, service)),
                _ => Err(words),
            };
        }
        Err(e) => return Err(told(e)),
    };
    let mut proof = words(service, seen);
    let so = match question {
        ServiceQuestion::Missing => false,
        ServiceQuestion::Disabled => {
            match service_start_by_policy(platform.root(), service) {
                Ok(None) => {}
                Ok(Some((start, file))) => {
                    proof = format!("{proof}; policy sets it to {start} ({file})");
                }
                Err(why) => proof = format!("{proof}; what policy says is not known: {why}"),
            }
            seen.start == StartType::Disabled
        }
        ServiceQuestion::Running => seen.runs(),
        ServiceQuestion::Stopped => !seen.runs(),
        ServiceQuestion::Failed if seen.state.is_pending() => {
            let last = wait(platform, service, seen).await.map_err(told)?;
            let hangs = last.state == seen.state;
            let since = if hangs { format!(", and was {WAITED} ago") } else { String::new() };
            proof = format!("{}{since}", words(service, last));
            hangs
        }
        ServiceQuestion::Failed => !seen.runs() && !matches!(seen.exit, 0 | NEVER_STARTED),
    };
    Ok(with_value(yes_if(so), proof, service))
}

/// The service after its present state has ended, or as it still is.
async fn wait(
    platform: &dyn Platform,
    service: &str,
    first: ServiceSeen,
) -> io::Result<ServiceSeen> {
    let mut seen = first;
    for _ in 0..LOOKS {
        tokio::time::sleep(BETWEEN).await;
        seen = platform.service(service, ServiceCall::Look).await?;
        if seen.state != first.state {
            break;
        }
    }
    Ok(seen)
}

fn words(service: &str, seen: ServiceSeen) -> String {
    let mut words = format!("{service} is {}, start type {}", seen.state, seen.start);
    if seen.delayed {
        words += " (delayed)";
    }
    if seen.trigger {
        words += ", started when it is needed";
    }
    if !seen.runs() && !matches!(seen.exit, 0 | NEVER_STARTED) {
        // Win32 codes are known by their number, HRESULTs by their digits.
        let code = match seen.exit {
            code @ 0x8000_0000.. => format!("0x{code:08X}"),
            code => code.to_string(),
        };
        words = format!("{words}, ended last with code {code}");
    }
    words
}
