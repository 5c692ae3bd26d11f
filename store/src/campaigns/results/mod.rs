//! How a campaign's hosts stand: counted from their jobs, and one by one. Nothing is counted twice, for
//! nothing is kept twice.

use fleetmend_core::campaign::Outcome;
use fleetmend_core::job::JobState;
use fleetmend_core::limits;
use fleetmend_core::time::Timestamp;

/// How a host stands, by the rules of the core's `HostStanding::outcome`; `$cut` is the last moment at
/// which one that is silent was heard of. The campaign is over or is not: that is for the reader to say.
macro_rules! stands {
    ($cut:literal) => {
        concat!(
            "CASE WHEN NOT ch.left_out AND (ch.job_id IS NULL OR (j.begun_ms IS NULL AND (j.state = 'not_reached' \
                OR (j.state = 'cancelled' AND ch.recalled)))) THEN 'waiting' \
             WHEN ch.job_id IS NULL THEN 'left_out' \
             WHEN j.ended_ms IS NULL AND h.last_seen_ms <= ",
            $cut,
            " AND j.state_ms <= ",
            $cut,
            " AND (j.state IN ('running', 'rebooting') OR ((j.state IN ('reboot_pending', 'verifying') OR j.begun_ms IS NOT NULL) \
                AND h.last_seen_ms - j.state_ms < 900000)) THEN 'silent' \
             ELSE COALESCE(j.state, 'queued') END"
        )
    };
}

pub(crate) mod counts;
mod hosts;

pub use counts::{CampaignCounts, HostCounts, HostGroup, WaveCounts};
pub use hosts::{HostResult, ResultFilter};

/// How a host stands in a run, by the same words everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stands {
    /// Has no job, or one that never began and that it may have again.
    Waiting,
    /// Was left out before it had a job.
    LeftOut,
    /// Its job began, and it was not heard of since.
    Silent,
    /// As its job does.
    Job(JobState),
}

impl Stands {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::LeftOut => "left_out",
            Self::Silent => "silent",
            Self::Job(state) => state.as_str(),
        }
    }

    /// As the core counts it.
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Waiting => Outcome::Waiting,
            Self::LeftOut => Outcome::Excluded,
            Self::Silent => Outcome::Silent,
            Self::Job(state) => state.into(),
        }
    }

    /// The same where the run is over: who waits then is not reached any more.
    const fn at_end(self, over: bool) -> Self {
        match self {
            Self::Waiting if over => Self::Job(JobState::NotReached),
            other => other,
        }
    }
}

impl std::str::FromStr for Stands {
    type Err = fleetmend_core::words::UnknownWord;
    fn from_str(word: &str) -> std::result::Result<Self, Self::Err> {
        Ok(match word {
            "waiting" => Self::Waiting,
            "left_out" => Self::LeftOut,
            "silent" => Self::Silent,
            state => Self::Job(state.parse()?),
        })
    }
}

impl serde::Serialize for Stands {
    fn serialize<S: serde::Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

/// Who was heard of last at this moment or before is silent.
fn silent_at(now: Timestamp) -> i64 {
    let silence = i64::try_from(limits::SILENT_AFTER.as_millis()).unwrap_or(i64::MAX);
    now.as_millis().saturating_sub(silence)
}
