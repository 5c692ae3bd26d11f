//! `wait_until`: looks again until a probe answers *no*.

use fleetmend_core::evidence::Answer;
use fleetmend_core::words::Slug;
use tokio::time::{Instant, sleep};

use crate::probe::About;

use super::{Applied, Bench, Checked, StepError, UndoRecord};

pub(super) async fn check(probe: &Slug, bench: &Bench<'_>) -> Result<Checked, StepError> {
    let seen = bench.prober.ask(probe, About::again(bench.values.get(probe))).await;
    Ok(match seen.answer {
        Answer::No => Checked::AlreadySo(seen.proof),
        Answer::Yes | Answer::Unknown => Checked::Todo(UndoRecord::Nothing),
    })
}

pub(super) async fn apply(probe: &Slug, bench: &Bench<'_>) -> Result<Applied, StepError> {
    let deadline = Instant::now() + bench.timeout;
    let mut said = String::new();
    loop {
        let seen = bench.prober.ask(probe, About::again(bench.values.get(probe))).await;
        if seen.answer == Answer::No {
            return Ok(Applied { detail: seen.proof, exit: None });
        }
        if Instant::now() >= deadline {
            let waited = bench.timeout.as_secs();
            return Err(StepError::failed(format!(
                "{probe} still answers {} after {waited} s: {}",
                seen.answer, seen.proof
            )));
        }
        if said != seen.proof {
            // Whoever looks at the job sees what it waits for.
            bench.log.say(&format!("{probe}: {}", seen.proof));
            said = seen.proof;
        }
        sleep(bench.look_every).await;
    }
}
