//! A root and a server's certificate for `localhost`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// Writes `root.crt` to `folder`, `server.crt` and `server.key` to `data`; gives those the server must own.
pub(super) fn write(folder: &Path, data: &Path) -> Result<Vec<PathBuf>, String> {
    let (root, server, key) = make().map_err(|e| e.to_string())?;
    let files = [
        (folder.join("root.crt"), root, 0o644),
        (data.join("server.crt"), server, 0o600),
        (data.join("server.key"), key, 0o600),
    ];
    for (path, text, mode) in &files {
        std::fs::write(path, text)
            .and_then(|()| std::fs::set_permissions(path, std::fs::Permissions::from_mode(*mode)))
            .map_err(|e| format!("{}: {e}", path.display()))?;
    }
    let [_, (server, ..), (key, ..)] = files;
    Ok(vec![server, key])
}

fn make() -> Result<(String, String, String), rcgen::Error> {
    let mut params = CertificateParams::default();
    // Of another name than the server's, which would otherwise pass for its own issuer.
    params.distinguished_name.push(DnType::CommonName, "the tests' root");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let server = CertificateParams::new(names)?.signed_by(&key, &root)?;
    Ok((root.pem(), server.pem(), key.serialize_pem()))
}
