//! The ingest transaction: positions are read, what follows them is stored in each host's own
//! order, positions are advanced, all or nothing. Where the database refuses the data, the batch
//! is halved until the item that it refuses stands alone; that one is set aside.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use fleetmend_core::ids::{HostId, IncidentId, JobId, SpoolEpoch};
use fleetmend_core::incident::IncidentRules;
use fleetmend_core::report::Kind;
use fleetmend_core::spool_item::SpoolItem;
use fleetmend_core::time::Timestamp;
use fleetmend_faults::{Point, crash_point};

use super::failures::RollUpKey;
use super::positions::{self, Position};
use super::{
    HostItems, Incoming, IngestOutcome, Ingested, Random, failures, job_news, quarantine, recovery,
};
use crate::backend::{Db, Tx, run, transaction};
use crate::error::Result;
use crate::hosts::facts::save_evidence;
use crate::incidents::triage::want_triage_of;
use crate::sql::statements;

statements! {
    SAVEPOINT = "SAVEPOINT ingest";
    RELEASE = "RELEASE SAVEPOINT ingest";
    ROLLBACK = "ROLLBACK TO SAVEPOINT ingest";
}

/// Incidents named to listeners after one transaction.
const NAMED: usize = 1_000;

/// An item that is next in its spool.
#[derive(Debug, Clone, Copy)]
pub(super) struct Accepted<'a> {
    pub(super) host: HostId,
    pub(super) epoch: SpoolEpoch,
    pub(super) sequence: u64,
    pub(super) item: &'a Incoming,
    /// Which [`HostItems`] it came in.
    source: usize,
}

/// What applying some items did; thrown away when they are rolled back.
#[derive(Debug, Default)]
pub(super) struct Effects {
    pub(super) incidents: BTreeSet<IncidentId>,
    pub(super) jobs: BTreeSet<JobId>,
    pub(super) logs: BTreeSet<JobId>,
    pub(super) triage: bool,
    /// Whether a try of a job came to its end.
    pub(super) ended: bool,
    /// What the failures add to the roll-up.
    pub(super) roll_up: BTreeMap<RollUpKey, i64>,
    /// Items refused by their meaning: their place among those applied, and why.
    pub(super) refused: Vec<(usize, String)>,
}

impl Db {
    /// Stores what agents sent, exactly once and in order, in one transaction. `random` gives the
    /// bytes of new ids.
    pub async fn ingest(
        &self,
        batch: &[HostItems],
        now: Timestamp,
        random: Random<'_>,
    ) -> Result<Ingested> {
        self.ensure_report_partitions(now.day()..=now.day()).await?;
        let done = transaction!(self, |tx| {
            let spools = batch.iter().map(|items| (items.host, items.epoch));
            let mut positions = positions::read(tx, spools).await?;
            let before: BTreeMap<_, u64> =
                positions.iter().map(|(k, p)| (*k, p.sequence)).collect();

            let mut outcomes = Vec::with_capacity(batch.len());
            let mut accepted = Vec::new();
            for (source, items) in batch.iter().enumerate() {
                let position = positions.get_mut(&(items.host, items.epoch));
                outcomes.push(accept(items, source, position, &mut accepted));
            }
            let mut total = Effects::default();
            store(tx, &accepted, &self.rules, now, &mut *random, &mut total, &mut outcomes).await?;
            positions.retain(|key, position| before.get(key) != Some(&position.sequence));
            let moved: Vec<_> = positions.into_iter().collect();
            positions::write(tx, &moved, now).await?;
            failures::roll_up(tx, &total.roll_up).await?;
            crash_point(Point::IngestBeforeCommit);
            Ok(Ingested {
                outcomes,
                incidents: total.incidents.into_iter().take(NAMED).collect(),
                jobs: total.jobs.into_iter().collect(),
                logs: total.logs.into_iter().collect(),
                triage: total.triage,
                ended: total.ended,
            })
        });
        match &done {
            Ok(_) => crash_point(Point::IngestAfterCommit),
            Err(_) => self.forget_partitions(),
        }
        done
    }
}

/// Takes the items that follow the position, in order: repeats are passed over, and nothing is
/// taken behind a hole.
fn accept<'a>(
    items: &'a HostItems,
    source: usize,
    position: Option<&mut Position>,
    accepted: &mut Vec<Accepted<'a>>,
) -> IngestOutcome {
    let (host, epoch) = (items.host, items.epoch);
    let mut outcome = IngestOutcome {
        host,
        epoch,
        acknowledged: position.as_ref().map_or(0, |p| p.sequence),
        applied: 0,
        repeated: 0,
        quarantined: 0,
        refused: 0,
        foreign: false,
    };
    let Some(position) = position.filter(|p| p.may_report) else {
        outcome.foreign = true;
        outcome.refused = items.items.len() as u64;
        return outcome;
    };
    for (sequence, item) in &items.items {
        if *sequence <= position.sequence {
            outcome.repeated += 1;
        } else if outcome.refused == 0 && *sequence == position.sequence + 1 {
            position.sequence = *sequence;
            outcome.applied += 1;
            accepted.push(Accepted { host, epoch, sequence: *sequence, item, source });
        } else {
            outcome.refused += 1;
        }
    }
    outcome.acknowledged = position.sequence;
    outcome
}

/// Applies the items, halving where the database refuses them.
async fn store(
    tx: &mut Tx,
    accepted: &[Accepted<'_>],
    rules: &IncidentRules,
    now: Timestamp,
    random: Random<'_>,
    total: &mut Effects,
    outcomes: &mut [IngestOutcome],
) -> Result<()> {
    let mut waiting = if accepted.is_empty() { vec![] } else { vec![accepted] };
    while let Some(items) = waiting.pop() {
        run!(&mut *tx, sqlx::query(SAVEPOINT))?;
        let refused = match apply(tx, items, rules, now, &mut *random).await {
            Ok(effects) => {
                run!(&mut *tx, sqlx::query(RELEASE))?;
                total.incidents.extend(effects.incidents);
                total.jobs.extend(effects.jobs);
                total.logs.extend(effects.logs);
                total.triage |= effects.triage;
                total.ended |= effects.ended;
                for (key, n) in effects.roll_up {
                    *total.roll_up.entry(key).or_default() += n;
                }
                effects.refused
            }
            Err(e) if e.refuses_data() => {
                run!(&mut *tx, sqlx::query(ROLLBACK))?;
                run!(&mut *tx, sqlx::query(RELEASE))?;
                if items.len() > 1 {
                    // The first half is taken next: order within a host holds.
                    let (first, second) = items.split_at(items.len() / 2);
                    waiting.extend([second, first]);
                    continue;
                }
                vec![(0, crate::error::said(&e))]
            }
            Err(e) => return Err(e),
        };
        for (place, why) in refused {
            let item = &items[place];
            quarantine::set_aside(tx, item, &why, now).await?;
            let outcome = &mut outcomes[item.source];
            outcome.applied -= 1;
            outcome.quarantined += 1;
        }
    }
    Ok(())
}

/// Applies items of many hosts: all leading failures of every host at once, with the successes that
/// follow them, then whatever comes before each host's next failure, and so on. Hosts do not depend
/// on each other.
async fn apply(
    tx: &mut Tx,
    items: &[Accepted<'_>],
    rules: &IncidentRules,
    now: Timestamp,
    random: Random<'_>,
) -> Result<Effects> {
    let mut effects = Effects::default();
    let mut queues: BTreeMap<HostId, VecDeque<(usize, &SpoolItem)>> = BTreeMap::new();
    for (place, accepted) in items.iter().enumerate() {
        match accepted.item {
            Incoming::Item(item) => {
                queues.entry(accepted.host).or_default().push_back((place, item));
            }
            Incoming::Unreadable { reason } => effects.refused.push((place, reason.clone())),
        }
    }
    while !queues.is_empty() {
        let mut leading = Vec::new();
        for (host, queue) in &mut queues {
            // A success ends what came before it: what fails after it is not counted with that.
            let mut ended = false;
            while let Some((_, SpoolItem::Failure(failure))) = queue.front() {
                if ended && failure.failure.kind == Kind::Failure {
                    break;
                }
                ended |= failures::ends_something(failure);
                leading.push((*host, &**failure));
                queue.pop_front();
            }
        }
        failures::store(tx, &leading, rules, now, &mut *random, &mut effects).await?;
        for (host, queue) in &mut queues {
            while let Some((place, item)) = queue.front().copied() {
                if matches!(item, SpoolItem::Failure(_)) {
                    break;
                }
                queue.pop_front();
                if let Some(why) = one(tx, *host, item, now, &mut effects).await? {
                    effects.refused.push((place, why));
                }
            }
        }
        queues.retain(|_, queue| !queue.is_empty());
    }
    Ok(effects)
}

/// Applies one item that is no failure. `Some` is why it makes no sense.
async fn one(
    tx: &mut Tx,
    host: HostId,
    item: &SpoolItem,
    now: Timestamp,
    effects: &mut Effects,
) -> Result<Option<String>> {
    match item {
        // Taken many at once, before.
        SpoolItem::Failure(_) => Ok(None),
        SpoolItem::Recovery(recovery) => {
            recovery::store(tx, host, recovery, now, effects).await?;
            Ok(None)
        }
        SpoolItem::Evidence(found) => {
            let found: Vec<_> = found.iter().map(|evidence| (host, evidence)).collect();
            save_evidence(tx, &found, now).await?;
            want_triage_of(tx, &[host]).await?;
            effects.triage = true;
            Ok(None)
        }
        SpoolItem::Job(update) => job_news::update(tx, host, update, now, effects).await,
        SpoolItem::Log(log) => job_news::log(tx, host, log, effects).await,
        SpoolItem::Gap(gap) => {
            recovery::gap(tx, host, gap, now).await?;
            Ok(None)
        }
    }
}
