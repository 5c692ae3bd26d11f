//! The page that shows what of a job can be taken back, and asks once.

use askama::Template;
use fleetmend_core::ids::JobId;
use fleetmend_core::words::Slug;
use fleetmend_store::Job;

use super::{Frame, html, see};
use crate::http::api::jobs;
use crate::http::api::undo::{self, UndoPreview};
use crate::http::call::Call;
use crate::http::route::{Answer, Param};

#[derive(Debug, Template)]
#[template(path = "undo.html")]
struct UndoPage {
    p: Frame,
    name: String,
    job: Job,
    preview: UndoPreview,
    /// The tries that may be chosen, where there are several.
    tries: Vec<u32>,
}

/// What can be taken back.
pub(crate) async fn page(call: Call) -> Answer {
    let id: JobId = call.id()?;
    let attempt = call.query.parse::<u32>("attempt")?;
    let detail = jobs::find(&call, id).await?;
    let p = Frame::new(&call, "jobs");
    let preview = undo::look(&call, &detail, attempt, p.t.0)?;
    let begun = detail.attempts.iter().filter(|a| a.begun.is_some()).map(|a| a.attempt);
    let tries: Vec<u32> = begun.collect();
    // The name of what that try did, which need not be the job's last.
    let entry = preview.remediation.parse().ok();
    let entry = entry.and_then(|id: Slug| call.shared().catalogue.remediations.get(&id));
    let name = entry.map_or_else(|| preview.remediation.clone(), |r| r.name.get(p.t.0).to_owned());
    html(&UndoPage {
        name,
        preview,
        tries: if tries.len() > 1 { tries } else { Vec::new() },
        job: detail.job,
        p,
    })
}

/// Takes it back.
pub(crate) async fn undo(call: Call) -> Answer {
    let form = call.form(&[Param::one("reason", ""), Param::one("attempt", "")])?;
    let attempt = form.parse::<u32>("attempt")?;
    let why = form.text("reason").unwrap_or_default();
    let made = undo::order(&call, call.id()?, attempt, why).await?;
    Ok(see(&format!("/jobs/{}", made.id)))
}
