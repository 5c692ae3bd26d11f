//! The tokens that log-ins gave, one a server's address, in a file of the person's own: only its owner
//! may read it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::client::ClientError;

const FILE: &str = "tokens.json";
/// Addresses that are kept; more than anybody has.
const MOST: usize = 100;

/// The token of the last log-in at an address.
pub(crate) fn find(base: &str) -> Result<Option<String>, ClientError> {
    let Some(folder) = folder() else { return Ok(None) };
    find_in(&folder, base)
}

/// Keeps a token for an address; gives the file.
pub(crate) fn keep(base: &str, token: &str) -> Result<PathBuf, ClientError> {
    let folder = folder().ok_or_else(|| {
        ClientError::Usage("there is no home directory to keep the token in: set HOME".to_owned())
    })?;
    keep_in(&folder, base, token)
}

fn folder() -> Option<PathBuf> {
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
            .filter(|p| p.is_absolute())
    };
    let config = if cfg!(windows) {
        set("APPDATA")
    } else {
        set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")))
    };
    config.map(|config| config.join("fleetmend"))
}

fn find_in(folder: &Path, base: &str) -> Result<Option<String>, ClientError> {
    Ok(read(&folder.join(FILE))?.remove(base))
}

fn read(path: &Path) -> Result<BTreeMap<String, String>, ClientError> {
    let bad = |why: String| ClientError::Usage(format!("{}: {why}", path.display()));
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(bad(error.to_string())),
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let meta = std::fs::metadata(path).map_err(|e| bad(e.to_string()))?;
        if meta.permissions().mode() & 0o077 != 0 {
            return Err(bad("others may read it: chmod 600, and log in anew".to_owned()));
        }
    }
    serde_json::from_slice(&text)
        .map_err(|_| bad("it cannot be read: remove it, and log in anew".to_owned()))
}

fn keep_in(folder: &Path, base: &str, token: &str) -> Result<PathBuf, ClientError> {
    let path = folder.join(FILE);
    let bad = |e: std::io::Error| ClientError::Usage(format!("{}: {e}", path.display()));
    make_folder(folder).map_err(bad)?;
    // What cannot be read is replaced: its tokens can be had anew.
    let mut all = read(&path).unwrap_or_default();
    if all.len() >= MOST {
        all.clear();
    }
    all.insert(base.to_owned(), token.to_owned());
    let text = serde_json::to_vec_pretty(&all).unwrap_or_default();
    // Written whole beside it first: two log-ins at once leave one whole file.
    let new = folder.join(format!("{FILE}.{}", std::process::id()));
    write_private(&new, &text).and_then(|()| std::fs::rename(&new, &path)).map_err(|error| {
        let _ = std::fs::remove_file(&new);
        bad(error)
    })?;
    Ok(path)
}

fn make_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn write_private(path: &Path, text: &[u8]) -> std::io::Result<()> {
    // One that was left behind may have another's mode.
    let _ = std::fs::remove_file(path);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_kept_for_its_address_and_its_owner() {
        let home = tempfile::tempdir().expect("a directory");
        let folder = home.path().join("fleetmend");
        assert_eq!(find_in(&folder, "https://a").expect("none yet"), None);
        let path = keep_in(&folder, "https://a", "fmt_1").expect("kept");
        keep_in(&folder, "https://b", "fmt_2").expect("kept");
        keep_in(&folder, "https://a", "fmt_3").expect("kept");
        assert_eq!(find_in(&folder, "https://a").expect("reads").as_deref(), Some("fmt_3"));
        assert_eq!(find_in(&folder, "https://b").expect("reads").as_deref(), Some("fmt_2"));
        assert_eq!(find_in(&folder, "https://c").expect("reads"), None);
        assert_eq!(std::fs::read_dir(&folder).expect("lists").count(), 1, "nothing is left behind");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode =
                |path: &Path| std::fs::metadata(path).expect("exists").permissions().mode() & 0o777;
            assert_eq!((mode(&path), mode(&folder)), (0o600, 0o700));
            let open = std::fs::Permissions::from_mode(0o640);
            std::fs::set_permissions(&path, open).expect("set");
            let error = find_in(&folder, "https://a").expect_err("others may read it");
            assert!(error.to_string().contains("chmod 600"), "{error}");
            keep_in(&folder, "https://a", "fmt_4").expect("kept anew");
            assert_eq!(mode(&path), 0o600);
        }
    }

    #[test]
    fn what_is_no_list_of_tokens_is_said() {
        let home = tempfile::tempdir().expect("a directory");
        write_private(&home.path().join(FILE), b"[").expect("written");
        assert!(find_in(home.path(), "https://a").is_err());
        keep_in(home.path(), "https://a", "fmt_1").expect("replaced");
        assert_eq!(find_in(home.path(), "https://a").expect("reads").as_deref(), Some("fmt_1"));
    }
}
