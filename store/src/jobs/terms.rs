//! What a job is for, whose it is, and how far it may go.

use fleetmend_core::campaign::RebootPolicy;
use fleetmend_core::hold::Interval;
use fleetmend_core::ids::CampaignId;
use fleetmend_core::knowledge::Risk;
use fleetmend_core::known::Known;
use fleetmend_core::limits;
use fleetmend_core::order::Task;
use fleetmend_core::words::Slug;
use uuid::Uuid;

use crate::error::Result;
use crate::row::{At, some};

/// The terms of a job. Unless said otherwise: one safe remediation of nobody's campaign, at any time,
/// where the host's own ceiling decides about a restart.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct JobTerms {
    /// What is asked for.
    pub task: Task,
    /// The campaign that it belongs to, and the wave in it, from 0. The store sets both.
    pub campaign: Option<(CampaignId, u32)>,
    /// Whether the plan's next remediation is tried after one that did not cure.
    pub climbs: bool,
    /// The highest risk of what may be tried.
    pub max_risk: Risk,
    /// Whether the host may be restarted.
    pub reboot: RebootPolicy,
    /// The spans in which it may begin; at any time where there is none. At most
    /// [`limits::BEGIN_SPANS`].
    pub begin_in: Vec<Interval>,
    /// How often a user may put a restart off.
    pub max_deferrals: u8,
    /// How long before a restart users are told of it, in seconds.
    pub notice_seconds: u32,
    /// What was known of the cause when the remediation was chosen. Where it is not kept, the same is
    /// never chosen again.
    pub known: Option<Known>,
    /// The cause's own probe: by its answer it is counted whether the cause was cleared.
    pub own_probe: Option<Slug>,
}

impl Default for JobTerms {
    fn default() -> Self {
        Self {
            task: Task::Remediate,
            campaign: None,
            climbs: false,
            max_risk: Risk::Safe,
            reboot: RebootPolicy::Anytime,
            begin_in: Vec::new(),
            max_deferrals: limits::DEFERRALS_DEFAULT,
            notice_seconds: u32::try_from(limits::NOTICE_DEFAULT.as_secs()).unwrap_or(u32::MAX),
            known: None,
            own_probe: None,
        }
    }
}

/// The columns of [`TermsRow`], of the job `j`.
macro_rules! terms_columns {
    () => {
        "j.task, j.undoes, j.undoes_attempt, j.campaign_id, j.wave, j.climbs, j.max_risk, j.reboot, j.begin_in, \
         j.max_deferrals, j.notice_s, j.known, j.own_probe"
    };
}
pub(super) use terms_columns;

#[derive(Debug, sqlx::FromRow)]
pub(super) struct TermsRow {
    task: String,
    undoes: Option<Uuid>,
    undoes_attempt: Option<i64>,
    campaign_id: Option<Uuid>,
    wave: Option<i64>,
    climbs: bool,
    max_risk: String,
    reboot: String,
    begin_in: String,
    max_deferrals: i64,
    notice_s: i64,
    known: String,
    own_probe: String,
}

impl TermsRow {
    pub(super) fn read(self, at: At<'_>) -> Result<JobTerms> {
        let task = match (self.task.as_str(), self.undoes) {
            ("remediate", _) => Task::Remediate,
            ("verify", _) => Task::Verify,
            ("undo", Some(job)) => Task::Undo {
                job: job.into(),
                attempt: at.number("undoes_attempt", self.undoes_attempt.unwrap_or(1))?,
            },
            (other, _) => return Err(at.bad("task", format!("\"{other}\" without its job"))),
        };
        let campaign = match self.campaign_id {
            Some(id) => Some((id.into(), at.number("wave", self.wave.unwrap_or(0))?)),
            None => None,
        };
        Ok(JobTerms {
            task,
            campaign,
            climbs: self.climbs,
            max_risk: at.word("max_risk", &self.max_risk)?,
            reboot: at.word("reboot", &self.reboot)?,
            begin_in: at.json("begin_in", &self.begin_in)?,
            max_deferrals: at.number("max_deferrals", self.max_deferrals)?,
            notice_seconds: at.number("notice_s", self.notice_s)?,
            known: some(self.known).map(|text| at.json("known", &text)).transpose()?,
            own_probe: at.maybe("own_probe", &self.own_probe)?,
        })
    }
}
