//! What a person does to a campaign. Each act has a page that says first what will happen to how many
//! hosts.

use std::collections::BTreeSet;

use askama::Template;
use fleetmend_core::campaign::{CampaignState, Outcome, Remedy, Schedule, retry};
use fleetmend_core::ids::{CampaignId, JobId};
use fleetmend_core::job::JobState;
use fleetmend_core::knowledge::Risk;
use fleetmend_core::reason::Reason;
use fleetmend_core::step::Undo;
use fleetmend_core::token::Permission;
use fleetmend_core::words::Slug;
use fleetmend_store::{Campaign, CampaignLook, CampaignMove, UndoStanding, Undoable};

use super::does;
use super::page::look;
use super::words::{self, Line};
use crate::campaigns;
use crate::http::api::{campaigns as doing, reason};
use crate::http::auth::Caller;
use crate::http::call::Call;
use crate::http::problem::Problem;
use crate::http::route::{Answer, Param};
use crate::http::web::i18n::Words;
use crate::http::web::{Frame, html, html_with, see};

/// Jobs that the page of an undo names.
const SHOWN: usize = 200;

/// What can be done to a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Edit,
    Approve,
    Start,
    Pause,
    Resume,
    Abort,
    Cancel,
    Retry,
    Undo,
}

/// A button of a campaign's page.
#[derive(Debug)]
pub(crate) struct ActLink {
    pub(crate) word: &'static str,
    pub(crate) label: String,
    pub(crate) primary: bool,
    pub(crate) danger: bool,
}

#[derive(Debug, Template)]
#[template(path = "campaign_act.html")]
struct ActPage {
    p: Frame,
    c: Campaign,
    word: &'static str,
    title: String,
    /// Why it was not done; safe as HTML.
    refused: String,
    irreversible: Vec<(String, String)>,
    needs: Vec<Reason>,
    will: Vec<String>,
    is_approval: bool,
    /// Whether it can be done at all now: else there is no button.
    doable: bool,
    /// The number to be typed, where it is dangerous.
    count: Option<u64>,
    danger: bool,
    button: String,
    undo: Vec<UndoRow>,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct UndoRow {
    job: JobId,
    host_name: String,
    remediation: Slug,
    state: JobState,
    said: String,
}

impl Act {
    const ALL: [Self; 9] = [
        Self::Approve,
        Self::Start,
        Self::Resume,
        Self::Pause,
        Self::Abort,
        Self::Retry,
        Self::Undo,
        Self::Edit,
        Self::Cancel,
    ];

    /// Its word in addresses.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Edit => "edit",
            Self::Approve => "approve",
            Self::Start => "start",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Abort => "abort",
            Self::Cancel => "cancel",
            Self::Retry => "retry",
            Self::Undo => "undo",
        }
    }

    /// Who may. What was approved for one host starts who may order for one.
    pub(crate) fn needs(self, c: &Campaign) -> Permission {
        match self {
            Self::Approve => Permission::Approve,
            Self::Pause | Self::Abort => Permission::Remediate,
            Self::Start if c.definition.max_hosts == Some(1) => Permission::Remediate,
            Self::Edit | Self::Start | Self::Resume | Self::Cancel | Self::Retry | Self::Undo => {
                Permission::Author
            }
        }
    }

    /// The buttons of a campaign for who looks at it.
    pub(crate) fn possible(c: &Campaign, call: &Call, t: Words) -> Vec<ActLink> {
        let caller = call.caller.as_ref();
        let is_author = caller.is_some_and(|who| wrote(c, who));
        Self::ALL
            .into_iter()
            .filter(|act| {
                act.fits(c) && caller.is_some_and(|who| who.require(act.needs(c)).is_ok())
            })
            .filter(|act| !(*act == Self::Approve && is_author))
            .map(|act| ActLink {
                word: act.word(),
                label: t.s(&format!("act.open.{}", act.word())).to_owned(),
                primary: matches!(act, Self::Approve | Self::Start | Self::Resume),
                danger: matches!(act, Self::Abort | Self::Undo),
            })
            .collect()
    }

    /// Whether a campaign is where this can be done.
    fn fits(self, c: &Campaign) -> bool {
        use CampaignState as S;
        match self {
            Self::Edit => matches!(c.state, S::Draft | S::AwaitingApproval | S::Scheduled),
            Self::Approve => c.awaits_approval(),
            Self::Start => matches!(c.state, S::Draft | S::Scheduled) && !c.lacks_approval(),
            Self::Pause => matches!(c.state, S::Running | S::Scheduled),
            Self::Resume => c.state == S::Paused && !c.lacks_approval(),
            Self::Abort => matches!(c.state, S::Running | S::Paused),
            Self::Cancel => matches!(c.state, S::Draft | S::AwaitingApproval | S::Scheduled),
            Self::Retry => matches!(c.state, S::Aborted | S::CompletedWithErrors | S::Paused),
            Self::Undo => {
                matches!(c.state, S::Aborted | S::CompletedWithErrors | S::Completed | S::Paused)
                    && c.undoes.is_none()
                    && c.definition.remedy != Remedy::VerifyOnly
                    && c.hosts > 0
            }
        }
    }

    /// The act that an address names.
    fn of(call: &Call) -> Result<Self, Problem> {
        let word = call.raw_path.rsplit('/').next().unwrap_or_default();
        Self::ALL
            .into_iter()
            .find(|act| act.word() == word)
            .ok_or_else(|| Problem::not_found("nothing is at this address"))
    }
}

/// Whether somebody wrote a campaign, or changed it last: that person may not approve it, nor who ever
/// changed it. The store holds to it whatever a page shows.
pub(crate) fn wrote(c: &Campaign, who: &Caller) -> bool {
    let names = [who.answerable(), who.actor()];
    [&c.created_by, &c.edited_by].iter().any(|author| names.contains(author))
}

/// Asks: what will happen, to how many hosts.
pub(crate) async fn ask(call: Call) -> Answer {
    let act = Act::of(&call)?;
    html(&asked(&call, act, String::new()).await?)
}

/// Does it.
pub(crate) async fn act(call: Call) -> Answer {
    const FORM: &[Param] =
        &[Param::one("reason", ""), Param::one("digest", ""), Param::one("hosts", "")];
    let form = call.form(FORM)?;
    let act = Act::of(&call)?;
    let id: CampaignId = call.id()?;
    let page = asked(&call, act, String::new()).await?;
    if let Some(count) = page.count {
        let typed: String =
            form.text("hosts").unwrap_or_default().chars().filter(char::is_ascii_digit).collect();
        if typed != count.to_string() {
            let why = call.words.f("act.refused.count", count);
            return again(&call, act, why).await;
        }
    }
    let why = form.text("reason").unwrap_or_default();
    // An approval's note may be left out; what is done to a campaign has a reason.
    let why = if act == Act::Approve { why } else { reason(why)? };
    let done = match act {
        Act::Approve => {
            let digest = form.text("digest").unwrap_or_default();
            doing::approve_as(&call, id, digest, why).await.map(|_| id)
        }
        Act::Start => doing::start_as(&call, id, why, page.c.state == CampaignState::Scheduled)
            .await
            .map(|_| id),
        Act::Pause => doing::move_as(&call, id, CampaignMove::Pause, why).await.map(|_| id),
        Act::Resume => doing::move_as(&call, id, CampaignMove::Resume, why).await.map(|_| id),
        Act::Abort => doing::move_as(&call, id, CampaignMove::Abort, why).await.map(|_| id),
        Act::Cancel => doing::move_as(&call, id, CampaignMove::Cancel, why).await.map(|_| id),
        Act::Retry => doing::retry_as(&call, id, why).await.map(|_| id),
        Act::Undo => doing::undo_as(&call, id, why).await.map(|c| c.id),
        Act::Edit => return Err(Problem::not_found("nothing is at this address")),
    };
    match done {
        Ok(id) => Ok(see(&format!("/campaigns/{id}"))),
        // What the present state forbids is told on the page that asked.
        Err(problem) if problem.status.is_client_error() => {
            again(&call, act, call.words.told(&problem.detail)).await
        }
        Err(problem) => Err(problem),
    }
}

async fn again(call: &Call, act: Act, why: String) -> Answer {
    html_with(axum::http::StatusCode::CONFLICT, &asked(call, act, why).await?)
}

/// `refused` is safe as HTML.
async fn asked(call: &Call, act: Act, refused: String) -> Result<ActPage, Problem> {
    let look = look(call, call.id()?).await?;
    let p = Frame::new(call, "campaigns");
    let t = p.t;
    let catalogue = call.shared().catalogue;
    let definition = &look.campaign.definition;
    let begins = matches!(act, Act::Approve | Act::Start);
    let mut said = match act {
        Act::Approve | Act::Start => beginning(call, &look, t).await?,
        _ => Said { will: standing_said(&look, act, call, t), ..Said::default() },
    };
    if act == Act::Undo {
        said = undoing(call, &look, t).await?;
    }
    if act == Act::Retry {
        said.count = Some(retry(&look.snapshot, call.now).len() as u64);
    }
    let idle = matches!(act, Act::Undo | Act::Retry) && said.count == Some(0);
    let irreversible =
        if begins { does::irreversible(definition, catalogue, t) } else { Vec::new() };
    // What is dangerous is asked for by number.
    let dangerous = definition.max_risk == Risk::Dangerous || !irreversible.is_empty();
    let word = act.word();
    let refused = if refused.is_empty() && !act.fits(&look.campaign) {
        t.f("act.refused.now", t.word("campaign", look.campaign.state))
    } else {
        refused
    };
    Ok(ActPage {
        doable: !idle && act.fits(&look.campaign),
        word,
        title: t.f(&format!("act.title.{word}"), &definition.name),
        needs: if begins { look.campaign.needs.clone() } else { Vec::new() },
        is_approval: act == Act::Approve,
        count: said.count.filter(|n| *n > 0 && act == Act::Start && dangerous),
        danger: matches!(act, Act::Abort | Act::Undo) || (act == Act::Start && dangerous),
        button: button(act, &said, t),
        lines: if begins { words::lines(definition, catalogue, t) } else { Vec::new() },
        irreversible,
        refused,
        will: said.will,
        undo: said.undo,
        c: look.campaign,
        p,
    })
}

/// What a page says will happen.
#[derive(Debug, Default)]
struct Said {
    will: Vec<String>,
    /// Hosts that it is about.
    count: Option<u64>,
    /// Hosts of the first wave.
    first: u64,
    undo: Vec<UndoRow>,
}

fn button(act: Act, said: &Said, t: Words) -> String {
    let key = format!("act.do.{}", act.word());
    match (act, said.count) {
        (Act::Start, Some(count)) if said.first > 0 => {
            t.f2("act.start_on", t.num(said.first), t.n("act.of_hosts", count))
        }
        (Act::Undo, Some(count)) => t.n("act.undo_on", count),
        (Act::Retry, Some(count)) => t.n("act.retry_on", count),
        _ => t.s(&key).to_owned(),
    }
}

/// What begins with a start, now or later.
async fn beginning(call: &Call, look: &CampaignLook, t: Words) -> Result<Said, Problem> {
    let c = &look.campaign;
    let found = campaigns::select(call.shared(), &c.definition, Some(c.id), call.now).await?;
    let count = found.members.len() as u64;
    let labels = || found.members.iter().map(|member| &member.labels);
    let first = c.definition.planned_waves(labels()).first().map_or(0, |wave| wave.hosts as u64);
    let mut will = vec![t.f2("act.will_start", t.n("count.hosts", count), t.num(first))];
    for (wave, label) in c.definition.waves_for_nobody(labels()) {
        will.push(t.f2("camps.no_canary", t.num(wave), label));
    }
    if c.definition.schedule != Schedule::ByHand {
        will.push(t.s("act.will_schedule").to_owned());
    }
    if !found.left_out.is_empty() {
        will.push(t.n("act.will_leave", found.left_out.len()));
    }
    if look.snapshot.halted {
        will.push(t.s("act.will_halted").to_owned());
    }
    will.push(t.s("act.will_watch").to_owned());
    Ok(Said { will, count: Some(count), first, undo: Vec::new() })
}

/// What happens to the hosts of a campaign that has begun.
fn standing_said(look: &CampaignLook, act: Act, call: &Call, t: Words) -> Vec<String> {
    let over = look.campaign.state.is_final();
    let count = |wanted: &[Outcome]| {
        let stands = |h: &&fleetmend_core::campaign::HostStanding| {
            wanted.contains(&h.outcome(over, call.now))
        };
        look.snapshot.hosts.iter().filter(stands).count()
    };
    let at_work = count(&[Outcome::Running, Outcome::Verifying, Outcome::Silent]);
    let queued = count(&[Outcome::Queued]);
    let waiting = count(&[Outcome::Waiting]);
    let mut will = Vec::new();
    match act {
        Act::Pause | Act::Abort => {
            will.push(t.n("act.will_wait", waiting));
            will.push(t.n("act.will_recall", queued));
            will.push(t.n("act.will_finish", at_work));
            will.push(t.s(&format!("act.then.{}", act.word())).to_owned());
        }
        Act::Retry => {
            will.push(t.n("act.will_retry", retry(&look.snapshot, call.now).len()));
            let left = count(&[Outcome::NotReached]);
            if look.campaign.state == CampaignState::Aborted && left > 0 {
                will.push(t.n("act.will_set_aside", left));
            }
            will.push(t.s("act.then.retry").to_owned());
        }
        Act::Resume => {
            will.push(t.n("act.will_go_on", waiting));
            will.push(t.s("act.then.resume").to_owned());
        }
        _ => will.push(t.s(&format!("act.then.{}", act.word())).to_owned()),
    }
    will
}

/// What of a campaign can still be taken back.
async fn undoing(call: &Call, look: &CampaignLook, t: Words) -> Result<Said, Problem> {
    let set = call.db().campaign_undo_set(look.campaign.id, call.now).await?;
    let catalogue = call.shared().catalogue;
    let undo_of = |tried: &Undoable| campaigns::undo_of(catalogue, tried);
    let next = campaigns::undo_next(catalogue, set.clone());
    let count = |undo: Undo| next.values().filter(|tried| undo_of(tried) == undo).count();
    let possible = next.len();
    let jobs: BTreeSet<JobId> = set.iter().map(|tried| tried.job).collect();
    let kept = jobs.len() - jobs.iter().filter(|id| next.values().any(|u| u.job == **id)).count();
    let mut will = vec![
        t.n("act.undo_exact", count(Undo::Exact)),
        t.n("act.undo_compensating", count(Undo::Compensating)),
        t.n("act.undo_not", kept),
        t.s("act.then.undo").to_owned(),
    ];
    if set.is_empty() {
        will = vec![t.s("act.undo_nothing").to_owned()];
    }
    let rows = set.into_iter().take(SHOWN).map(|job| UndoRow {
        said: match (job.standing, undo_of(&job)) {
            (UndoStanding::Possible, undo) => t.word("undo", undo),
            (standing, _) => t.word("undo_standing", standing),
        },
        job: job.job,
        host_name: job.host_name,
        remediation: job.remediation,
        state: job.state,
    });
    Ok(Said { undo: rows.collect(), will, count: Some(possible as u64), first: 0 })
}
