//! A simulated host: a folder that holds its logs and state, and programs that act on that folder
//! as the real ones would. It stands behind the agent's platform trait, and says that it is simulated.

use std::io;
use std::path::{Path, PathBuf};

use fleetmend_agent::platform::{Exit, Platform, Program};
use fleetmend_core::host::{HostFacts, OsFamily};
use fleetmend_core::time::Timestamp;

use crate::logs;

/// What is wrong with a simulated host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// dpkg was interrupted; configuring helps.
    DpkgInterrupted,
    /// dpkg was interrupted by a package whose script cannot succeed.
    BrokenScript,
    /// A cumulative update's payload is missing (0x800F081F in CBS.log).
    SourceMissing,
    /// An update's installation fails with 0x80070003.
    PathNotFound,
    /// The search for updates fails with 0x8024402C (the proxy's or server's name is not resolved).
    ScanUnresolved,
}

impl Fault {
    /// Every fault, in the order in which a demo hands them out.
    pub(crate) const ALL: [Self; 6] = [
        Self::DpkgInterrupted,
        Self::PathNotFound,
        Self::SourceMissing,
        Self::None,
        Self::BrokenScript,
        Self::ScanUnresolved,
    ];

    const fn os(self) -> OsFamily {
        match self {
            Self::DpkgInterrupted | Self::BrokenScript | Self::None => OsFamily::Linux,
            Self::SourceMissing | Self::PathNotFound | Self::ScanUnresolved => OsFamily::Windows,
        }
    }
}

/// A simulated host.
#[derive(Debug)]
pub(crate) struct SimHost {
    root: PathBuf,
    name: String,
    os: OsFamily,
    boot: String,
}

impl SimHost {
    /// Lays the host's folder out below `root`, with `fault` visible in its logs or state.
    pub(crate) fn create(
        root: PathBuf,
        name: &str,
        fault: Fault,
        now: Timestamp,
    ) -> io::Result<Self> {
        let at = now.before(std::time::Duration::from_mins(7));
        match fault {
            Fault::None => linux(&root, "install ok installed")?,
            Fault::DpkgInterrupted => {
                linux(&root, "install ok half-configured")?;
                logs::put(&root, "var/lib/dpkg/updates/0001", interrupted("example-app"))?;
            }
            Fault::BrokenScript => {
                linux(&root, "install ok half-configured")?;
                logs::put(&root, "var/lib/dpkg/updates/0001", interrupted("example-app"))?;
                logs::put(&root, "sim/broken", "")?;
            }
            Fault::SourceMissing => {
                logs::put(
                    &root,
                    "Windows/Logs/CBS/CBS.log",
                    logs::cbs_source_missing(at, "KB5099001"),
                )?;
            }
            Fault::PathNotFound => {
                let row = logs::reporting_events(
                    at,
                    "182 [AGENT_INSTALLING_FAILED]",
                    "Content Install",
                    0x8007_0003,
                    "Installation Failure: Windows failed to install the following update with error 0x80070003: Simulated Cumulative Update (KB5099002).",
                );
                logs::put(&root, "Windows/SoftwareDistribution/ReportingEvents.log", row)?;
            }
            Fault::ScanUnresolved => {
                let row = logs::reporting_events(
                    at,
                    "148 [AGENT_DETECTION_FAILED]",
                    "Software Synchronization",
                    0x8024_402C,
                    "Software Synchronization failed with error 0x8024402C.",
                );
                logs::put(&root, "Windows/SoftwareDistribution/ReportingEvents.log", row)?;
            }
        }
        Ok(Self { boot: format!("sim-{name}-1"), root, name: name.to_owned(), os: fault.os() })
    }

    fn audit(&self) -> String {
        if self.root.join("var/lib/dpkg/updates/0001").exists() {
            "The following packages are only half configured, probably due to problems\nconfiguring them the first time:\n example-app          simulated package\n".to_owned()
        } else {
            String::new()
        }
    }

    fn configure(&self) -> io::Result<(i32, String)> {
        if self.audit().is_empty() {
            return Ok((0, String::new()));
        }
        if self.root.join("sim/broken").exists() {
            return Ok((1, "Setting up example-app (1.0) ...\nexample-app: cannot reach the licence server\ndpkg: error processing package example-app (--configure):\n installed example-app package post-installation script subprocess returned error exit status 3\nErrors were encountered while processing:\n example-app\n".to_owned()));
        }
        std::fs::remove_file(self.root.join("var/lib/dpkg/updates/0001"))?;
        logs::put(
            &self.root,
            "var/lib/dpkg/status",
            logs::dpkg_package("example-app", "install ok installed"),
        )?;
        Ok((0, "Setting up example-app (1.0) ...\nexample-app is configured\n".to_owned()))
    }
}

#[async_trait::async_trait]
impl Platform for SimHost {
    fn root(&self) -> &Path {
        &self.root
    }

    fn facts(&self) -> io::Result<HostFacts> {
        let (os_name, os_build) = match self.os {
            OsFamily::Linux => ("Debian GNU/Linux 12 (bookworm)", "6.1.0-sim"),
            OsFamily::Windows => ("Windows 10 Pro 22H2", "10.0.19045.5011"),
        };
        Ok(HostFacts {
            name: self.name.clone(),
            os: self.os,
            os_name: os_name.to_owned(),
            os_build: os_build.to_owned(),
            arch: "x86_64".to_owned(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            boot_id: self.boot.clone(),
            simulated: true,
        })
    }

    async fn run(
        &self,
        program: &Program,
        sink: &mut (dyn for<'a> FnMut(&'a [u8]) + Send),
    ) -> io::Result<Exit> {
        let args: Vec<&str> = program.args.iter().map(String::as_str).collect();
        let name = program.path.rsplit('/').next().unwrap_or_default();
        let (status, said) = match (self.os, name) {
            (OsFamily::Linux, "dpkg") if args.contains(&"--configure") => self.configure()?,
            (OsFamily::Linux, "dpkg") if args.contains(&"--audit") => (0, self.audit()),
            (OsFamily::Linux, "apt-get") if self.audit().is_empty() => {
                (0, "Reading package lists...\nBuilding dependency tree...\n".to_owned())
            }
            (OsFamily::Linux, "apt-get") => (
                100,
                "E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem.\n"
                    .to_owned(),
            ),
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::NotFound,
                    format!("a simulated host has no {}", program.path),
                ));
            }
        };
        let kept = said.len().min(program.max_output);
        sink(&said.as_bytes()[..kept]);
        Ok(Exit {
            status: Some(status),
            timed_out: false,
            output: said.as_bytes()[..kept].to_vec(),
            dropped: (said.len() - kept) as u64,
        })
    }
}

fn linux(root: &Path, status: &str) -> io::Result<()> {
    logs::put(root, "var/lib/dpkg/status", logs::dpkg_package("example-app", status))?;
    std::fs::create_dir_all(root.join("var/lib/dpkg/updates"))?;
    std::fs::create_dir_all(root.join("var/log/apt"))?;
    // The agent looks whether a program is there before it runs it; here they are only names.
    for program in ["usr/bin/dpkg", "usr/bin/apt-get"] {
        logs::put(root, program, "simulated\n")?;
    }
    logs::put(root, "etc/os-release", "NAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\n")
}

fn interrupted(package: &str) -> String {
    logs::dpkg_package(package, "install ok half-configured").trim_end().to_owned() + "\n"
}
