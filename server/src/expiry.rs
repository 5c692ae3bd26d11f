//! When the server's own certificates end, for monitors: most of them renew themselves, the root and
//! the people's never do.

use std::path::Path;

use fleetmend_core::time::Timestamp;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::metrics;
use crate::state::Shared;

/// The certificates whose end is told, as labels.
pub(crate) const CERTIFICATES: [&str; 4] = ["root", "intermediate", "agents", "people"];

/// Tells monitors when each certificate ends. One that cannot be read is left out, and said.
pub(crate) fn publish(shared: &Shared, people: Option<&CertificateDer<'_>>) {
    let authority = &shared.authority;
    let agents = authority.server_key();
    let all = [Some(authority.root()), Some(authority.intermediate()), agents.cert.first(), people];
    for (name, certificate) in CERTIFICATES.into_iter().zip(all) {
        let Some(certificate) = certificate else { continue };
        if let Some(end) = end(certificate) {
            metrics::certificate_ends(name, end);
        } else {
            tracing::warn!(certificate = name, "its end cannot be read");
        }
    }
}

/// The certificate that people's browsers are shown: the first of the file.
pub(crate) fn of_people(http_cert: Option<&Path>) -> Option<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(http_cert?).ok()?.next()?.ok()
}

fn end(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    certificate.validity().not_after.timestamp().checked_mul(1_000).map(Timestamp::from_millis)
}
