//! What an agent says of its host: facts, state, and the hello that opens a session.

use std::collections::BTreeMap;

use fleetmend_core::host::{AgentHealth, Disk, HostFacts, HostState, ServiceState};
use fleetmend_core::ids::{JobId, SpoolEpoch};
use fleetmend_core::job::JobState;
use fleetmend_core::limits;
use fleetmend_core::time::Timestamp;

use crate::convert::{
    ConvertError, Within as _, clean, count, id, name, optional_text, required, text, time,
};
use crate::{v1, words};

/// A job that stands open in an agent's journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenJob {
    /// The job.
    pub job: JobId,
    /// Which try.
    pub attempt: u32,
    /// Where it stands.
    pub state: JobState,
}

/// The first message of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// What the host is.
    pub facts: HostFacts,
    /// The life of its spool.
    pub epoch: SpoolEpoch,
    /// The highest order counter it ever took.
    pub order_counter: u64,
    /// Jobs that stand open in its journal.
    pub open_jobs: Vec<OpenJob>,
}

/// Far above any real counter, far below overflow: nobody can push the server against the wall.
const COUNTER_MAX: u64 = 1 << 53;

impl TryFrom<v1::Hello> for Hello {
    type Error = ConvertError;
    fn try_from(wire: v1::Hello) -> Result<Self, ConvertError> {
        count("open_jobs", wire.open_jobs.len(), limits::OPEN_JOBS)?;
        if wire.order_counter > COUNTER_MAX {
            return Err(ConvertError::new("order_counter", format!("at most {COUNTER_MAX}")));
        }
        let open_jobs =
            wire.open_jobs.into_iter().enumerate().map(|(at, job)| {
                open_job(&job).map_err(|err| err.within(&format!("open_jobs[{at}]")))
            });
        Ok(Self {
            facts: required("facts", wire.facts)?.try_into().within("facts")?,
            epoch: id("spool_epoch", &wire.spool_epoch)?,
            order_counter: wire.order_counter,
            open_jobs: open_jobs.collect::<Result<_, _>>()?,
        })
    }
}

impl From<Hello> for v1::Hello {
    fn from(hello: Hello) -> Self {
        Self {
            facts: Some((&hello.facts).into()),
            spool_epoch: hello.epoch.0.as_bytes().to_vec(),
            order_counter: hello.order_counter,
            open_jobs: hello
                .open_jobs
                .into_iter()
                .map(|open| v1::OpenJob {
                    job: open.job.0.as_bytes().to_vec(),
                    attempt: open.attempt,
                    state: v1::JobState::from(open.state).into(),
                })
                .collect(),
        }
    }
}

impl TryFrom<v1::HostFacts> for HostFacts {
    type Error = ConvertError;
    fn try_from(wire: v1::HostFacts) -> Result<Self, ConvertError> {
        Ok(Self {
            name: name("name", wire.name, limits::HOST_NAME_BYTES)?,
            os: words::os_family("os", wire.os)?,
            os_name: text("os_name", wire.os_name, limits::FACT_BYTES)?,
            os_build: text("os_build", wire.os_build, limits::FACT_BYTES)?,
            arch: text("arch", wire.arch, limits::FACT_BYTES)?,
            agent_version: text("agent_version", wire.agent_version, limits::FACT_BYTES)?,
            boot_id: text("boot_id", wire.boot_id, limits::FACT_BYTES)?,
            simulated: wire.simulated,
        })
    }
}

impl From<&HostFacts> for v1::HostFacts {
    fn from(facts: &HostFacts) -> Self {
        Self {
            name: clean(&facts.name),
            os: v1::OsFamily::from(facts.os).into(),
            os_name: clean(&facts.os_name),
            os_build: clean(&facts.os_build),
            arch: clean(&facts.arch),
            agent_version: clean(&facts.agent_version),
            boot_id: clean(&facts.boot_id),
            simulated: facts.simulated,
        }
    }
}

impl TryFrom<v1::HostState> for HostState {
    type Error = ConvertError;
    fn try_from(wire: v1::HostState) -> Result<Self, ConvertError> {
        let size = prost::Message::encoded_len(&wire);
        if size > limits::HOST_STATE_BYTES {
            let problem = format!("{size} bytes; at most {}", limits::HOST_STATE_BYTES);
            return Err(ConvertError::new("host_state", problem));
        }
        count("disks", wire.disks.len(), limits::STATE_ROWS)?;
        count("services", wire.services.len(), limits::STATE_ROWS)?;
        count("more", wire.more.len(), limits::STATE_ROWS)?;
        let moment = |field, ms: Option<i64>| ms.map(|ms| time(field, ms)).transpose();
        let authority =
            wire.update_authority.map(|n| words::update_authority("update_authority", n));
        let mut more = BTreeMap::new();
        for (key, value) in wire.more {
            let key = name("more", key, limits::FACT_BYTES)?;
            more.insert(key, text("more", value, limits::FACT_BYTES)?);
        }
        Ok(Self {
            updates: texts("updates", wire.updates, limits::STATE_UPDATES)?,
            last_scan: moment("last_scan", wire.last_scan)?,
            last_install: moment("last_install", wire.last_install)?,
            last_backup: moment("last_backup", wire.last_backup)?,
            booted_at: moment("booted_at", wire.booted_at)?,
            pending_reboot: optional_text(
                "pending_reboot",
                wire.pending_reboot,
                limits::DETAIL_BYTES,
            )?,
            disks: wire.disks.into_iter().map(disk).collect::<Result<_, _>>().within("disks")?,
            services: wire
                .services
                .into_iter()
                .map(service)
                .collect::<Result<_, _>>()
                .within("services")?,
            update_authority: authority.transpose()?,
            update_authority_proof: optional_text(
                "update_authority_proof",
                wire.update_authority_proof,
                limits::DETAIL_BYTES,
            )?,
            roles: texts("roles", wire.roles, limits::STATE_ROWS)?,
            agent: health(wire.agent.unwrap_or_default()).within("agent")?,
            more,
            at: moment("at", wire.at)?,
        })
    }
}

impl From<&HostState> for v1::HostState {
    fn from(state: &HostState) -> Self {
        let clean_all = |texts: &[String]| texts.iter().map(|t| clean(t)).collect();
        let ms = |at: Option<Timestamp>| at.map(Timestamp::as_millis);
        Self {
            updates: clean_all(&state.updates),
            last_scan: ms(state.last_scan),
            last_install: ms(state.last_install),
            last_backup: ms(state.last_backup),
            booted_at: ms(state.booted_at),
            pending_reboot: state.pending_reboot.as_deref().map(clean),
            disks: state.disks.iter().map(wire_disk).collect(),
            services: state.services.iter().map(wire_service).collect(),
            update_authority: state.update_authority.map(|a| v1::UpdateAuthority::from(a).into()),
            update_authority_proof: state.update_authority_proof.as_deref().map(clean),
            roles: clean_all(&state.roles),
            agent: Some(wire_health(&state.agent)),
            more: state.more.iter().map(|(k, v)| (clean(k), clean(v))).collect(),
            at: ms(state.at),
        }
    }
}

fn open_job(wire: &v1::OpenJob) -> Result<OpenJob, ConvertError> {
    Ok(OpenJob {
        job: id("job", &wire.job)?,
        attempt: wire.attempt,
        state: words::job_state("state", wire.state)?,
    })
}

fn texts(
    field: &'static str,
    values: Vec<String>,
    max: usize,
) -> Result<Vec<String>, ConvertError> {
    count(field, values.len(), max)?;
    values.into_iter().map(|value| text(field, value, limits::FACT_BYTES)).collect()
}

/// Sizes are kept as 63 bits by every database.
fn number(field: &'static str, value: u64) -> Result<u64, ConvertError> {
    match i64::try_from(value) {
        Ok(_) => Ok(value),
        Err(_) => Err(ConvertError::new(field, format!("{value}; at most {}", i64::MAX))),
    }
}

fn disk(wire: v1::Disk) -> Result<Disk, ConvertError> {
    Ok(Disk {
        mount: text("mount", wire.mount, limits::SUBJECT_BYTES)?,
        file_system: text("file_system", wire.file_system, limits::FACT_BYTES)?,
        size_bytes: number("size_bytes", wire.size_bytes)?,
        free_bytes: number("free_bytes", wire.free_bytes)?,
        read_only: wire.read_only,
    })
}

fn wire_disk(disk: &Disk) -> v1::Disk {
    v1::Disk {
        mount: clean(&disk.mount),
        file_system: clean(&disk.file_system),
        size_bytes: disk.size_bytes,
        free_bytes: disk.free_bytes,
        read_only: disk.read_only,
    }
}

fn service(wire: v1::ServiceState) -> Result<ServiceState, ConvertError> {
    Ok(ServiceState {
        name: text("name", wire.name, limits::FACT_BYTES)?,
        state: text("state", wire.state, limits::FACT_BYTES)?,
        start: text("start", wire.start, limits::FACT_BYTES)?,
    })
}

fn wire_service(service: &ServiceState) -> v1::ServiceState {
    v1::ServiceState {
        name: clean(&service.name),
        state: clean(&service.state),
        start: clean(&service.start),
    }
}

fn health(wire: v1::AgentHealth) -> Result<AgentHealth, ConvertError> {
    Ok(AgentHealth {
        spool_items: number("spool_items", wire.spool_items)?,
        spool_bytes: number("spool_bytes", wire.spool_bytes)?,
        spool_dropped: number("spool_dropped", wire.spool_dropped)?,
        spool_corrupt: number("spool_corrupt", wire.spool_corrupt)?,
        files_damaged: number("files_damaged", wire.files_damaged)?,
        rss_bytes: number("rss_bytes", wire.rss_bytes)?,
        ceiling: text("ceiling", wire.ceiling, limits::FACT_BYTES)?,
    })
}

fn wire_health(health: &AgentHealth) -> v1::AgentHealth {
    v1::AgentHealth {
        spool_items: health.spool_items,
        spool_bytes: health.spool_bytes,
        spool_dropped: health.spool_dropped,
        spool_corrupt: health.spool_corrupt,
        files_damaged: health.files_damaged,
        rss_bytes: health.rss_bytes,
        ceiling: clean(&health.ceiling),
    }
}
