//! Whether the hosts file leads update clients astray (`check_hosts_file`). What it names is not asked
//! of any name server.

use std::fs::File;
use std::io::{self, Read as _};
use std::net::IpAddr;

use fleetmend_core::evidence::{Answer, Finding};

use super::Found;
use super::authority::update_server;
use super::registry::text;
use crate::collect::utf16::Utf8;
use crate::platform::Platform;
use crate::probe::network::Endpoint;
use crate::probe::with_value;

const TCPIP: &str = r"SYSTEM\CurrentControlSet\Services\Tcpip\Parameters";
const FOLDER: &str = r"C:\Windows\System32\drivers\etc";
/// How much of the file is read; lists of blocked addresses are long.
const BYTES: u64 = 16 * 1024 * 1024;
/// The names that updates come from, and all below them (Microsoft Learn, WSUS: configure your
/// firewall). Their addresses change all the time: no hosts file has them right.
const MICROSOFT: [&str; 6] = [
    "windowsupdate.com",
    "update.microsoft.com",
    "windowsupdate.microsoft.com",
    "delivery.mp.microsoft.com",
    "wustat.windows.com",
    "download.microsoft.com",
];

pub(super) async fn redirects(platform: &dyn Platform) -> Found {
    let server = update_server(platform).await?.and_then(|(_, url)| Endpoint::parse(&url).ok());
    let folder = match text(platform, TCPIP, "DataBasePath").await? {
        Some(folder) => in_full(&folder),
        None => FOLDER.to_owned(),
    };
    let path = format!(r"{}\hosts", folder.trim_end_matches('\\'));
    let file = platform.file(&path).ok_or_else(|| format!("{path} lies on another volume"))?;
    let mut bytes = Vec::new();
    let read = || -> io::Result<usize> {
        Utf8::new(File::open(file)?)?.take(BYTES).read_to_end(&mut bytes)
    };
    match read() {
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Ok(Finding::new(Answer::No, format!("there is no {path}")));
        }
        Err(e) => return Err(format!("{path} cannot be read: {e}")),
    }
    let mut unclear = None;
    let content = String::from_utf8_lossy(&bytes);
    for (number, line) in content.lines().enumerate() {
        for (address, name) in entries(line) {
            let proof = format!("{path}, line {}: {name} is {address}", number + 1);
            if MICROSOFT.iter().any(|own| is_below(name, own)) {
                return Ok(with_value(Answer::Yes, proof, name));
            }
            if server.as_ref().is_some_and(|server| server.host.eq_ignore_ascii_case(name)) {
                if address.is_loopback() || address.is_unspecified() {
                    return Ok(with_value(Answer::Yes, proof, name));
                }
                // It may be right: only a person knows where that server stands.
                unclear = Some(format!("{proof}: whether that is the update server is not known"));
            }
        }
    }
    match unclear {
        Some(why) => Err(why),
        None => Ok(Finding::new(Answer::No, format!("{path} names no host of updates"))),
    }
}

/// The address of a line with each of its names.
fn entries(line: &str) -> impl Iterator<Item = (IpAddr, &str)> {
    let line = line.trim_start_matches('\u{feff}').split('#').next().unwrap_or_default();
    let mut words = line.split_whitespace();
    let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
    words.filter_map(move |name| Some((address?, name.trim_end_matches('.'))))
}

fn is_below(name: &str, domain: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// `%SystemRoot%\System32\drivers\etc` with its folder.
fn in_full(path: &str) -> String {
    let lower = path.to_ascii_lowercase();
    for name in ["%systemroot%", "%windir%"] {
        if lower.starts_with(name) {
            return format!(r"C:\Windows{}", &path[name.len()..]);
        }
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_gives_its_names() {
        let all = |line| entries(line).map(|(a, n)| format!("{a} {n}")).collect::<Vec<_>>();
        assert_eq!(
            all("\u{feff}127.0.0.1\ta.example b.example. # c"),
            ["127.0.0.1 a.example", "127.0.0.1 b.example"]
        );
        assert!(all("# 0.0.0.0 update.microsoft.com").is_empty());
        assert!(all("no address").is_empty() && all("").is_empty());
        assert!(is_below("FE3.Delivery.mp.microsoft.com", "delivery.mp.microsoft.com"));
        assert!(is_below("windowsupdate.com", "windowsupdate.com"));
        assert!(!is_below("notwindowsupdate.com", "windowsupdate.com"));
        assert_eq!(in_full(r"%SystemRoot%\System32\drivers\etc"), FOLDER);
    }
}
