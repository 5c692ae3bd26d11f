//! Whether a certificate still lets its host in: asked at every stream open, and again and again
//! while the stream lives, so that a change made by any process ends it within seconds.

use std::collections::HashMap;
use std::time::Duration;

use fleetmend_core::host::Lifecycle as HostLife;
use fleetmend_core::limits;
use fleetmend_core::time::Timestamp;
use fleetmend_store::{CertificateStanding, StoreError};
use tonic::Status;

use crate::enroll::identity::HostCertificate;
use crate::lifecycle::Lifecycle;
use crate::state::Shared;

/// How often live streams are checked; below the five seconds that a revocation may take.
const PERIOD: Duration = Duration::from_secs(2);

/// Looks a certificate up, and refuses it with the reason where it does not stand.
pub(super) async fn check(
    shared: &Shared,
    identity: &HostCertificate,
) -> Result<CertificateStanding, Status> {
    let standing = shared.db.certificate_standing(&identity.serial).await.map_err(|error| {
        shared.database.failed("a certificate could not be looked up", &error);
        Status::unavailable("the server cannot look up the certificate now; try again")
    })?;
    let standing = standing
        .filter(|standing| standing.host == identity.host)
        .ok_or_else(|| Status::permission_denied("the certificate is unknown to this server"))?;
    match refusal(&standing, shared.clock.now()) {
        Some(why) => Err(Status::permission_denied(why)),
        None => Ok(standing),
    }
}

/// Looks after every live stream, for ever: ends those whose certificate no longer stands, and wakes
/// those for whose host something is due. Level-triggered, so that nothing can be missed; a few
/// questions for all streams together, so that a stream that rests costs the database nothing.
pub fn sweep(shared: Shared, life: &Lifecycle) {
    let soft = life.soft();
    life.spawn_part("check of live streams", async move {
        loop {
            tokio::select! {
                () = tokio::time::sleep(PERIOD) => {}
                () = soft.cancelled() => return,
            }
            if shared.registry.connected() > 0
                && let Err(error) = sweep_once(&shared).await
            {
                // Whoever may not connect any more cannot be known now; streams that rest do no harm,
                // and nothing can be ordered or stored either. The next look is two seconds away.
                shared.database.failed("live streams could not be checked", &error);
            }
        }
    });
}

async fn sweep_once(shared: &Shared) -> Result<(), StoreError> {
    let now = shared.clock.now();
    let alive = now.before(limits::CLOCK_SKEW);
    let refused: HashMap<String, HostLife> =
        shared.db.refused_certificates(alive).await?.into_iter().collect();
    shared.registry.end_where(|serial, not_after| match refused.get(serial) {
        Some(lifecycle) => Some(refused_life(*lifecycle).unwrap_or(REVOKED)),
        None => expired(not_after, now),
    });
    for host in shared.db.hosts_with_orders(now).await? {
        shared.registry.nudge(host);
    }
    Ok(())
}

/// Why a certificate does not let its host in; `None` where it does.
pub(crate) fn refusal(standing: &CertificateStanding, now: Timestamp) -> Option<&'static str> {
    let revoked = standing.revoked.then_some(REVOKED);
    refused_life(standing.lifecycle).or(revoked).or_else(|| expired(standing.not_after, now))
}

const REVOKED: &str = "the certificate is revoked";

fn refused_life(lifecycle: HostLife) -> Option<&'static str> {
    match lifecycle {
        HostLife::Pending | HostLife::Active | HostLife::Stale => None,
        HostLife::Quarantined => {
            Some("the host is quarantined: an admin must decide which machine it is")
        }
        HostLife::Revoked => Some("the host is revoked"),
        HostLife::Retired => Some("the host is retired"),
    }
}

fn expired(not_after: Timestamp, now: Timestamp) -> Option<&'static str> {
    let late = now > not_after.after(limits::CLOCK_SKEW);
    late.then_some("the certificate has expired: renew it")
}
