//! Every metric of the server, by name, in one file. All are there from the start, at 0, so that a
//! missing one is a mistake and never *nothing happened yet*. Label values are closed sets.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use axum::extract::Request;
use axum::middleware::Next;
use fleetmend_core::campaign::CampaignState;
use fleetmend_core::time::Timestamp;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// What can end a connection or stream, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamEnd {
    /// The agent closed it.
    Closed,
    /// The host is revoked, retired or quarantined.
    Refused,
    /// A newer stream of the same host took its place.
    Replaced,
    /// Nothing came for too long.
    Idle,
    /// The agent broke the protocol.
    Protocol,
    /// It was open for long enough.
    Aged,
    /// The server stops.
    Shutdown,
    /// The server could not do its part.
    Internal,
}

impl StreamEnd {
    const ALL: [Self; 8] = [
        Self::Closed,
        Self::Refused,
        Self::Replaced,
        Self::Idle,
        Self::Protocol,
        Self::Aged,
        Self::Shutdown,
        Self::Internal,
    ];

    /// The label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Refused => "refused",
            Self::Replaced => "replaced",
            Self::Idle => "idle",
            Self::Protocol => "protocol",
            Self::Aged => "aged",
            Self::Shutdown => "shutdown",
            Self::Internal => "internal",
        }
    }
}

/// How a connection to the agents' port failed before any RPC, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionRefused {
    /// The listener gave an error.
    Accept,
    /// The handshake failed: a foreign or expired certificate, no TLS 1.3.
    Handshake,
    /// The handshake took too long.
    Timeout,
    /// Too many connections stand.
    Full,
}

impl ConnectionRefused {
    const ALL: [Self; 4] = [Self::Accept, Self::Handshake, Self::Timeout, Self::Full];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Handshake => "handshake",
            Self::Timeout => "timeout",
            Self::Full => "full",
        }
    }
}

/// What kind of error the database gave, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseError {
    /// It is away: lost, busy for too long, read-only, its disk full.
    Unavailable,
    /// A stored row makes no sense.
    Inconsistent,
    /// Anything else: a defect.
    Other,
}

impl DatabaseError {
    const ALL: [Self; 3] = [Self::Unavailable, Self::Inconsistent, Self::Other];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Inconsistent => "inconsistent",
            Self::Other => "other",
        }
    }
}

const HALTED: &str = "fleetmend_halted";
const CAMPAIGNS: &str = "fleetmend_campaigns_at_work";
const CAMPAIGN_LOOKS: &str = "fleetmend_campaign_look_seconds";
const CAMPAIGN_MOVES: &str = "fleetmend_campaign_transitions_total";
const CAMPAIGN_HOSTS: &str = "fleetmend_campaign_hosts_total";
const DATABASE_UP: &str = "fleetmend_database_up";
const DATABASE_ERRORS: &str = "fleetmend_database_errors_total";
const DATABASE_POOL: &str = "fleetmend_database_connections";
const DATABASE_POOL_MAX: &str = "fleetmend_database_connections_max";
const CONNECTIONS: &str = "fleetmend_agent_connections";
const REFUSED: &str = "fleetmend_agent_connections_refused_total";
const STREAMS: &str = "fleetmend_agent_streams";
const STREAM_ENDS: &str = "fleetmend_agent_streams_ended_total";
const ENROLMENTS: &str = "fleetmend_enrolments_total";
const RENEWALS: &str = "fleetmend_certificate_renewals_total";
const ITEMS: &str = "fleetmend_ingest_items_total";
const COMMITS: &str = "fleetmend_ingest_commits_total";
const COMMIT_FAILURES: &str = "fleetmend_ingest_commit_failures_total";
const COMMIT_SECONDS: &str = "fleetmend_ingest_commit_seconds";
const COMMIT_ROWS: &str = "fleetmend_ingest_commit_rows";
const THROTTLED: &str = "fleetmend_agent_streams_throttled_total";
const STATES_REFUSED: &str = "fleetmend_host_states_refused_total";
const ORDERS: &str = "fleetmend_orders_pushed_total";
const TASK_RUNS: &str = "fleetmend_task_runs_total";
const HTTP_REQUESTS: &str = "fleetmend_http_requests_total";
const HTTP_SECONDS: &str = "fleetmend_http_request_seconds";
const CERTIFICATE_ENDS: &str = "fleetmend_certificate_expires_timestamp_seconds";
const INFO: &str = "fleetmend_build_info";

/// What ingest did with an item, as a label.
const ITEM_RESULTS: [&str; 3] = ["stored", "repeated", "quarantined"];
const RESULTS: [&str; 2] = ["ok", "refused"];
const STATUS_CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Installs the process's recorder once, and describes every metric.
///
/// # Errors
/// Where another recorder was installed by somebody else.
pub fn install() -> anyhow::Result<PrometheusHandle> {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    static BUSY: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _once = BUSY.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(handle) = HANDLE.get() {
        return Ok(handle.clone());
    }
    let seconds = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
    let rows = [1.0, 10.0, 50.0, 100.0, 250.0, 500.0, 1_000.0];
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &seconds)?
        .set_buckets_for_metric(Matcher::Suffix("_rows".to_owned()), &rows)?
        .install_recorder()?;
    describe();
    Ok(HANDLE.get_or_init(|| handle).clone())
}

fn describe() {
    use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge};
    describe_gauge!(INFO, "The running version.");
    gauge!(INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    describe_gauge!(CONNECTIONS, "Connections to the agents' port.");
    gauge!(CONNECTIONS).set(0.0);
    describe_gauge!(DATABASE_UP, "1 where the database answers and takes writes, else 0.");
    gauge!(DATABASE_UP).set(0.0);
    describe_gauge!(CAMPAIGNS, "Campaigns for which something can happen.");
    gauge!(CAMPAIGNS).set(0.0);
    describe_histogram!(CAMPAIGN_LOOKS, metrics::Unit::Seconds, "Time to carry a campaign on.");
    describe_counter!(CAMPAIGN_MOVES, "Campaigns that came into a state by themselves.");
    for state in CampaignState::ALL {
        counter!(CAMPAIGN_MOVES, "to" => state.as_str()).absolute(0);
    }
    describe_counter!(CAMPAIGN_HOSTS, "Hosts of campaigns that were started, or left out.");
    campaign_hosts(0, 0);
    describe_gauge!(HALTED, "1 where the fleet is halted that way, else 0.");
    halted(false, false);
    describe_counter!(DATABASE_ERRORS, "Calls to the database that failed, by kind.");
    for kind in DatabaseError::ALL {
        counter!(DATABASE_ERRORS, "kind" => kind.as_str()).absolute(0);
    }
    describe_gauge!(DATABASE_POOL, "Connections to the database, by what they do.");
    describe_gauge!(DATABASE_POOL_MAX, "The most connections to the database.");
    database_pool(0, 0, 0);
    describe_counter!(REFUSED, "Connections to the agents' port that ended before any call.");
    for why in ConnectionRefused::ALL {
        counter!(REFUSED, "why" => why.as_str()).absolute(0);
    }
    describe_gauge!(STREAMS, "Hosts with an open stream.");
    gauge!(STREAMS).set(0.0);
    describe_counter!(STREAM_ENDS, "Streams that ended, by what ended them.");
    for why in StreamEnd::ALL {
        counter!(STREAM_ENDS, "why" => why.as_str()).absolute(0);
    }
    describe_counter!(ENROLMENTS, "Calls to enrol.");
    describe_counter!(RENEWALS, "Calls to renew a certificate.");
    for result in RESULTS {
        counter!(ENROLMENTS, "result" => result).absolute(0);
        counter!(RENEWALS, "result" => result).absolute(0);
    }
    describe_counter!(ITEMS, "Items taken from agents, by what became of them.");
    for result in ITEM_RESULTS {
        counter!(ITEMS, "result" => result).absolute(0);
    }
    describe_counter!(COMMITS, "Ingest transactions committed.");
    describe_counter!(
        COMMIT_FAILURES,
        "Ingest transactions that failed; nothing was acknowledged."
    );
    describe_counter!(THROTTLED, "Times a host's stream was slowed because it sent too much.");
    describe_counter!(ORDERS, "Orders signed and sent.");
    describe_counter!(STATES_REFUSED, "Host states that could not be read and were dropped.");
    for name in [COMMITS, COMMIT_FAILURES, THROTTLED, ORDERS, STATES_REFUSED] {
        counter!(name).absolute(0);
    }
    describe_histogram!(COMMIT_SECONDS, metrics::Unit::Seconds, "Time of an ingest transaction.");
    describe_histogram!(COMMIT_ROWS, "Items of an ingest transaction.");
    describe_counter!(TASK_RUNS, "Runs of background tasks.");
    describe_counter!(HTTP_REQUESTS, "Requests on the people's port, by status class.");
    for class in STATUS_CLASSES {
        counter!(HTTP_REQUESTS, "status" => class).absolute(0);
    }
    describe_histogram!(HTTP_SECONDS, metrics::Unit::Seconds, "Time to the head of an answer.");
    describe_gauge!(CERTIFICATE_ENDS, "When a certificate of the server ends, in Unix time.");
}

/// A connection to the agents' port stands as long as this does.
#[derive(Debug)]
pub struct OpenConnection(());

impl OpenConnection {
    /// Counts it.
    pub fn new() -> Self {
        metrics::gauge!(CONNECTIONS).increment(1.0);
        Self(())
    }
}

impl Default for OpenConnection {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        metrics::gauge!(CONNECTIONS).decrement(1.0);
    }
}

/// So many campaigns are at work.
pub fn campaigns_at_work(count: usize) {
    #[expect(clippy::cast_precision_loss, reason = "far fewer campaigns than a float counts")]
    metrics::gauge!(CAMPAIGNS).set(count as f64);
}

/// A campaign was looked at and carried on.
pub fn campaign_looked(took: Duration) {
    metrics::histogram!(CAMPAIGN_LOOKS).record(took.as_secs_f64());
}

/// A campaign came into a state by itself.
pub fn campaign_moved(to: CampaignState) {
    metrics::counter!(CAMPAIGN_MOVES, "to" => to.as_str()).increment(1);
}

/// Hosts of a campaign were started, or left out.
pub fn campaign_hosts(started: usize, left_out: usize) {
    for (what, count) in [("started", started), ("left_out", left_out)] {
        metrics::counter!(CAMPAIGN_HOSTS, "what" => what).increment(count as u64);
    }
}

/// Whether the fleet is halted: by the server's file, by the database.
pub fn halted(file: bool, database: bool) {
    for (way, halted) in [("file", file), ("database", database)] {
        metrics::gauge!(HALTED, "way" => way).set(if halted { 1.0 } else { 0.0 });
    }
}

/// Whether the database answers and takes writes.
pub fn database_up(up: bool) {
    metrics::gauge!(DATABASE_UP).set(if up { 1.0 } else { 0.0 });
}

/// A call to the database failed.
pub fn database_error(kind: DatabaseError) {
    metrics::counter!(DATABASE_ERRORS, "kind" => kind.as_str()).increment(1);
}

/// The connections to the database: how many are open, how many of them idle, how many there may be.
pub fn database_pool(open: u32, idle: u32, most: u32) {
    let idle = idle.min(open);
    metrics::gauge!(DATABASE_POOL, "state" => "idle").set(f64::from(idle));
    metrics::gauge!(DATABASE_POOL, "state" => "used").set(f64::from(open - idle));
    metrics::gauge!(DATABASE_POOL_MAX).set(f64::from(most));
}

/// A connection ended before any call.
pub fn connection_refused(why: ConnectionRefused) {
    metrics::counter!(REFUSED, "why" => why.as_str()).increment(1);
}

/// So many hosts have a stream.
pub fn streams(open: usize) {
    #[expect(clippy::cast_precision_loss, reason = "far fewer streams than a float counts")]
    metrics::gauge!(STREAMS).set(open as f64);
}

/// A stream ended.
pub fn stream_ended(why: StreamEnd) {
    metrics::counter!(STREAM_ENDS, "why" => why.as_str()).increment(1);
}

/// Somebody tried to enrol.
pub fn enrolment(ok: bool) {
    metrics::counter!(ENROLMENTS, "result" => RESULTS[usize::from(!ok)]).increment(1);
}

/// Somebody tried to renew.
pub fn renewal(ok: bool) {
    metrics::counter!(RENEWALS, "result" => RESULTS[usize::from(!ok)]).increment(1);
}

/// An ingest transaction was committed.
pub fn committed(took: Duration, stored: u64, repeated: u64, quarantined: u64) {
    metrics::counter!(COMMITS).increment(1);
    metrics::histogram!(COMMIT_SECONDS).record(took.as_secs_f64());
    #[expect(clippy::cast_precision_loss, reason = "at most some thousand rows")]
    metrics::histogram!(COMMIT_ROWS).record((stored + repeated + quarantined) as f64);
    for (result, count) in ITEM_RESULTS.into_iter().zip([stored, repeated, quarantined]) {
        metrics::counter!(ITEMS, "result" => result).increment(count);
    }
}

/// An ingest transaction failed.
pub fn commit_failed() {
    metrics::counter!(COMMIT_FAILURES).increment(1);
}

/// A host's stream was slowed.
pub fn throttled() {
    metrics::counter!(THROTTLED).increment(1);
}

/// A host's state could not be read.
pub fn state_refused() {
    metrics::counter!(STATES_REFUSED).increment(1);
}

/// An order was sent.
pub fn order_pushed() {
    metrics::counter!(ORDERS).increment(1);
}

/// A background task ran; `task` is one of the fixed names.
pub fn task_ran(task: &'static str, ok: bool) {
    metrics::counter!(TASK_RUNS, "task" => task, "result" => if ok { "ok" } else { "failed" })
        .increment(1);
}

/// The people's port, each of its answers counted and timed.
pub fn counted(site: axum::Router) -> axum::Router {
    site.layer(axum::middleware::from_fn(async |request: Request, next: Next| {
        let started = std::time::Instant::now();
        let response = next.run(request).await;
        let class = STATUS_CLASSES[usize::from(response.status().as_u16() / 100).clamp(1, 5) - 1];
        metrics::counter!(HTTP_REQUESTS, "status" => class).increment(1);
        metrics::histogram!(HTTP_SECONDS).record(started.elapsed().as_secs_f64());
        response
    }))
}

/// When a certificate of the server's own ends; `name` is one of the fixed names.
pub fn certificate_ends(name: &'static str, end: Timestamp) {
    #[expect(clippy::cast_precision_loss, reason = "seconds of this age fit a float exactly")]
    metrics::gauge!(CERTIFICATE_ENDS, "certificate" => name).set((end.as_millis() / 1_000) as f64);
}

/// What the metrics port serves.
pub fn router(handle: PrometheusHandle) -> axum::Router {
    let render = move || {
        let handle = handle.clone();
        async move {
            handle.run_upkeep();
            ([("content-type", "text/plain; version=0.0.4")], handle.render())
        }
    };
    axum::Router::new().route("/metrics", axum::routing::get(render))
}

/// Whether an address may be used without TLS and log-in.
pub fn is_private(addr: SocketAddr) -> bool {
    addr.ip().is_loopback()
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_metric_is_there_at_0_from_the_start() {
        let text = super::install().expect("the recorder").render();
        for name in [super::STREAMS, super::REFUSED, super::ITEMS, super::ORDERS, super::INFO] {
            assert!(text.contains(name), "{name} is missing in {text}");
        }
        assert!(text.contains("fleetmend_agent_streams_ended_total{why=\"idle\"} 0"));
    }
}
