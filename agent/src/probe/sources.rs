//! Where a Linux host gets its updates from, and the proxy that it goes through: by the
//! configuration of apt, dnf and zypper.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use fleetmend_core::evidence::Finding;

use super::network::{self, Endpoint};
use crate::platform::{Platform, Proxy};

/// Files of a folder that are read, and the size of the largest.
const FILES: usize = 500;
const BYTES: u64 = 1024 * 1024;

/// Whether a place that updates come from does not answer.
pub(super) async fn unreachable(platform: &dyn Platform) -> Finding {
    let places: Vec<Endpoint> = endpoints(platform.root()).into_iter().collect();
    if places.is_empty() {
        return Finding::unknown("no update source names a host");
    }
    let proxy = proxy(platform.root());
    network::answers(platform, &places, proxy).await.unwrap_or_else(Finding::unknown)
}

/// The hosts of the update sources of apt, dnf and zypper that are in use, with their ports.
pub(super) fn endpoints(root: &Path) -> BTreeSet<Endpoint> {
    let apt = texts(root, Some("etc/apt/sources.list"), "etc/apt/sources.list.d");
    let lines = apt.iter().flat_map(|(_, text)| text.lines());
    let mut found: BTreeSet<Endpoint> = lines.flat_map(places_in).collect();
    for folder in ["etc/yum.repos.d", "etc/zypp/repos.d"] {
        for (_, text) in texts(root, None, folder) {
            for repository in text.split("\n[") {
                let lines = || repository.lines().map(str::trim);
                let off = |l: &str| l.replace(' ', "").eq_ignore_ascii_case("enabled=0");
                if lines().any(off) {
                    continue;
                }
                let keys = ["baseurl", "mirrorlist", "metalink"];
                let named = lines().filter(|l| keys.iter().any(|key| l.starts_with(key)));
                found.extend(
                    named.filter_map(|l| l.split_once('=')).flat_map(|(_, v)| places_in(v)),
                );
            }
        }
    }
    found
}

/// The addresses in a line that is no comment. Those with variables in their host are not known.
fn places_in(line: &str) -> impl Iterator<Item = Endpoint> {
    let line = if line.trim_start().starts_with('#') { "" } else { line };
    line.split_whitespace().filter_map(|word| Endpoint::parse(word).ok())
}

/// The proxy of the package tools, or of the machine; the reason where one is set and cannot be read.
pub(super) fn proxy(root: &Path) -> Result<Option<Proxy>, String> {
    let mut files = texts(root, Some("etc/apt/apt.conf"), "etc/apt/apt.conf.d");
    for file in ["etc/dnf/dnf.conf", "etc/yum.conf", "etc/environment", "etc/sysconfig/proxy"] {
        files.extend(text_of(root.join(file)));
    }
    for (path, text) in &files {
        // Of several settings in a file the last one holds.
        let Some(address) = text.lines().rev().find_map(|line| setting(path, line)) else {
            continue;
        };
        let file = path.strip_prefix(root).unwrap_or(path).display();
        let place = Endpoint::parse(&address).map_err(|e| format!("/{file}: {address}: {e}"))?;
        return Ok(Some(Proxy { host: place.host, port: place.port }));
    }
    Ok(None)
}

/// The proxy that a line sets.
fn setting(path: &Path, line: &str) -> Option<String> {
    let line = line.trim();
    if line.starts_with('#') || line.starts_with("//") {
        return None;
    }
    let lower = line.to_ascii_lowercase();
    let is_apt = path.components().any(|part| part.as_os_str() == "apt");
    let names = ["http_proxy", "https_proxy", "proxy"];
    let ours = if is_apt {
        // Not a proxy for one host alone.
        ["acquire::http::proxy ", "acquire::https::proxy "].iter().any(|n| lower.starts_with(n))
    } else {
        lower.split_once('=').is_some_and(|(name, _)| names.contains(&name.trim()))
    };
    let value = if is_apt { line.split_once(' ')?.1 } else { line.split_once('=')?.1 };
    let value = value.trim().trim_end_matches(';').trim().trim_matches(['"', '\'']);
    let set = !value.is_empty()
        && !["direct", "none", "_none_"].contains(&value.to_ascii_lowercase().as_str());
    (ours && set).then(|| value.to_owned())
}

/// A file and those of a folder, in order of their names.
fn texts(root: &Path, file: Option<&str>, folder: &str) -> Vec<(PathBuf, String)> {
    let more = fs::read_dir(root.join(folder)).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = more.map(|e| e.path()).take(FILES).collect();
    paths.sort();
    let first = file.map(|file| root.join(file));
    first.into_iter().chain(paths).filter_map(text_of).collect()
}

fn text_of(path: PathBuf) -> Option<(PathBuf, String)> {
    let small = fs::metadata(&path).is_ok_and(|m| m.is_file() && m.len() <= BYTES);
    let text = small.then(|| fs::read_to_string(&path).ok()).flatten()?;
    Some((path, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, text).expect("written");
    }

    #[test]
    fn sources_of_every_tool_are_read() {
        let root = tempfile::tempdir().expect("a folder");
        let list = "deb [signed-by=/x] https://a.example.com:8080/debian x main\n# deb http://b.example.com x\ndeb file:/x y\ndeb http://-/ x\n";
        write(root.path(), "etc/apt/sources.list", list);
        let deb822 = "Types: deb\nURIs: http://c.example.com/debian\n";
        write(root.path(), "etc/apt/sources.list.d/d.sources", deb822);
        let repos = "[on]\nbaseurl = https://d.example.com/os\n[off]\nenabled = 0\nbaseurl=https://e.example.com/x\n[more]\n#baseurl=http://f.example.com\nmetalink=https://g.example.com/?a=b\nmirrorlist=http://$host/x\n";
        write(root.path(), "etc/yum.repos.d/a.repo", repos);
        write(
            root.path(),
            "etc/zypp/repos.d/b.repo",
            "[x]\nenabled=1\nbaseurl=http://h.example.com\n",
        );
        let found: Vec<String> = endpoints(root.path()).iter().map(ToString::to_string).collect();
        let expected = [
            "a.example.com:8080",
            "c.example.com:80",
            "d.example.com:443",
            "g.example.com:443",
            "h.example.com:80",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_proxy_is_found_where_tools_keep_it() {
        let of = |path: &str, text: &str| {
            let root = tempfile::tempdir().expect("a folder");
            write(root.path(), path, text);
            proxy(root.path()).map(|found| found.map(|p| format!("{}:{}", p.host, p.port)))
        };
        let apt = "etc/apt/apt.conf.d/90proxy";
        let some = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(
            of(apt, "Acquire::http::Proxy \"http://p.example.com:3128/\";\n"),
            some("p.example.com:3128")
        );
        assert_eq!(of(apt, "Acquire::http::Proxy \"DIRECT\";\n"), Ok(None));
        assert_eq!(of(apt, "// Acquire::http::Proxy \"http://p.example.com\";\n"), Ok(None));
        assert_eq!(of(apt, "Acquire::http::Proxy::one.example.com \"http://p\";\n"), Ok(None));
        assert_eq!(
            of("etc/dnf/dnf.conf", "[main]\nproxy=http://p.example.com:8080\n"),
            some("p.example.com:8080")
        );
        assert_eq!(
            of("etc/environment", "https_proxy='http://p.example.com:8080'\n"),
            some("p.example.com:8080")
        );
        assert_eq!(of("etc/sysconfig/proxy", "HTTP_PROXY=\"\"\n"), Ok(None));
        assert!(of(apt, "Acquire::http::Proxy \"p.example.com\";\n").is_err());
    }
}
