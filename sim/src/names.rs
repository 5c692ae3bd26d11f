//! What simulated hosts are called and what they are: made up, below example.com, and plausible.

use fleetmend_core::host::{Labels, OsFamily};

use crate::chance;

/// Places that hosts stand in, with the zone of their clocks.
const SITES: [(&str, &str); 6] = [
    ("berlin", "Europe/Berlin"),
    ("lisbon", "Europe/Lisbon"),
    ("oslo", "Europe/Oslo"),
    ("tartu", "Europe/Tallinn"),
    ("utrecht", "Europe/Amsterdam"),
    ("zagreb", "Europe/Zagreb"),
];
/// What clusters of servers do.
const CLUSTERS: [&str; 3] = ["db", "files", "web"];
/// The share of servers that are members of one.
const IN_CLUSTERS: f64 = 0.5;
/// Systems of Windows: name, build, role, weight.
const WINDOWS: [(&str, &str, &str, u32); 8] = [
    ("Windows 11 Pro 23H2", "10.0.22631.4460", "workstation", 8),
    ("Windows 11 Enterprise 24H2", "10.0.26100.2314", "workstation", 6),
    ("Windows 10 Pro 22H2", "10.0.19045.5131", "workstation", 7),
    ("Windows 10 Enterprise LTSC 2021", "10.0.19044.5131", "kiosk", 2),
    ("Windows Server 2022 Standard", "10.0.20348.2849", "server", 4),
    ("Windows Server 2019 Standard", "10.0.17763.6532", "server", 3),
    ("Windows Server 2016 Standard", "10.0.14393.7515", "server", 1),
    ("Windows 7 Professional SP1", "6.1.7601.24546", "workstation", 1),
];
/// Systems of Linux.
const LINUX: [(&str, &str, &str, u32); 4] = [
    ("Debian GNU/Linux 12 (bookworm)", "6.1.0-27-amd64", "server", 6),
    ("Debian GNU/Linux 11 (bullseye)", "5.10.0-33-amd64", "server", 2),
    ("Ubuntu 24.04.1 LTS", "6.8.0-49-generic", "server", 4),
    ("Ubuntu 22.04.5 LTS", "5.15.0-126-generic", "workstation", 2),
];

/// What a host is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Persona {
    /// Its name.
    pub name: String,
    /// Its family.
    pub os: OsFamily,
    /// Its system.
    pub os_name: &'static str,
    /// Its build.
    pub build: &'static str,
    /// What it does.
    pub role: &'static str,
    /// Where it stands.
    pub site: &'static str,
    /// The zone of its clock.
    pub timezone: &'static str,
    /// The cluster it is a member of, if it is.
    pub cluster: Option<String>,
}

impl Persona {
    /// The host of this number.
    pub fn draw(seed: u64, number: u32, os: OsFamily) -> Self {
        let mut rng = chance::of(seed, &["persona", &number.to_string()]);
        let systems: &[_] = if os == OsFamily::Windows { &WINDOWS } else { &LINUX };
        let first = systems[0];
        let &(os_name, build, role, _) = chance::pick(&mut rng, systems, |s| s.3).unwrap_or(&first);
        let (site, timezone) = SITES[rng.usize(0..SITES.len())];
        let kind = match role {
            "server" => "srv",
            "kiosk" => "kiosk",
            _ => "ws",
        };
        let name = format!("sim-{kind}-{}-{number:04}.example.com", &site[..3]);
        let member = role == "server" && rng.f64() < IN_CLUSTERS;
        let cluster =
            member.then(|| format!("{}-{}", &site[..3], CLUSTERS[rng.usize(0..CLUSTERS.len())]));
        Self { name, os, os_name, build, role, site, timezone, cluster }
    }

    /// The labels that a fleet's people would give it.
    pub fn labels(&self) -> Labels {
        let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let mut labels = Labels::from([
            label("role", self.role),
            label("site", self.site),
            label("timezone", self.timezone),
        ]);
        labels.extend(self.cluster.as_ref().map(|cluster| label("cluster", cluster)));
        labels
    }
}
