//! Every bound of the system, in one table. What goes over a bound is refused or dropped, and
//! counted where it is dropped.

use std::time::Duration;

use crate::span::Span;

/// The largest message either side of the agent link takes, in bytes.
pub const MESSAGE_BYTES: usize = 256 * 1024;
/// HTTP/2 streams open at once on one agent connection.
pub const STREAMS_PER_CONNECTION: u32 = 8;
/// Stream errors of one connection before it is told to go.
pub const LOCAL_ERROR_RESETS: usize = 64;
/// Streams reset by the peer and not yet dealt with, before the connection ends.
pub const PENDING_RESETS: usize = 32;
/// The largest header block of a request, in bytes.
pub const HEADER_BYTES: u32 = 16 * 1024;
/// Time for a TLS handshake.
pub const HANDSHAKE: Duration = Duration::from_secs(5);
/// Time from the handshake to the first message.
pub const FIRST_MESSAGE: Duration = Duration::from_secs(10);
/// Silence after which a connection is closed.
pub const IDLE: Duration = Duration::from_secs(90);
/// How often each side says that it is there.
pub const HEARTBEAT: Duration = Duration::from_secs(25);
/// Handshakes under way at once on the agents' port.
pub const HANDSHAKES_AT_ONCE: usize = 512;
/// Agent connections held at once.
pub const CONNECTIONS: usize = 20_000;
/// Age after which a connection is asked to reconnect (certificates, balance), before jitter.
pub const CONNECTION_AGE: Duration = Duration::from_hours(12);

/// Reports in one message.
pub const REPORTS_PER_MESSAGE: usize = 100;
/// Rows of one ingest transaction.
pub const INGEST_ROWS: usize = 1_000;
/// How long ingest waits for more before it commits.
pub const INGEST_WAIT: Duration = Duration::from_millis(4);
/// Messages waiting for ingest over all hosts; a full queue makes streams wait.
pub const INGEST_QUEUE: usize = 2_048;
/// What sessions hold over all hosts while the database is away, in bytes as they came; the streams
/// of those that find no room are ended, and their agents' spools keep it.
pub const HELD_BYTES: usize = 128 * 1024 * 1024;
/// Time that a server waits at its start for a database that is away, unless it is set.
pub const DATABASE_WAIT: Duration = Duration::from_mins(1);
/// Reports a host may send in a minute on average; above it the stream is slowed.
pub const REPORTS_PER_MINUTE: u32 = 6_000;

/// Evidence attached to one report.
pub const EVIDENCE_PER_REPORT: usize = 64;
/// A report's message, in bytes.
pub const REPORT_MESSAGE_BYTES: usize = 1_024;
/// A report's subject, in bytes.
pub const SUBJECT_BYTES: usize = 512;
/// The proof of a probe, in bytes.
pub const PROOF_BYTES: usize = 2_048;
/// The value of a probe that a remediation may use, in bytes.
pub const VALUE_BYTES: usize = 1_024;
/// A host's state on the wire, in bytes of JSON.
pub const HOST_STATE_BYTES: usize = 128 * 1024;
/// A host's name, in bytes.
pub const HOST_NAME_BYTES: usize = 255;
/// A short fact about a host (build, service, mount, provider…), in bytes.
pub const FACT_BYTES: usize = 256;
/// Installed updates listed in a host's state.
pub const STATE_UPDATES: usize = 500;
/// Disks, services, roles or further facts in a host's state, each.
pub const STATE_ROWS: usize = 64;
/// The detail of a job or step, in bytes.
pub const DETAIL_BYTES: usize = 2_048;
/// The title of a step, in bytes.
pub const TITLE_BYTES: usize = 512;
/// Spans in which an order may begin.
pub const BEGIN_SPANS: usize = 64;
/// Freezes that an agent is told of.
pub const FREEZES: usize = 64;
/// The name of a freeze, or the reason of a halt, in bytes.
pub const REASON_BYTES: usize = 500;
/// The longest notice that users get before a restart.
pub const NOTICE: Duration = Duration::from_hours(24);
/// How long before a restart users are told of it, unless the order says.
pub const NOTICE_DEFAULT: Duration = Duration::from_mins(5);
/// How often users may put a restart off, unless the order says.
pub const DEFERRALS_DEFAULT: u8 = 3;
/// The most that somebody may let them put it off.
pub const DEFERRALS: u8 = 20;
/// How long a job waits for a restart that something stands in the way of.
pub const RESTART_WITHIN: Duration = Duration::from_hours(24);
/// How long after its order expired a job that was broken off still begins its steps.
pub const GOES_ON_WITHIN: Duration = Duration::from_hours(7 * 24);
/// How long after its order expired a job that began is over at the latest, whatever its host says.
pub const OVER_WITHIN: Duration = Duration::from_hours(30 * 24);
/// For how long a user puts a restart off.
pub const PUT_OFF: Duration = Duration::from_hours(1);
/// Jobs that stand open in one agent's journal.
pub const OPEN_JOBS: usize = 16;
/// Labels of one host.
pub const LABELS_PER_HOST: usize = 64;
/// A label's key or value, in bytes.
pub const LABEL_BYTES: usize = 128;

/// The agent's spool on disk, in bytes; the oldest is dropped first and counted.
pub const SPOOL_BYTES: u64 = 64 * 1024 * 1024;
/// One spool file, in bytes.
pub const SPOOL_SEGMENT_BYTES: u64 = 1024 * 1024;
/// What the agent keeps free beside its spool, so that a job's end finds room on a full disk, in
/// bytes.
pub const SPOOL_RESERVE_BYTES: u64 = 32 * 1024;
/// Findings of one look that go into the spool as one.
pub const LOOK_ITEMS: usize = 2_000;
/// One record of the spool, in bytes.
pub const SPOOL_RECORD_BYTES: usize = 192 * 1024;
/// The log of one step of a job, in bytes.
pub const STEP_LOG_BYTES: usize = 256 * 1024;
/// One piece of a job's log on the wire, in bytes.
pub const LOG_CHUNK_BYTES: usize = 16 * 1024;
/// Steps of one remediation.
pub const STEPS: usize = 64;
/// Minutes for which one step may switch the firewall off.
pub const SUSPEND_MINUTES: u32 = 10;
/// Minutes for which one step may exclude places from the virus scanner.
pub const EXCLUDE_MINUTES: u32 = 60;
/// Places that one step excludes from the virus scanner.
pub const EXCLUDED_PLACES: usize = 8;
/// How long undo data is kept.
pub const UNDO_KEPT: Duration = Duration::from_hours(720);
/// Times a job goes on after the agent was stopped under it.
pub const RESUMES: u32 = 3;
/// Tries of one job, each at another remediation or on other evidence.
pub const TRIES: u32 = 5;
/// Time one probe may take.
pub const PROBE_TIME: Duration = Duration::from_secs(30);
/// Output of a program that a probe reads, in bytes.
pub const PROBE_OUTPUT_BYTES: usize = 256 * 1024;

/// Life of a host's certificate.
pub const CERTIFICATE_LIFE: Duration = Duration::from_hours(720);
/// How long after its certificate expired a host may return by proof of its key.
pub const RETURN_WITHIN: Duration = Duration::from_hours(4320);
/// A clock that moved further than this since old things were last dropped is not believed.
pub const CLOCK_LEAP: Duration = Duration::from_hours(31 * 24);
/// Tolerance for clocks that differ.
pub const CLOCK_SKEW: Duration = Duration::from_mins(5);
/// Longest life of a deployment token.
pub const TOKEN_LIFE: Duration = Duration::from_hours(720);
/// Most uses of a deployment token.
pub const TOKEN_USES: u32 = 1_000_000;
/// Time within which a revoked host's stream is ended.
pub const REVOKE_WITHIN: Duration = Duration::from_secs(5);
/// Life of an order that was not begun.
pub const ORDER_LIFE: Duration = Duration::from_hours(24);
/// How long a job waits for the proof that its operation works again.
pub const VERIFY_WITHIN: Duration = Duration::from_hours(14 * 24);
/// Silence after which a host is *stale*.
pub const SILENT_AFTER: Duration = Duration::from_mins(15);
/// How long a host that may be down after another campaign's job, or a person's, holds its group.
pub const GROUP_HELD: Duration = Duration::from_hours(7 * 24);
/// Time a running job may be silent before it is *timed_out*, over its own steps' time.
pub const JOB_GRACE: Duration = Duration::from_mins(15);

/// A campaign's name, in characters.
pub const CAMPAIGN_NAME_CHARS: usize = 120;
/// Why there is a campaign, in characters.
pub const CAMPAIGN_REASON_CHARS: usize = 500;
/// The number of a change request or the name of a standard change, in characters.
pub const CHANGE_CHARS: usize = 80;
/// Hosts of one campaign.
pub const CAMPAIGN_HOSTS: u32 = 1_000_000;
/// Jobs of one campaign in flight at once, or new in a minute.
pub const CAMPAIGN_AT_ONCE: u32 = 10_000;
/// How soon a campaign looks again at a host that has not told what its remediation needs.
pub const EVIDENCE_LOOK: Duration = Duration::from_mins(15);
/// How long a campaign waits for that before it leaves the host out.
pub const EVIDENCE_WAIT: Duration = Duration::from_hours(24);
/// Jobs that one step of a campaign makes.
pub const CAMPAIGN_STEP_JOBS: usize = 500;
/// Hosts or incidents that a selector names one by one.
pub const SELECTED: usize = 1_000;
/// A part of a subject that a selector looks for, in characters.
pub const SUBJECT_PART_CHARS: usize = 120;
/// Waves of one campaign.
pub const WAVES: usize = 32;
/// Maintenance windows of one campaign.
pub const WINDOWS: usize = 16;
/// The longest soak between two waves.
pub const SOAK: Span = Span::days(30);
/// How long after its start a run may still begin on hosts.
pub const CAMPAIGN_EXPIRES: Span = Span::days(365);

/// Days that trends go back.
pub const ROLL_UP_DAYS: u32 = 400;

/// Items in a page of a list, unless asked.
pub const PAGE: u32 = 50;
/// Most items in a page of a list.
pub const PAGE_MAX: u32 = 1_000;
/// Rows of a CSV answer.
pub const CSV_ROWS: u32 = 1_000_000;
/// Body of a REST request, in bytes.
pub const BODY_BYTES: usize = 64 * 1024;
/// Time for the body of a REST request to arrive.
pub const BODY_TIME: Duration = Duration::from_secs(10);
/// Time for a REST request, once its body is there.
pub const REQUEST_TIME: Duration = Duration::from_secs(30);
/// Live event streams at once.
pub const EVENT_STREAMS: usize = 1_024;
/// A dashboard session's life.
pub const WEB_SESSION_LIFE: Duration = Duration::from_hours(12);
/// Refused log-ins of one address in a minute before it waits.
pub const LOGIN_TRIES_PER_MINUTE: u32 = 20;
/// Refused log-ins of one name from one address in a minute before it waits.
pub const LOGIN_TRIES_OF_A_NAME: u32 = 8;
/// Refused log-ins of a user in a row before the name is locked for a time.
pub const LOCK_AFTER: u32 = 10;
/// The first such time; it doubles with each lock-out in a row.
pub const LOCKED_FOR: Duration = Duration::from_mins(1);
/// The longest.
pub const LOCKED_FOR_MOST: Duration = Duration::from_mins(15);
/// How long a browser that a user logged in with is known: it is not locked out by others' tries.
pub const BROWSER_KNOWN: Duration = Duration::from_hours(90 * 24);
/// Browsers that are known of one user; the oldest is forgotten first.
pub const BROWSERS: usize = 16;
/// A user's name, in bytes.
pub const USER_NAME_BYTES: usize = 64;
/// Characters of a password at least.
pub const PASSWORD_CHARS: usize = 12;
/// A password at most, in bytes.
pub const PASSWORD_BYTES: usize = 1_024;
/// How long a password that is to be changed at the first log-in is good for.
pub const ONE_TIME_PASSWORD_LIFE: Duration = Duration::from_hours(7 * 24);
/// Passwords worked on at once; each takes 19 MiB and a core for some hundredths of a second.
pub const PASSWORDS_AT_ONCE: usize = 2;
/// Users at most.
pub const USERS: u32 = 10_000;
/// Life of the API token of `fleetmend login`, unless asked.
pub const LOGIN_TOKEN_LIFE: Duration = Duration::from_hours(12);
/// The longest that may be asked.
pub const LOGIN_TOKEN_LIFE_MOST: Duration = Duration::from_hours(30 * 24);
