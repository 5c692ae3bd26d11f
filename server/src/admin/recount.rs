//! `recount`: the roll-up that trends are drawn from, counted anew from the reports.

use std::io::Write as _;

use fleetmend_core::time::{Clock, Timestamp};
use fleetmend_store::Db;

/// Counts every day anew whose reports are all held, day by day, and prints each number that was
/// wrong. Servers may go on meanwhile.
pub(super) async fn run(db: &Db, clock: &dyn Clock) -> anyhow::Result<()> {
    let days = db.days_to_recount(clock.now()).await?;
    let (mut looked_at, mut wrong) = (0_u64, 0_u64);
    let mut failed = None;
    for day in days.clone() {
        db.recount(day, &mut |number| {
            let out = &mut std::io::stdout().lock();
            let code = if number.code.is_empty() { "no code" } else { &number.code };
            let written = writeln!(
                out,
                "{}  {} {} {code}: {} was {}",
                date(number.day),
                number.product,
                number.operation,
                number.held,
                number.told
            );
            failed = failed.take().or(written.err());
            wrong += 1;
        })
        .await?;
        looked_at += 1;
    }
    if let Some(error) = failed {
        return Err(error.into());
    }
    let from = if looked_at == 0 {
        "there are no reports".to_owned()
    } else {
        format!("{looked_at} days from {}", date(*days.start()))
    };
    super::commands::note(&format!("{from}; {wrong} numbers were wrong and are mended"));
    Ok(())
}

/// A day as people write it.
fn date(day: i64) -> String {
    let midnight = Timestamp::from_millis(day.saturating_mul(86_400_000)).to_string();
    midnight.split('T').next().unwrap_or_default().to_owned()
}
