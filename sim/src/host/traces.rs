//! One run of a host's own work: it goes well or badly, and leaves its mark.

use std::io;

use fleetmend_core::host::OsFamily;
use fleetmend_core::time::Timestamp;
use sha2::{Digest, Sha256};

use super::fault::Fault;
use super::life::Life;
use super::{SimHost, layout};
use crate::logs::evtx_file::{Event, file_from};
use crate::logs::update::Update;
use crate::logs::{self, apt, cbs, update};
use crate::model::{Model, Trace, Work};

const CBS: &str = "Windows/Logs/CBS/CBS.log";
const REPORTING: &str = "Windows/SoftwareDistribution/ReportingEvents.log";
const UPDATE_LOG: &str = "Windows/WindowsUpdate.log";
const UPDATE_EVENTS: &str =
    "Windows/System32/winevt/Logs/Microsoft-Windows-WindowsUpdateClient%4Operational.evtx";
const BACKUP_EVENTS: &str = "Windows/System32/winevt/Logs/Microsoft-Windows-Backup.evtx";
const APPLICATION: &str = "Windows/System32/winevt/Logs/Application.evtx";

impl SimHost {
    /// Does one run of `work`.
    pub(super) fn do_work(&self, life: &mut Life, work: Work, at: Timestamp) -> io::Result<()> {
        let concerns = |f: &&Fault| f.model.work == work;
        let failing = life.faults.iter().filter(concerns).find(|f| f.fails() && f.since <= at);
        if let Some(model) = failing.map(|f| f.model) {
            return self.badly(life, model, at);
        }
        // apt does nothing on a host whose packages wait for dpkg or lack others.
        let stuck = |f: &Fault| {
            let state = matches!(f.model.trace, Trace::Interrupted | Trace::Script | Trace::Deps);
            state && f.fails() && f.since <= at
        };
        if work == Work::Upgrade && life.faults.iter().any(stuck) {
            return Ok(());
        }
        life.well.insert(work, at);
        // A fault that is gone: its work shows that it is.
        let was = life.faults.iter().filter(concerns).map(|f| f.model).next_back();
        match was {
            Some(model) => self.well(life, model, at),
            None => self.as_ever(work, at),
        }
    }

    /// The words of a model's log lines, about this host.
    pub(super) fn words(&self, model: &Model) -> String {
        let (_, title) = self.update(model);
        self.fill(&model.words).replace("{title}", &title)
    }

    /// A text of the table, about this host.
    pub(super) fn fill(&self, text: &str) -> String {
        let number = u32::from(Sha256::digest(&self.persona.name)[0]);
        text.replace("{site}", self.persona.site).replace("{n}", &number.to_string())
    }

    fn badly(&self, life: &mut Life, model: &Model, at: Timestamp) -> io::Result<()> {
        let (root, code, words) = (&self.root, model.hresult(), self.words(model));
        let (guid, _) = self.update(model);
        let about = Update { guid: &guid };
        if matches!(model.work, Work::Download | Work::Install) && model.os == OsFamily::Windows {
            layout::fill_cache(root)?;
        }
        match model.trace {
            Trace::Reporting => {
                let row = update::reporting(at, model.work, about, code, &words);
                logs::append(root, REPORTING, row)
            }
            Trace::UpdateLog => {
                let lines = update::failed(at, model.work, about, code.unwrap_or_default());
                logs::append(root, UPDATE_LOG, lines)
            }
            Trace::Cbs => {
                let session = cbs::session(at, &self.package(model), code, &words);
                logs::append(root, CBS, session)
            }
            Trace::UpdateEvent => self.update_event(life, model, Some(&hex(code)), at),
            Trace::BackupEvent => {
                let event = Event::new("Windows Backup", 4104, 2).data("", &words);
                self.event(life, APPLICATION, event, at)
            }
            Trace::ImageEvent => {
                let event = Event::new("Microsoft-Windows-Backup", 5, 2)
                    .data("BackupTarget", "\\\\?\\Volume{simulated}\\")
                    .data("HRESULT", &hex(code))
                    .data("DetailedHRESULT", "0x00000000");
                self.event(life, BACKUP_EVENTS, event, at)
            }
            Trace::VssEvent => {
                let event = Event::new("VSS", 12293, 2)
                    .data("", "EndPrepareSnapshots({simulated})")
                    .data("", &format!("{}, {words}", hex(code)));
                self.event(life, APPLICATION, event, at)
            }
            Trace::Journal => logs::append(root, layout::JOURNAL, apt::journal(at, &words)),
            Trace::Unattended => {
                let log = "var/log/unattended-upgrades/unattended-upgrades.log";
                logs::append(root, log, apt::unattended(at, &words))
            }
            Trace::Term => {
                logs::append(root, "var/log/apt/term.log", apt::term(at, &words))?;
                let error = "Sub-process /usr/bin/dpkg returned an error code (1)";
                logs::append(root, "var/log/apt/history.log", apt::history(at, Some(error)))
            }
            Trace::Unit => {
                life.invocations += 1;
                (life.unit_reset, life.unit_changed) = (false, at);
                Ok(())
            }
            Trace::Interrupted | Trace::Script | Trace::Deps | Trace::Timer | Trace::Idle => Ok(()),
        }
    }

    fn well(&self, life: &mut Life, model: &Model, at: Timestamp) -> io::Result<()> {
        let (guid, title) = self.update(model);
        let about = Update { guid: &guid };
        match model.trace {
            Trace::Reporting | Trace::UpdateLog => {
                let words = format!("Success: {title}.");
                let row = update::reporting(at, model.work, about, None, &words);
                logs::append(&self.root, REPORTING, row)
            }
            Trace::Cbs => {
                let session = cbs::session(at, &self.package(model), None, "");
                logs::append(&self.root, CBS, session)
            }
            Trace::UpdateEvent => self.update_event(life, model, None, at),
            Trace::BackupEvent => {
                let event = Event::new("Windows Backup", 4098, 4);
                self.event(life, APPLICATION, event, at)
            }
            Trace::ImageEvent => {
                let event = Event::new("Microsoft-Windows-Backup", 4, 4);
                self.event(life, BACKUP_EVENTS, event, at)
            }
            Trace::Unit => {
                life.invocations += 1;
                life.unit_changed = at;
                Ok(())
            }
            _ => self.as_ever(model.work, at),
        }
    }

    /// A run of a work that never failed here.
    fn as_ever(&self, work: Work, at: Timestamp) -> io::Result<()> {
        let root = &self.root;
        match (self.persona.os, work) {
            (OsFamily::Windows, Work::Scan) => {
                let scan = Update { guid: "9482F4B4-E343-43B6-B170-9A65BC822C77" };
                let words = "Windows Update Client successfully detected 0 updates.";
                logs::append(root, REPORTING, update::reporting(at, work, scan, None, words))
            }
            (OsFamily::Linux, Work::Upgrade) => {
                logs::append(root, "var/log/apt/history.log", apt::history(at, None))
            }
            (OsFamily::Linux, Work::Lists) => layout::stamp(root, at),
            _ => Ok(()),
        }
    }

    fn update_event(
        &self,
        life: &mut Life,
        model: &Model,
        code: Option<&str>,
        at: Timestamp,
    ) -> io::Result<()> {
        let (guid, _) = self.update(model);
        let (bad, good) = match model.work {
            Work::Scan => (25, 26),
            Work::Download => (31, 19),
            _ => (20, 19),
        };
        let (id, level) = if code.is_some() { (bad, 2) } else { (good, 4) };
        let mut event = Event::new("Microsoft-Windows-WindowsUpdateClient", id, level);
        if model.work != Work::Scan {
            event = event.data("updateTitle", &self.update_title(model));
            event = event.data("updateGuid", &format!("{{{guid}}}"));
        }
        if let Some(code) = code {
            event = event.data("errorCode", code);
        }
        self.event(life, UPDATE_EVENTS, event, at)
    }

    /// Adds an event to an event file, which holds the latest few.
    fn event(
        &self,
        life: &mut Life,
        name: &'static str,
        event: Event,
        at: Timestamp,
    ) -> io::Result<()> {
        let log = life.events.entry(name).or_default();
        log.add(event.at(at.as_millis()));
        let events: Vec<Event> = log.events.iter().cloned().collect();
        logs::put(&self.root, name, file_from(log.first + 1, &[events]))
    }

    /// The package that servicing works on: of the update of the month, for this build.
    fn package(&self, model: &Model) -> String {
        let build = self.persona.build.trim_start_matches("10.0.");
        let kb = kb(&[&model.id, self.persona.os_name]);
        format!("Package_for_RollupFix~31bf3856ad364e35~amd64~~{build}.1.{}", kb % 100)
    }

    /// The update that a fault concerns: its GUID and its title. The same on all hosts of a system.
    fn update(&self, model: &Model) -> (String, String) {
        let lies =
            |(id, upper): &&(&str, &'static Model)| *id == model.id && upper.work == model.work;
        let model = self.beneath.iter().find(lies).map_or(model, |(_, upper)| *upper);
        let names = [model.id.as_str(), self.persona.os_name];
        let d = Sha256::digest(names.join("/"));
        let guid = hex::encode_upper(&d[..16]);
        let parts = [&guid[..8], &guid[8..12], &guid[12..16], &guid[16..20], &guid[20..]];
        let title = format!(
            "2026-11 Cumulative Update for {} (KB{})",
            self.persona.os_name,
            5_099_000 + kb(&names)
        );
        (parts.join("-"), title)
    }

    /// The title as the event names it: the model's own words, where they name an update.
    fn update_title(&self, model: &Model) -> String {
        if model.words.contains("KB") || model.words.contains("{title}") {
            self.words(model)
        } else {
            self.update(model).1
        }
    }
}

fn kb(names: &[&str]) -> u32 {
    let d = Sha256::digest(names.join("/"));
    u32::from(u16::from_be_bytes([d[0], d[1]])) % 600
}

fn hex(code: Option<u32>) -> String {
    format!("0x{:08x}", code.unwrap_or_default())
}
