//! Whether a certificate still lets its host in: asked at every stream open, and again and again
//! while the stream lives, so that a change made by any process ends it within seconds.

use std::time::Duration;

use fleetmend_core::host::Lifecycle as HostLife;
use fleetmend_core::time::Timestamp;
use fleetmend_store::CertificateStanding;
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
        tracing::warn!(%error, "a certificate could not be looked up");
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

/// Checks every live stream, for ever: level-triggered, so that nothing can be missed.
pub fn sweep(shared: Shared, life: &Lifecycle) {
    let soft = life.soft();
    life.spawn(async move {
        loop {
            tokio::select! {
                () = tokio::time::sleep(PERIOD) => {}
                () = soft.cancelled() => return,
            }
            sweep_once(&shared).await;
        }
    });
}

async fn sweep_once(shared: &Shared) {
    for (host, serial) in shared.registry.snapshot() {
        match shared.db.certificate_standing(&serial).await {
            Ok(Some(standing)) => {
                if let Some(why) = refusal(&standing, shared.clock.now()) {
                    shared.registry.end(host, why);
                }
            }
            Ok(None) => shared.registry.end(host, "the certificate is unknown to this server"),
            Err(error) => {
                tracing::warn!(%error, "live streams could not be checked");
                return;
            }
        }
    }
}

/// Why a certificate does not let its host in; `None` where it does.
pub(crate) fn refusal(standing: &CertificateStanding, now: Timestamp) -> Option<&'static str> {
    match standing.lifecycle {
        HostLife::Pending | HostLife::Active | HostLife::Stale => {}
        HostLife::Quarantined => {
            return Some("the host is quarantined: an admin must decide which machine it is");
        }
        HostLife::Revoked => return Some("the host is revoked"),
        HostLife::Retired => return Some("the host is retired"),
    }
    if standing.revoked {
        return Some("the certificate is revoked");
    }
    let late = now > standing.not_after.after(fleetmend_core::limits::CLOCK_SKEW);
    late.then_some("the certificate has expired: renew it")
}
