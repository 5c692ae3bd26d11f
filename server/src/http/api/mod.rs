//! REST, one resource a file.

pub(crate) mod api_tokens;
pub(crate) mod audit;
pub(crate) mod backtest;
pub(crate) mod campaigns;
pub(crate) mod catalog;
pub(crate) mod efficacy;
pub(crate) mod enrollment_tokens;
pub(crate) mod events;
pub(crate) mod freezes;
pub(crate) mod guided;
pub(crate) mod halt;
pub(crate) mod health;
pub(crate) mod hosts;
pub(crate) mod incidents;
pub(crate) mod jobs;
pub(crate) mod model;
pub(crate) mod orders;
pub(crate) mod problems;
pub(crate) mod reports;
pub(crate) mod sessions;
pub(crate) mod undo;
pub(crate) mod users;
pub(crate) mod verify;

use fleetmend_core::limits;
use fleetmend_core::words::UnknownWord;
use std::str::FromStr;

use super::call::Call;
use super::problem::Problem;

/// The longest reason that is taken, in bytes.
const REASON_BYTES: usize = 1_024;

/// A reason as it may stand in the audit log.
pub(crate) fn reason(text: &str) -> Result<&str, Problem> {
    let text = text.trim();
    if text.is_empty() || text.len() > REASON_BYTES || text.chars().any(char::is_control) {
        return Err(Problem::bad(
            "reason",
            format!("reason: say why, in one line of at most {REASON_BYTES} bytes"),
        ));
    }
    Ok(text)
}

/// Every word of a parameter that may repeat, of a closed set.
pub(crate) fn words<T: FromStr<Err = UnknownWord>>(
    call: &Call,
    name: &str,
) -> Result<Vec<T>, Problem> {
    call.query
        .texts(name)
        .map(|text| text.parse().map_err(|e: UnknownWord| Problem::from(e).field(name)))
        .collect()
}

/// `KEY=VALUE` pairs of the parameter `label`.
pub(crate) fn labels(call: &Call) -> Result<Vec<(String, String)>, Problem> {
    let pairs: Result<Vec<_>, Problem> = call
        .query
        .texts("label")
        .map(|text| {
            text.split_once('=')
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .ok_or_else(|| Problem::bad("label", "label: write KEY=VALUE"))
        })
        .collect();
    let pairs = pairs?;
    if pairs.len() > limits::LABELS_PER_HOST {
        let detail = format!("label: at most {} may be given", limits::LABELS_PER_HOST);
        return Err(Problem::bad("label", detail));
    }
    Ok(pairs)
}

/// The parameter `code`, in any spelling, as codes print; `none` for failures without one.
pub(crate) fn code(call: &Call) -> Result<Option<String>, Problem> {
    let Some(text) = call.query.text("code") else { return Ok(None) };
    if text.eq_ignore_ascii_case("none") {
        return Ok(Some(String::new()));
    }
    Ok(Some(catalog::read_code(call, text, "code")?.code.to_string()))
}
