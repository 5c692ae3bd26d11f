//! The recorded host behind the platform's trait.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fleetmend_core::host::HostFacts;
use fleetmend_core::step::{Hive, StartType};
use fleetmend_core::time::Timestamp;

use super::names::{from_root, full, get, name_of, under, unrecorded};
use super::record::Call;
use super::{Now, Recorded, files, security};
use crate::platform::{
    Antivirus, BackupTarget, Event, EventQuery, Exit, FirewallState, InstalledUpdate,
    LibraryLocation, Memory, Outcome, Platform, Power, Process, Program, Proxy, RegistryKey,
    RegistryValue, Reparse, RunState, ServiceCall, ServiceSeen, Session, ShadowCopy, ShadowStorage,
    Signature, TimeSource, UpdateCall, Volume, VssProvider, VssWriter,
};

/// The key below which Windows keeps its services.
const SERVICES: &str = r"HKLM\SYSTEM\CurrentControlSet\Services";

#[async_trait::async_trait]
impl Platform for Recorded {
    fn root(&self) -> &Path {
        &self.root
    }

    fn facts(&self) -> io::Result<HostFacts> {
        let host = self.now().record.host.clone();
        Ok(HostFacts {
            name: host.name,
            os: host.os,
            os_name: host.os_name,
            os_build: host.build,
            arch: host.arch,
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            boot_id: host.boot,
            simulated: true,
        })
    }

    async fn run(
        &self,
        program: &Program,
        sink: &mut (dyn for<'a> FnMut(&'a [u8]) + Send),
    ) -> io::Result<Exit> {
        let words = format!("run {} {}", program.path, program.args.join(" "));
        let words = words.trim_end();
        let call = {
            let mut now = self.now();
            now.done.push(words.to_owned());
            let call = self.answered(&mut now, words)?;
            call.ok_or_else(|| unrecorded(io::ErrorKind::NotFound, words))?
        };
        let bytes = call.output.into_bytes();
        sink(&bytes);
        let kept = bytes.len().min(program.max_output);
        Ok(Exit {
            status: (!call.hangs).then_some(call.exit),
            timed_out: call.hangs,
            output: bytes[..kept].to_vec(),
            dropped: (bytes.len() - kept) as u64,
        })
    }

    fn file(&self, path: &str) -> Option<PathBuf> {
        Some(files::find(&self.root, &from_root(path)))
    }

    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let mut now = self.now();
        let words = format!("resolve {host}");
        self.answered(&mut now, &words)?;
        let found = get(&now.record.resolves, host).cloned();
        match found {
            Some(addresses) if addresses.is_empty() => Err(io::ErrorKind::NotFound.into()),
            Some(addresses) => Ok(addresses),
            None => Err(unrecorded(io::ErrorKind::Other, &words)),
        }
    }

    async fn reach(&self, host: &str, port: u16) -> io::Result<()> {
        let mut now = self.now();
        let words = format!("reach {host}:{port}");
        self.answered(&mut now, &words)?;
        match get(&now.record.reaches, &format!("{host}:{port}")) {
            Some(true) => Ok(()),
            Some(false) => Err(io::ErrorKind::ConnectionRefused.into()),
            None => Err(unrecorded(io::ErrorKind::Other, &words)),
        }
    }

    async fn service(&self, name: &str, call: ServiceCall) -> io::Result<ServiceSeen> {
        let words = match call {
            ServiceCall::Look => format!("service.look {name}"),
            ServiceCall::Start => format!("service.start {name}"),
            ServiceCall::Stop => format!("service.stop {name}"),
            ServiceCall::SetStart(start) => format!("service.set_start {name} {start}"),
        };
        let mut now = self.now();
        if call != ServiceCall::Look {
            now.done.push(words.clone());
        }
        let named = now.record.service.keys().find(|n| n.eq_ignore_ascii_case(name)).cloned();
        let named = named.ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("there is no service {name} (1060)"))
        })?;
        now.record.may(&words)?;
        let seen = now.record.service.entry(named.clone());
        let seen = seen.or_insert(ServiceSeen::new(RunState::Stopped, StartType::Manual));
        match call {
            ServiceCall::Look => {}
            ServiceCall::Start if seen.start == StartType::Disabled => {
                return Err(io::Error::other("the service is disabled (1058)"));
            }
            ServiceCall::Start => seen.state = RunState::Running,
            ServiceCall::Stop => seen.state = RunState::Stopped,
            ServiceCall::SetStart(start) => seen.start = start,
        }
        // What the record declares comes after what the call always does.
        self.answered(&mut now, &words)?;
        now.record.service.get(&named).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    async fn registry(
        &self,
        hive: Hive,
        key: &str,
        name: &str,
    ) -> io::Result<Option<RegistryValue>> {
        let key = full(hive, key);
        let mut now = self.now();
        self.answered(&mut now, &format!(r"registry {key}\{name}"))?;
        Ok(get(&now.record.registry, &key).and_then(|values| get(values, name)).cloned())
    }

    async fn registry_key(&self, hive: Hive, key: &str) -> io::Result<Option<RegistryKey>> {
        let key = full(hive, key);
        let mut now = self.now();
        self.answered(&mut now, &format!("registry_key {key}"))?;
        let record = &now.record;
        let mut found = RegistryKey::default();
        let mut there = false;
        for (path, values) in &record.registry {
            if path.eq_ignore_ascii_case(&key) {
                there = true;
                found.values.extend(values.keys().cloned());
            } else if let Some(rest) = under(path, &key) {
                there = true;
                found.keys.push(rest.split('\\').next().unwrap_or_default().to_owned());
            }
        }
        if key.eq_ignore_ascii_case(SERVICES) {
            there = true;
            found.keys.extend(record.service.keys().cloned());
        } else if under(&key, SERVICES).is_some_and(|name| get(&record.service, name).is_some()) {
            there = true;
        }
        found.keys.sort();
        found.keys.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
        Ok(there.then_some(found))
    }

    async fn registry_set(
        &self,
        hive: Hive,
        key: &str,
        name: &str,
        value: Option<&RegistryValue>,
    ) -> io::Result<()> {
        let key = full(hive, key);
        let verb = if value.is_some() { "set" } else { "delete" };
        let words = format!(r"registry.{verb} {key}\{name}");
        let mut now = self.now();
        now.done.push(words.clone());
        now.record.may(&words)?;
        let path = name_of(&now.record.registry, &key);
        match value {
            Some(value) => {
                let values = now.record.registry.entry(path).or_default();
                values.insert(name_of(values, name), value.clone());
            }
            None => {
                if let Some(values) = now.record.registry.get_mut(&path) {
                    values.remove(&name_of(values, name));
                }
            }
        }
        self.answered(&mut now, &words)?;
        Ok(())
    }

    async fn events(&self, query: EventQuery<'_>) -> io::Result<Vec<Event>> {
        let mut now = self.now();
        self.answered(&mut now, &format!("events {}", query.channel))?;
        let events = get(&now.record.event, query.channel).ok_or_else(|| {
            let words = format!("there is no event log {}", query.channel);
            io::Error::new(io::ErrorKind::NotFound, words)
        })?;
        let mut found: Vec<Event> =
            events.values().filter(|e| query.takes(query.channel, e)).cloned().collect();
        found.sort_by_key(|event| std::cmp::Reverse(event.at));
        found.truncate(query.most);
        Ok(found)
    }

    async fn oldest_event(&self, channel: &str) -> io::Result<Option<Timestamp>> {
        let mut now = self.now();
        self.answered(&mut now, &format!("oldest_event {channel}"))?;
        let events = get(&now.record.event, channel).ok_or(io::ErrorKind::NotFound)?;
        Ok(events.values().map(|event| event.at).min())
    }

    async fn exists(&self, path: &str) -> io::Result<bool> {
        self.answered(&mut self.now(), &format!("exists {path}"))?;
        Ok(std::fs::symlink_metadata(files::find(&self.root, &from_root(path))).is_ok())
    }

    async fn security(&self, path: &str) -> io::Result<Vec<u8>> {
        let mut now = self.now();
        let words = format!("security {path}");
        self.answered(&mut now, &words)?;
        let path = from_root(path);
        std::fs::symlink_metadata(files::find(&self.root, &path))?;
        let bytes = get(&now.record.security, &path).and_then(|list| security::bytes(list));
        bytes.ok_or_else(|| unrecorded(io::ErrorKind::Unsupported, &words))
    }

    async fn volumes(&self) -> io::Result<Vec<Volume>> {
        self.all("volumes", |now| now.record.volume.as_ref())
    }

    async fn libraries(&self) -> io::Result<Vec<LibraryLocation>> {
        self.all("libraries", |now| now.record.library.as_ref())
    }

    async fn reparse(&self, path: &str) -> io::Result<Option<Reparse>> {
        let mut now = self.now();
        self.answered(&mut now, &format!("reparse {path}"))?;
        if let Some(reparse) = get(&now.record.reparse, path) {
            return Ok(Some(reparse.clone()));
        }
        std::fs::symlink_metadata(files::find(&self.root, &from_root(path))).map(|_| None)
    }

    async fn reparse_set(&self, path: &str, reparse: Option<&Reparse>) -> io::Result<()> {
        let words = match reparse {
            Some(reparse) => format!("reparse.attach {path} {}", reparse.target),
            None => format!("reparse.detach {path}"),
        };
        let mut now = self.now();
        now.done.push(words.clone());
        now.record.may(&words)?;
        let named = name_of(&now.record.reparse, path);
        let folder = files::find(&self.root, &from_root(&named));
        if let Some(reparse) = reparse {
            if now.record.reparse.contains_key(&named) {
                return Err(io::Error::other(format!("{path} leads somewhere already")));
            }
            if std::fs::read_dir(&folder)?.next().is_some() {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            now.record.reparse.insert(named, reparse.clone());
        } else {
            if now.record.reparse.remove(&named).is_none() {
                return Err(io::Error::other(format!("{path} is no reparse point (4390)")));
            }
            std::fs::create_dir_all(&folder)?;
        }
        self.answered(&mut now, &words)?;
        Ok(())
    }

    async fn signature(&self, path: &str) -> io::Result<Signature> {
        let mut now = self.now();
        let words = format!("signature {path}");
        self.answered(&mut now, &words)?;
        let from_root = from_root(path);
        std::fs::symlink_metadata(files::find(&self.root, &from_root))?;
        let file = get(&now.record.file, &from_root);
        let signature = file.and_then(|file| file.signature.clone());
        signature.ok_or_else(|| unrecorded(io::ErrorKind::Unsupported, &words))
    }

    async fn processes(&self) -> io::Result<Vec<Process>> {
        self.all("processes", |now| now.record.process.as_ref())
    }

    async fn vss_writers(&self) -> io::Result<Vec<VssWriter>> {
        self.all("vss_writers", |now| now.record.vss_writer.as_ref())
    }

    async fn vss_providers(&self) -> io::Result<Vec<VssProvider>> {
        self.all("vss_providers", |now| now.record.vss_provider.as_ref())
    }

    async fn shadow_storage(&self) -> io::Result<Vec<ShadowStorage>> {
        self.all("shadow_storage", |now| now.record.shadow_storage.as_ref())
    }

    async fn shadow_copies(&self) -> io::Result<Vec<ShadowCopy>> {
        self.all("shadow_copies", |now| now.record.shadow_copy.as_ref())
    }

    async fn backup_targets(&self) -> io::Result<Vec<BackupTarget>> {
        self.all("backup_targets", |now| now.record.backup_target.as_ref())
    }

    async fn power(&self) -> io::Result<Power> {
        self.one("power", |now| now.record.power)
    }

    async fn asks_at_boot(&self) -> io::Result<Option<String>> {
        let asks = self.one("asks_at_boot", |now| now.record.asks_at_boot.clone())?;
        Ok(Some(asks).filter(|asks| !asks.is_empty()))
    }

    async fn sessions(&self) -> io::Result<Vec<Session>> {
        self.all("sessions", |now| now.record.session.as_ref())
    }

    /// Nobody waits for recorded people: they put it off, or they do not.
    async fn notify_users(
        &self,
        _: &str,
        _: Duration,
        may_defer: bool,
    ) -> io::Result<Option<String>> {
        let mut now = self.now();
        now.done.push("notify_users".to_owned());
        self.answered(&mut now, "notify_users")?;
        if !may_defer || now.record.put_off == 0 {
            return Ok(None);
        }
        now.record.put_off -= 1;
        let who = now.record.session.iter().flat_map(BTreeMap::values).next();
        Ok(Some(who.map_or_else(|| "somebody".to_owned(), |session| session.user.clone())))
    }

    async fn metered(&self) -> io::Result<bool> {
        self.one("metered", |now| now.record.metered)
    }

    async fn memory(&self) -> io::Result<Memory> {
        self.one("memory", |now| now.record.memory)
    }

    async fn antivirus(&self) -> io::Result<Vec<Antivirus>> {
        self.all("antivirus", |now| now.record.antivirus.as_ref())
    }

    async fn antivirus_exclusion(&self, path: &str, want: Option<bool>) -> io::Result<bool> {
        let mut now = self.now();
        let verb = match want {
            None => "look",
            Some(true) => "add",
            Some(false) => "remove",
        };
        let words = format!("antivirus_exclusion.{verb} {path}");
        if want.is_some() {
            now.done.push(words.clone());
        }
        now.record.may(&words)?;
        let excluded = &mut now.record.antivirus_excluded;
        let there = |excluded: &[String]| excluded.iter().any(|p| p.eq_ignore_ascii_case(path));
        match want {
            Some(true) if !there(excluded) => excluded.push(path.to_owned()),
            Some(false) => excluded.retain(|p| !p.eq_ignore_ascii_case(path)),
            _ => {}
        }
        self.answered(&mut now, &words)?;
        Ok(there(&now.record.antivirus_excluded))
    }

    async fn firewall(&self, want: Option<&FirewallState>) -> io::Result<FirewallState> {
        let mut now = self.now();
        let mut words = vec!["firewall".to_owned()];
        for (profile, on) in want.into_iter().flatten() {
            words.push(format!("{profile}={}", if *on { "on" } else { "off" }));
        }
        let words = words.join(" ");
        if want.is_some() {
            now.done.push(words.clone());
        }
        now.record.may(&words)?;
        if let (Some(want), Some(state)) = (want, &mut now.record.firewall) {
            state.extend(want);
        }
        self.answered(&mut now, &words)?;
        let state = now.record.firewall.clone();
        state.ok_or_else(|| unrecorded(io::ErrorKind::Unsupported, &words))
    }

    async fn updates(&self) -> io::Result<Vec<InstalledUpdate>> {
        let mut found = self.all("updates", |now| now.record.update.as_ref())?;
        found.sort_by_key(|update| std::cmp::Reverse(update.at));
        Ok(found)
    }

    async fn time_source(&self) -> io::Result<TimeSource> {
        self.one("time_source", |now| now.record.time_source.clone())
    }

    async fn proxy(&self) -> io::Result<Option<Proxy>> {
        let mut now = self.now();
        self.answered(&mut now, "proxy")?;
        Ok(now.record.proxy.clone())
    }

    async fn update(&self, call: UpdateCall, only: Option<&str>) -> io::Result<Outcome> {
        let of = only.map(|kb| format!(" {kb}")).unwrap_or_default();
        self.outcome(&format!("update.{call}{of}"))
    }

    async fn backup(&self) -> io::Result<Outcome> {
        self.outcome("backup")
    }

    async fn restore_points(&self) -> io::Result<BTreeMap<u32, String>> {
        let mut now = self.now();
        self.answered(&mut now, "restore_points")?;
        let number =
            |(number, name): (&String, &String)| Some((number.parse().ok()?, name.clone()));
        Ok(now.record.restore_point.iter().filter_map(number).collect())
    }

    async fn restore_point_remove(&self, number: u32) -> io::Result<()> {
        let words = format!("restore_point.remove {number}");
        let mut now = self.now();
        now.done.push(words.clone());
        self.answered(&mut now, &words)?;
        now.record.restore_point.remove(&number.to_string());
        Ok(())
    }

    async fn restore_point(&self, name: &str) -> io::Result<u32> {
        let words = format!("restore_point {name}");
        let mut now = self.now();
        now.done.push(words.clone());
        self.answered(&mut now, &words)?;
        let last = now.record.restore_point.keys().filter_map(|n| n.parse::<u32>().ok()).max();
        let number = last.unwrap_or(0) + 1;
        now.record.restore_point.insert(number.to_string(), name.to_owned());
        Ok(number)
    }
}

impl Recorded {
    /// What the record declares of a call, its effects done.
    fn answered(&self, now: &mut Now, words: &str) -> io::Result<Option<Call>> {
        now.record.may(words)?;
        let Some(call) = now.record.find(words).cloned() else { return Ok(None) };
        self.apply(now, &call.patch())?;
        Ok(Some(call))
    }

    fn all<T: Clone>(
        &self,
        words: &str,
        group: impl Fn(&Now) -> Option<&BTreeMap<String, T>>,
    ) -> io::Result<Vec<T>> {
        self.one(words, |now| group(now).map(|group| group.values().cloned().collect()))
    }

    fn one<T>(&self, words: &str, part: impl Fn(&Now) -> Option<T>) -> io::Result<T> {
        let mut now = self.now();
        self.answered(&mut now, words)?;
        part(&now).ok_or_else(|| unrecorded(io::ErrorKind::Unsupported, words))
    }

    fn outcome(&self, words: &str) -> io::Result<Outcome> {
        let mut now = self.now();
        now.done.push(words.to_owned());
        let outcome = self.answered(&mut now, words)?.and_then(|call| call.outcome);
        outcome.ok_or_else(|| unrecorded(io::ErrorKind::Unsupported, words))
    }
}

impl super::Record {
    fn find(&self, words: &str) -> Option<&Call> {
        get(&self.call, words)
    }

    /// The error, where the record says that a call fails.
    fn may(&self, words: &str) -> io::Result<()> {
        let fails = self.find(words).and_then(|call| call.fails.clone());
        fails.map_or(Ok(()), |fails| Err(io::Error::other(fails)))
    }
}
