//! Asking the host a question of the catalogue, by name.

use std::sync::Arc;

use async_trait::async_trait;
use fleetmend_core::evidence::{Answer, Evidence, Finding};
use fleetmend_core::knowledge::Catalogue;
use fleetmend_core::time::Clock;
use fleetmend_core::words::Slug;

use crate::platform::Platform;
use crate::probe::About;
use crate::{probe, random};

/// Answers probes. The executor asks through this, so that its tests say what the host is like.
#[async_trait]
pub trait Prober: Send + Sync + std::fmt::Debug {
    /// Answers one probe; what cannot be found out is *unknown*.
    async fn ask(&self, probe: &Slug, about: About<'_>) -> Evidence;
}

/// Answers from the machine itself.
#[derive(Debug)]
pub struct HostProber {
    /// The machine.
    pub platform: Arc<dyn Platform>,
    /// What the probes mean.
    pub catalogue: &'static Catalogue,
    /// The time of the answers.
    pub clock: Arc<dyn Clock>,
}

#[async_trait]
impl Prober for HostProber {
    async fn ask(&self, id: &Slug, about: About<'_>) -> Evidence {
        let now = self.clock.now();
        match self.catalogue.probes.get(id) {
            Some(known) => {
                probe::answer(self.platform.as_ref(), known, about, now, &mut random::ten).await
            }
            None => Finding::unknown(format!("this agent's catalogue has no probe \"{id}\""))
                .into_evidence(random::evidence_id(now), id.clone(), now),
        }
    }
}

/// Whether an answer says that the fault is there.
pub fn is_yes(evidence: &Evidence) -> bool {
    evidence.answer == Answer::Yes
}
