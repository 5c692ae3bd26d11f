//! The files of a simulated host: those that are always there, and those that a fault makes or takes
//! away.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use fleetmend_core::host::OsFamily;
use fleetmend_core::step::Base;
use fleetmend_core::time::Timestamp;

use super::fault::Fault;
use crate::logs::{self, apt};
use crate::model::{Model, Trace};
use crate::names::Persona;

/// The package that faults of dpkg concern.
pub(super) const PACKAGE: &str = "example-app";
/// The journal of apt's timers.
pub(super) const JOURNAL: &str = "sim/journal";
/// What dpkg leaves when it is interrupted.
const UPDATES: &str = "var/lib/dpkg/updates/0001";
const STATUS: &str = "var/lib/dpkg/status";
/// The download cache of Windows Update, and what it holds.
pub(super) const CACHE: &str = "Windows/SoftwareDistribution/Download";
const CACHED: &str = "Windows/SoftwareDistribution/Download/simulated.cab";

/// Lays out a host in order.
pub(super) fn lay_out(root: &Path, persona: &Persona, now: Timestamp) -> io::Result<()> {
    // The agent looks whether a program is there before it runs it; here they are only names.
    let programs: &[&str] = match persona.os {
        OsFamily::Linux => &["usr/bin/dpkg", "usr/bin/apt-get", "usr/bin/systemctl"],
        OsFamily::Windows => &[
            "Windows/System32/Dism.exe",
            "Windows/System32/sfc.exe",
            "Windows/System32/UsoClient.exe",
        ],
    };
    for program in programs {
        logs::put(root, program, "")?;
    }
    if persona.os == OsFamily::Windows {
        fs::create_dir_all(root.join("Windows/System32/catroot2"))?;
        return logs::put(root, CACHED, "");
    }
    logs::put(root, STATUS, status("install ok installed"))?;
    for folder in
        ["var/lib/dpkg/updates", "var/log/apt", "var/lib/apt/lists/partial", "run/systemd/system"]
    {
        fs::create_dir_all(root.join(folder))?;
    }
    stamp(root, now)?;
    let site = persona.site;
    let source = format!("deb http://mirror.{site}.example.com/debian bookworm main\n");
    logs::put(root, "etc/apt/sources.list", source)?;
    let periodic = "APT::Periodic::Unattended-Upgrade \"1\";\n";
    logs::put(root, "etc/apt/apt.conf.d/20auto-upgrades", periodic)?;
    logs::put(root, "etc/os-release", format!("PRETTY_NAME=\"{}\"\n", persona.os_name))
}

/// What a fault leaves on the disk when it comes.
pub(super) fn take_hold(root: &Path, fault: &Fault) -> io::Result<()> {
    let at = fault.since;
    match fault.model.trace {
        Trace::Interrupted => {
            let half = status("install ok half-configured");
            logs::put(root, UPDATES, &half)?;
            logs::put(root, STATUS, half)?;
            dated(root, UPDATES, at)?;
            dated(root, STATUS, at)
        }
        Trace::Script => {
            logs::put(root, STATUS, status("install ok half-configured"))?;
            dated(root, STATUS, at)?;
            let configure = apt::dpkg(at, &format!("configure {PACKAGE}:all 1.0 <none>"))
                + &apt::dpkg(at, &format!("status half-configured {PACKAGE}:all 1.0"));
            logs::append(root, "var/log/dpkg.log", configure)?;
            let words = script_words(fault.model);
            logs::append(root, "var/log/apt/term.log", apt::term(at, &words))
        }
        Trace::Deps => dated(root, STATUS, at),
        Trace::Idle => stamp(root, at.before(Duration::from_hours(24))),
        _ => Ok(()),
    }
}

/// What its going away mends.
pub(super) fn let_go(root: &Path, model: &Model, at: Timestamp) -> io::Result<()> {
    match model.trace {
        Trace::Interrupted | Trace::Script => {
            match fs::remove_file(root.join(UPDATES)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            logs::put(root, STATUS, status("install ok installed"))
        }
        // Other dependencies than before are met: dpkg's files change.
        Trace::Deps => logs::put(root, STATUS, status("install ok installed")),
        Trace::Idle => stamp(root, at),
        _ => Ok(()),
    }
}

/// Where a system folder lies.
pub(super) fn base(base: Base) -> io::Result<&'static str> {
    Ok(match base {
        Base::Windows => "Windows",
        Base::System32 => "Windows/System32",
        Base::Etc => "etc",
        Base::VarLib => "var/lib",
        Base::VarCache => "var/cache",
        Base::VarLog => "var/log",
        Base::ProgramData => return Err(io::ErrorKind::Unsupported.into()),
    })
}

/// apt's lists were fetched without an error at this moment.
pub(super) fn stamp(root: &Path, at: Timestamp) -> io::Result<()> {
    const STAMP: &str = "var/lib/apt/periodic/update-success-stamp";
    logs::put(root, STAMP, "")?;
    dated(root, STAMP, at)
}

/// What Windows Update downloads fills its cache, as long as it has one.
pub(super) fn fill_cache(root: &Path) -> io::Result<()> {
    if root.join(CACHE).is_dir() { logs::put(root, CACHED, "") } else { Ok(()) }
}

/// Whether a place holds what it held.
pub(super) fn is_there(root: &Path, place: &str) -> bool {
    if place == CACHE { root.join(CACHED).exists() } else { root.join(place).exists() }
}

/// Windows makes its folders again where they were moved away; they fill as it works.
pub(super) fn make_cache(root: &Path) -> io::Result<()> {
    fs::create_dir_all(root.join(CACHE))
}

/// What dpkg prints of a script that fails.
pub(super) fn script_words(model: &Model) -> String {
    format!(
        "Setting up {PACKAGE} (1.0) ...\n{}\ndpkg: error processing package {PACKAGE} (--configure):\n installed {PACKAGE} package post-installation script subprocess returned error exit status 3\nErrors were encountered while processing:\n {PACKAGE}",
        model.words
    )
}

fn status(of: &str) -> String {
    apt::package("example-lib", "install ok installed") + &apt::package(PACKAGE, of)
}

fn dated(root: &Path, inside: &str, at: Timestamp) -> io::Result<()> {
    let millis = u64::try_from(at.as_millis()).unwrap_or(0);
    let file = File::options().write(true).open(root.join(inside))?;
    file.set_modified(UNIX_EPOCH + Duration::from_millis(millis))
}
