//! Carries campaigns on: how each stands in, what the core's `advance` decides out, applied in one
//! transaction that is bound to what was looked at. The same after a crash: nothing is kept here.

mod look;
mod work;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use fleetmend_core::campaign::{CampaignState, Decisions, Membership, Schedule, Snapshot};
use fleetmend_core::ids::{CampaignId, HostId};
use fleetmend_core::reason::joined;
use fleetmend_core::time::Timestamp;
use fleetmend_store::{Applied, Campaign, CampaignLook, NextStep, NextWork, Selection, StoreError};
use tokio::time::Instant;
use tracing::Instrument as _;

use self::look::{awaits_clocks, expected, is_idle, moved, same_look};
use self::work::{Tasks, Untold};
use crate::background::{BackgroundTask, Outcome, Status};
use crate::campaigns;
use crate::events::Event;
use crate::metrics;
use crate::state::Shared;

/// Campaigns looked at in one activation.
const PORTION: u32 = 100;
/// Steps of one campaign in one activation: a long one leaves room for the others.
const STEPS: u32 = 20;
/// How often hosts that fail later are looked for.
const JOINING: Duration = Duration::from_mins(1);
/// The least time between two activations: every job's news nudges, and one look sees them all.
const PAUSE: Duration = Duration::from_millis(500);

/// The task.
#[derive(Debug)]
pub struct Campaigns {
    shared: Shared,
    pause: Duration,
    last: Option<Instant>,
    /// When hosts that fail later were last looked for.
    joined: HashMap<CampaignId, Timestamp>,
    /// The texts that may go on by the settings and the catalogue of today, which change with a restart
    /// only.
    current: HashSet<(CampaignId, String)>,
    /// Hosts that have not told what their remediation needs. Nothing is lost with it: since when stands
    /// in the store, and they are asked for again.
    untold: HashMap<(CampaignId, HostId), Untold>,
    /// Whether what was chosen for a host that has not begun costs the network: the causes of its failure
    /// tell of it only what may be. Nothing is lost with it: it is chosen again.
    costs: HashMap<(CampaignId, HostId), bool>,
}

impl Campaigns {
    /// A task over what the server shares.
    pub fn new(shared: Shared) -> Self {
        Self {
            shared,
            pause: PAUSE,
            last: None,
            joined: HashMap::new(),
            current: HashSet::new(),
            untold: HashMap::new(),
            costs: HashMap::new(),
        }
    }

    /// The same without a pause between two activations.
    #[must_use]
    pub fn without_pause(mut self) -> Self {
        self.pause = Duration::ZERO;
        self
    }

    async fn look_at_all(&mut self) -> Result<Status, StoreError> {
        let now = self.shared.clock.now();
        let at_work = self.shared.db.campaigns_at_work(PORTION).await?;
        let mut ids: BTreeSet<CampaignId> = at_work.into_iter().collect();
        metrics::campaigns_at_work(ids.len());
        ids.extend(self.shared.db.campaigns_due(now, PORTION).await?);
        self.joined.retain(|id, _| ids.contains(id));
        self.current.retain(|(id, _)| ids.contains(id));
        self.untold.retain(|(id, _), _| ids.contains(id));
        self.costs.retain(|(id, _), _| ids.contains(id));
        let (mut acted, mut more, mut failed) = (0, false, None);
        for id in ids {
            let span = tracing::info_span!("campaign", campaign.id = %id);
            let started = Instant::now();
            let done = self.carry_on(id).instrument(span).await;
            metrics::campaign_looked(started.elapsed());
            match done {
                Ok((steps, unfinished)) => {
                    acted += steps;
                    more |= unfinished;
                }
                Err(error) if error.is_unavailable() => return Err(error),
                // One that cannot be carried on does not hold up the others.
                Err(error) => {
                    tracing::error!(campaign.id = %id, %error, "a campaign could not be carried on");
                    failed = Some(error);
                }
            }
        }
        if let Some(error) = failed {
            return Ok(Status::failed(&error));
        }
        Ok(Status { outcome: if more { Outcome::More } else { Outcome::Done }, acted })
    }

    /// Steps until nothing more can be done now. Says how many were taken, and whether more are left.
    async fn carry_on(&mut self, id: CampaignId) -> Result<(u64, bool), StoreError> {
        for steps in 0..STEPS {
            if !self.step(id).await? {
                return Ok((u64::from(steps), false));
            }
        }
        Ok((u64::from(STEPS), true))
    }

    /// One look and what it decides. False where nothing moved.
    async fn step(&mut self, id: CampaignId) -> Result<bool, StoreError> {
        let now = self.shared.clock.now();
        let catalogue = self.shared.catalogue;
        let costs = |what: NextWork<'_>| campaigns::costs_network(catalogue, what);
        let CampaignLook { campaign, mut snapshot } =
            self.shared.db.campaign_snapshot(id, &costs, now).await?;
        snapshot.halted |= self.shared.halt.is_halted();
        if self.is_outdated(&campaign, now).await? {
            return Ok(true);
        }
        if self.join(&campaign, &snapshot, now).await? {
            return Ok(true);
        }
        if awaits_clocks(&campaign) {
            let found = self.hosts_of_run(&campaign, now).await?;
            snapshot.hosts = found.members.into_iter().map(expected).collect();
        }
        for host in snapshot.hosts.iter_mut().filter(|host| host.waits()) {
            let key = (id, host.host);
            if host.job.is_none() {
                host.untold = self.untold.get(&key).map(|untold| untold.again);
            }
            host.network = self.costs.get(&key).copied().unwrap_or(host.network);
        }
        let (decisions, Tasks { jobs, left_out, later }) =
            self.decide(&campaign, &mut snapshot, now).await?;
        if is_idle(&decisions) && same_look(&campaign, &decisions) {
            return Ok(false);
        }
        let selection =
            if decisions.new_run { Some(self.hosts_of_run(&campaign, now).await?) } else { None };
        let step = NextStep {
            revision: campaign.revision,
            decisions: &decisions,
            jobs: &jobs,
            left_out: &left_out,
            selection: selection.as_ref(),
        };
        let by = format!("campaign {id}");
        let Some(applied) = self.shared.db.apply_campaign(id, &step, &by, now).await? else {
            // Somebody changed it meanwhile: looked at again.
            return Ok(true);
        };
        self.tell(&campaign, &decisions, &applied);
        for (host, _) in &applied.started {
            self.untold.remove(&(id, *host));
            self.costs.remove(&(id, *host));
        }
        self.shared.db.note_waiting(&applied.campaign, &later, now).await?;
        Ok(moved(&decisions, &applied) || !later.is_empty())
    }

    /// Whether a campaign needed the word of a second person to go on, by the settings and the catalogue of
    /// today: then it waits for that, or is paused where it runs.
    async fn is_outdated(
        &mut self,
        campaign: &Campaign,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        use CampaignState as S;
        let repeats = matches!(
            campaign.definition.schedule,
            Schedule::Cron { .. } | Schedule::Monthly { .. }
        );
        let goes_on = match campaign.state {
            S::Scheduled | S::Running => true,
            S::Completed | S::CompletedWithErrors => repeats,
            S::Draft | S::AwaitingApproval | S::Paused | S::Aborted | S::Cancelled => false,
        };
        let key = (campaign.id, campaign.digest.clone());
        if !goes_on || self.current.contains(&key) {
            return Ok(false);
        }
        let Some(text) = campaigns::outdated(&self.shared, campaign) else {
            self.current.insert(key);
            return Ok(false);
        };
        let (id, by) = (campaign.id, format!("campaign {}", campaign.id));
        tracing::warn!(
            needs = joined(&text.needs),
            "a campaign does not go on unless it is approved anew"
        );
        match self.shared.db.ask_again(id, campaign.revision, &text, &by, now).await {
            Ok(_) => self.shared.events.tell(Event::Campaign { id }),
            // Somebody changed it meanwhile: looked at again.
            Err(StoreError::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// Takes in hosts that fail by now, where the campaign wants them. Says whether there were any.
    async fn join(
        &mut self,
        campaign: &Campaign,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let Membership::Joining { until } = campaign.definition.membership else {
            return Ok(false);
        };
        let takes = snapshot.state == CampaignState::Running && !snapshot.halted && now < until;
        let rested = self.joined.get(&campaign.id).is_none_or(|at| now.since(*at) >= JOINING);
        if !takes || !rested || campaign.undoes.is_some() {
            return Ok(false);
        }
        self.joined.insert(campaign.id, now);
        let (id, definition) = (campaign.id, &campaign.definition);
        let found = campaigns::select(&self.shared, definition, Some(id), now).await?;
        let by = format!("campaign {id}");
        let new = self.shared.db.join_campaign(id, campaign.revision, &found, &by, now).await?;
        Ok(new > 0)
    }

    async fn hosts_of_run(
        &self,
        campaign: &Campaign,
        now: Timestamp,
    ) -> Result<Selection, StoreError> {
        if let Some(undone) = campaign.undoes {
            return campaigns::undo_selection(&self.shared, undone, now).await;
        }
        campaigns::select(&self.shared, &campaign.definition, Some(campaign.id), now).await
    }

    fn tell(&self, campaign: &Campaign, decisions: &Decisions, applied: &Applied) {
        let shared = &self.shared;
        if let Some(transition) = &decisions.transition {
            tracing::info!(from = %campaign.state, to = %transition.to, why = %transition.why, "campaign moved");
            metrics::campaign_moved(transition.to);
        }
        let [started, went_on, left_out] =
            [applied.started.len(), applied.went_on.len(), applied.left_out.len()];
        if started + went_on + left_out > 0 {
            tracing::info!(started, went_on, left_out, "hosts of a campaign");
        }
        metrics::campaign_hosts(started, left_out);
        for (host, job) in applied.started.iter().chain(&applied.went_on) {
            shared.registry.nudge(*host);
            shared.events.tell(Event::Job { id: *job });
        }
        for job in &applied.recalled {
            shared.events.tell(Event::Job { id: *job });
        }
        if started > 0 {
            shared.nudges.deadlines.notify_one();
        }
        shared.events.tell(Event::Campaign { id: campaign.id });
    }
}

#[async_trait::async_trait]
impl BackgroundTask for Campaigns {
    fn name(&self) -> &'static str {
        "campaigns"
    }

    async fn activate(&mut self) -> Status {
        if let Some(last) = self.last {
            tokio::time::sleep(self.pause.saturating_sub(last.elapsed())).await;
        }
        let status = self.look_at_all().await.unwrap_or_else(|e| Status::failed(&e));
        self.last = Some(Instant::now());
        status
    }
}
