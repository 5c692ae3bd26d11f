//! A campaign's page: is it going well, what is it waiting for, and how is it stopped?

use askama::Template;
use fleetmend_core::ids::CampaignId;
use fleetmend_core::job::JobState;
use fleetmend_store::{
    Approval, Campaign, CampaignLook, HostResult, PageRequest, ResultFilter, Stands,
};

use super::acts::{Act, ActLink};
use super::standing::{Standing, standing};
use super::words::{self, Line};
use crate::http::api::campaigns::find;
use crate::http::call::Call;
use crate::http::params::encode;
use crate::http::problem::Problem;
use crate::http::route::Answer;
use crate::http::web::i18n::Words;
use crate::http::web::{Frame, html, kept};

/// Hosts of a page.
const ROWS: u32 = 100;
/// Filters that stand for several states of a job.
const ERRORS: [JobState; 4] =
    [JobState::Failed, JobState::RolledBack, JobState::TimedOut, JobState::Unknown];

#[derive(Debug, Template)]
#[template(path = "campaign.html")]
struct CampaignPage {
    p: Frame,
    c: Campaign,
    standing: Standing,
    lines: Vec<Line>,
    acts: Vec<ActLink>,
    hosts: Vec<HostResult>,
    hosts_total: u64,
    next: String,
    outcomes: Vec<Pick>,
    kept: Vec<(String, String)>,
    filtered: bool,
    approvals: Vec<Approval>,
}

#[derive(Debug)]
struct Pick {
    value: &'static str,
    label: String,
    chosen: bool,
}

impl CampaignPage {
    /// How a host stands, as a badge.
    fn badge(&self, host: &HostResult) -> String {
        match host.stands {
            Stands::Job(state) => self.p.badge("job", state),
            other => self.p.badge("outcome", other.outcome()),
        }
    }
}

/// A campaign with its snapshot, or 404.
pub(super) async fn look(call: &Call, id: CampaignId) -> Result<CampaignLook, Problem> {
    // What comes next on a host does not matter to what is shown.
    let mut look = call.db().campaign_snapshot(id, &|_| false, call.now).await?;
    look.snapshot.halted |= call.shared().halt.is_halted();
    Ok(look)
}

/// The page.
pub(crate) async fn page(call: Call) -> Answer {
    let id: CampaignId = call.id()?;
    let campaign = find(&call, id).await?;
    let counts = call.db().campaign_counts(id, call.now).await?;
    let p = Frame::new(&call, "campaigns");
    let outcome = call.query.text("outcome").unwrap_or_default().to_owned();
    let filter = filter(&call, &outcome)?;
    let cursor = call.query.parse("cursor")?;
    let page = call
        .db()
        .campaign_results(id, &filter, &PageRequest { limit: ROWS, cursor }, call.now)
        .await?;
    let next = page.next.map(|cursor| {
        let query = if outcome.is_empty() { String::new() } else { format!("&outcome={outcome}") };
        format!("/campaigns/{id}?cursor={}{query}#hosts", encode(&cursor.to_string()))
    });
    html(&CampaignPage {
        standing: standing(&campaign, &counts, p.t),
        lines: words::lines(&campaign.definition, call.shared().catalogue, p.t),
        acts: Act::possible(&campaign, &call, p.t),
        hosts: page.items,
        hosts_total: page.total,
        next: next.unwrap_or_default(),
        outcomes: picks(&outcome, p.t),
        kept: kept(&call, &["outcome"]),
        filtered: !outcome.is_empty(),
        approvals: call.db().campaign_approvals(id).await?,
        c: campaign,
        p,
    })
}

/// Which hosts are wanted.
fn filter(call: &Call, outcome: &str) -> Result<ResultFilter, Problem> {
    let of = |which: &dyn Fn(JobState) -> bool| -> Vec<Stands> {
        JobState::ALL.iter().copied().filter(|s| which(*s)).map(Stands::Job).collect()
    };
    let mut stands = match outcome {
        "" => Vec::new(),
        "excluded" => vec![Stands::LeftOut],
        "errors" => of(&|state| ERRORS.contains(&state)),
        "flight" => of(&|state| !state.is_final()),
        _ => call.query.word::<Stands>("outcome")?.into_iter().collect(),
    };
    // Who fell silent is in error, and still at work.
    if matches!(outcome, "errors" | "flight") {
        stands.push(Stands::Silent);
    }
    Ok(ResultFilter { stands, ..ResultFilter::default() })
}

fn picks(chosen: &str, t: Words) -> Vec<Pick> {
    let several = [
        ("errors", t.s("camps.all_errors").to_owned()),
        ("flight", t.s("camps.all_flight").to_owned()),
        ("silent", t.word("outcome", "silent")),
        ("waiting", t.word("outcome", "waiting")),
        ("excluded", t.word("outcome", "excluded")),
    ];
    let states = JobState::ALL.iter().map(|state| (state.as_str(), t.word("job", state)));
    several
        .into_iter()
        .chain(states)
        .map(|(value, label)| Pick { chosen: value == chosen, value, label })
        .collect()
}
