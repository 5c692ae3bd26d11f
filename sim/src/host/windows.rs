//! The programs and services of a simulated Windows host.

use std::io;

use fleetmend_agent::platform::{RunState, ServiceCall, ServiceSeen};
use fleetmend_core::step::StartType;
use fleetmend_core::time::Timestamp;

use super::fault::Fault;
use super::life::Life;
use super::{Said, SimHost, layout};
use crate::model::Work;

/// Windows' own words for a service that is disabled.
const DISABLED: &str = "the service is disabled (1058)";

impl SimHost {
    /// Runs a program; `None` where the host has none of that name.
    pub(super) fn windows_program(
        &self,
        name: &str,
        args: &[&str],
        now: Timestamp,
    ) -> io::Result<Option<Said>> {
        let mut life = self.life();
        self.look_around(&mut life, now)?;
        Ok(Some(match name {
            "Dism.exe" => self.dism(&mut life, args, now)?,
            "sfc.exe" => {
                self.done(&mut life, "tool:scannow", now)?;
                let files =
                    |f: &Fault| f.fails() && f.model.cause.as_str() == "system_files_corrupt";
                let damaged = damaged(&life).is_some() || life.faults.iter().any(files);
                let words = if damaged {
                    "Windows Resource Protection found corrupt files but was unable to fix some of them.\r\n"
                } else {
                    "Windows Resource Protection did not find any integrity violations.\r\n"
                };
                Said::worked(i32::from(damaged), words)
            }
            "UsoClient.exe" => {
                self.update_soon(&mut life, now);
                Said::ok("")
            }
            "shutdown.exe" => {
                drop(life);
                self.restart(now)?;
                return Ok(Some(Said::ok("")));
            }
            _ => return Ok(None),
        }))
    }

    /// The update agent does its round soon: what it meets stands in the logs then.
    pub(super) fn update_soon(&self, life: &mut Life, now: Timestamp) {
        let soon = now.after(self.pace.step);
        for work in [Work::Scan, Work::Download, Work::Install] {
            life.soon(work, soon);
        }
    }

    fn dism(&self, life: &mut Life, args: &[&str], now: Timestamp) -> io::Result<Said> {
        let deed = args.last().map(|a| a.trim_start_matches('/')).unwrap_or_default();
        let before = damaged(life).is_some();
        self.done(life, &format!("tool:{deed}"), now)?;
        let there = damaged(life);
        let clean = |s| matches!(s, super::Standing::Masked | super::Standing::Waits);
        let masked = there.is_some_and(|f| clean(f.standing));
        let head = "Deployment Image Servicing and Management tool\r\n\r\n[==========================100.0%==========================]\r\n";
        Ok(match (deed, there.is_some() && !masked, before) {
            ("RestoreHealth", true, _) => Said::worked(
                0x800F_081F_u32.cast_signed(),
                format!("{head}Error: 0x800f081f\r\nThe source files could not be found.\r\n"),
            ),
            ("RestoreHealth", false, true) => {
                life.soon(Work::Servicing, now.after(self.pace.step));
                Said::worked(0, format!("{head}The restore operation completed successfully.\r\n"))
            }
            (_, true, _) => {
                Said::worked(0, format!("{head}The component store is repairable.\r\n"))
            }
            _ => Said::worked(0, format!("{head}No component store corruption detected.\r\n")),
        })
    }

    /// One call to the service manager.
    pub(super) fn windows_service(
        &self,
        name: &str,
        call: ServiceCall,
        now: Timestamp,
    ) -> io::Result<ServiceSeen> {
        let mut life = self.life();
        self.look_around(&mut life, now)?;
        let missing = || io::Error::new(io::ErrorKind::NotFound, format!("no service {name}"));
        let seen = life.services.iter_mut().find(|(n, _)| n.eq_ignore_ascii_case(name));
        let (_, seen) = seen.ok_or_else(missing)?;
        let mut begun = false;
        match call {
            ServiceCall::Look => {}
            ServiceCall::Stop => seen.state = RunState::Stopped,
            ServiceCall::Start if seen.start == StartType::Disabled => {
                return Err(io::Error::other(DISABLED));
            }
            ServiceCall::Start => {
                begun = !seen.runs();
                seen.state = RunState::Running;
            }
            ServiceCall::SetStart(start) => seen.start = start,
        }
        let seen = *seen;
        if begun {
            self.done(&mut life, &format!("started:{name}"), now)?;
        }
        match call {
            ServiceCall::Start if name.eq_ignore_ascii_case("wuauserv") => {
                layout::make_cache(&self.root)?;
            }
            ServiceCall::SetStart(start) if start != StartType::Disabled => {
                self.done(&mut life, &format!("service:{name}"), now)?;
            }
            _ => {}
        }
        Ok(seen)
    }
}

/// The fault that the component store has.
fn damaged(life: &Life) -> Option<&Fault> {
    const OF: [&str; 2] = ["component_store_corrupt", "repair_source_missing"];
    life.faults.iter().find(|f| f.fails() && OF.contains(&f.model.cause.as_str()))
}
