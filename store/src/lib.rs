//! The only crate that knows SQL. One noun a file; rows stay private, what leaves is plain data
//! made of the core's words.
//!
//! # Index
//!
//! Everything is a method of [`Db`] (a cheap clone). Methods that change something are one
//! transaction each, with its audit row inside; `by` is the acting person or program, as it shall
//! stand in the audit log (`"api-token ops"`), and `now` the injected clock's time. Ids and secrets
//! are drawn by the caller.
//!
//! **Database**: `Db::connect(url)` (`sqlite:///path/db`, made where absent, or
//! `postgres://user:password@host/db`), `Db::connect_with(url, &PoolSettings)`, `migrate()`, `ping()`
//! (whether it can be written; the error says why not), `pool() -> PoolState`, `kind()`, `patient()` (for work over whole
//! tables), `ensure_report_partitions(days) -> u64`, `close()`. A call fails within 10 s, with an error
//! of which `is_unavailable()` holds where the database itself could not serve. `redacted(url)` is an
//! address for logs.
//!
//! **Hosts** ([`hosts`]): `enrol(&Enrolment, now) -> Result<Enrolled, EnrolError>`,
//! `host(id) -> Option<Host>`, `hosts(&HostFilter, &PageRequest) -> Page<Host>`,
//! `host_state(id) -> Option<HostState>`, `evidence(host) -> Vec<Evidence>`,
//! `timeline(host, before, limit) -> Vec<TimelineEntry>`, `set_lifecycle(host, to, reason, by, now)`,
//! `set_labels(host, &Labels, by, now)`, `save_facts(host, &HostFacts, now)`,
//! `save_state(host, &HostState, now)`, `touch_hosts(&[(HostId, Timestamp)]) -> Vec<HostId>` (those
//! that were stale and are back), `mark_stale(silent_since, now, limit) -> Vec<HostId>`.
//!
//! **Certificates**: `certificate_standing(serial) -> Option<CertificateStanding>`,
//! `host_keys(host) -> Vec<HostKey>` (newest first), `add_certificate(host, &NewCertificate, by,
//! now)`, `revoke_certificates(host, reason, by, now) -> u64`, `refused_certificates(alive) ->
//! Vec<(String, Lifecycle)>` (of all that are alive, those that let nobody in).
//!
//! **Enrolment tokens** ([`tokens`]): `create_enrollment_token(&NewEnrollmentToken, by, now)`,
//! `enrollment_tokens(&PageRequest) -> Page<EnrollmentToken>`, `revoke_enrollment_token(id, by,
//! now) -> bool`, `check_enrollment_token(&hash, ip, now) -> Result<TokenGrant, EnrolError>` (takes
//! no use; `enrol` does).
//!
//! **Ingest** ([`ingest`]): `ingest(&[HostItems], now, &mut random) -> Ingested`,
//! `passing_failures(host) -> Vec<PassingFailure>`, `spool_position(host, epoch) -> u64`, `quarantine(&PageRequest) -> Page<Quarantined>`,
//! `quarantine_count() -> u64`.
//!
//! **Incidents** ([`incidents`]): `incident(id) -> Option<IncidentDetail>`,
//! `incidents(&IncidentFilter, &PageRequest) -> Page<Incident>`, `ignore_incident(id, reason,
//! owner, until, by, now)`, `reopen_incident(id, by, now)`, `incidents_to_triage(limit) ->
//! Vec<ToTriage>`, `save_verdict(&ToTriage, &Verdict) -> bool`, `triage_all_again(catalogue) -> u64`,
//! `end_ignoring(now, limit) -> Vec<IncidentId>`, `watch_hosts(&OverdueRules, now, limit, &mut random) ->
//! WatchedHosts`, `watch_all_again(&OverdueRules) -> bool`.
//!
//! **Reports** ([`reports`]): `reports(&ReportFilter, &PageRequest) -> Page<StoredReport>`.
//!
//! **Jobs** ([`jobs`]): `create_job(&NewJob, by, now) -> Job` (else [`StoreError::JobActive`]),
//! `job(id) -> Option<JobDetail>`, `jobs(&JobFilter, &PageRequest) -> Page<Job>`,
//! `job_log(id, after, limit) -> LogPage`, `cancel_job(id, reason, by, now) -> Cancelled`,
//! `orders_for(host, now) -> Vec<JobId>`, `hosts_with_orders(now) -> Vec<HostId>`, `offer(job, now) -> Option<Order>`,
//! `raise_counter(host, seen)`, `requeue_offered(host, known: &[JobId], now) -> Vec<JobId>`,
//! `cancels_for(host) -> Vec<JobId>`, `expire_jobs(now, limit) -> Vec<JobId>`. Between two tries:
//! `jobs_to_climb(limit) -> Vec<Climbing>`, `tried_in(incident) -> Vec<Tried>`, `climb_to((job, after), &NextTry, &Known, now) ->
//! bool`, `climb_ends((job, after), why, &Known, now) -> bool`.
//!
//! **Work for people** ([`guided`]): `guided_task(id) -> Option<GuidedDetail>`, `guided_tasks(&GuidedFilter, &PageRequest) ->
//! Page<GuidedTask>`, `guided_open() -> u64`, `open_guided_task(&NewGuidedTask, again, by, now) -> Option<GuidedTaskId>`, and what is
//! done with it: `take_…`, `tick_…`, `note_…`, `finish_…`, `prove_…`, `drop_guided_task`,
//! `drop_needless_guided_tasks(now, limit)`.
//!
//! **Efficacy**: `efficacy(simulated) -> Efficacy`, `efficacy_of(causes, simulated) -> Efficacy`.
//!
//! **Campaigns** ([`campaigns`]): written and approved: `create_campaign(&NewCampaign, Who, now)`,
//! `edit_campaign(id, revision, &CampaignText, Who, now)`, `ask_again(id, revision, &CampaignText, by, now)`, `approve_campaign(id, digest, note, Who, now)`,
//! `campaign(id)`, `campaigns(&CampaignFilter, &PageRequest)`, `campaign_approvals(id)`, `approvals(limit)`;
//! begun and moved: `campaign_selection(&Selector, max_hosts, campaign, now) -> Selection` (with
//! `preview(first)`), `start_campaign((id, digest), &Selection, reason, Who, now)`, `move_campaign(id, CampaignMove,
//! reason, Who, now)`, `retry_campaign(id, &[HostId], reason, Who, now)`; carried on by the planner:
//! `campaigns_due(now, limit)`, `campaigns_at_work(limit)`, `campaign_snapshot(id, costs_network, now) ->
//! CampaignLook`, `apply_campaign(id, &NextStep, by, now) -> Option<Applied>` (`None`: it changed meanwhile),
//! `join_campaign(id, revision, &Selection, by, now)`; `note_waiting(&Campaign, &[LeftOut])`; told: `campaign_counts(id, now)`, `campaign_results(id,
//! &ResultFilter, &PageRequest, now)`, `campaign_incidents(&Campaign, &[HostId])`, `campaign_runs(id)`, `campaign_undo_set(id, now)`, `campaign_document(id, now)`.
//! **Freezes**: `create_freeze(&NewFreeze, by, now)`, `freezes()`, `freeze_spans(now)`, `remove_freeze(id, by,
//! now)`.
//!
//! **Views** ([`views`]): `problems(now, limit) -> Vec<Problem>`, `trend(days, now) -> Vec<DayCount>`,
//! `summary(now) -> Summary`.
//!
//! **Trends**: `problem_trends(&[ProblemKey], days, now) -> Vec<ProblemTrend>` and `standing(days, now) ->
//! Vec<u64>` (incidents that stood at the end of each day), `days_to_recount(now)`,
//! `recount(day, &mut found)`.
//!
//! **Retention** ([`retention`]): `note_retention(now)` before each look (`Some`: the clock leapt, drop
//! nothing), `believe_clock(by, now)`, `drop_old(&Keep, now, rows) -> Dropped`, again while it says `more`.
//!
//! **Moving** ([`transfer`]): `move_from_sqlite(path, dry_run, say) -> Vec<Moved>` into an empty Postgres.
//!
//! **Access** ([`access`]): `create_api_token(&NewApiToken, by, now)`, `api_tokens(&PageRequest) ->
//! Page<ApiToken>`, `revoke_api_token(id, by, now) -> bool`, `api_token(&hash, now) ->
//! Option<ApiToken>`.
//!
//! **Sessions** ([`sessions`]): `create_session(&NewSession, by, peer)` (a token's), `session(&hash, now) ->
//! Option<Session>`, `end_session(&hash, by, now) -> bool`, `end_own_session(user, id, by, now) -> bool`,
//! `sessions_of(user, now) -> Vec<OwnSession>`, `drop_expired_sessions(now) -> u64`.
//!
//! **Users** ([`users`]): `create_user(&NewUser, by, now)`, `users(&PageRequest) -> Page<User>`,
//! `user(id)`, `user_by_name(name)`, `set_user_role(id, role, by, now) -> Ended`,
//! `set_user_disabled(id, bool, by, now) -> Ended`, `reset_password(id, &NewPassword, by, now) -> Ended`,
//! `change_password(id, was, &NewPassword, session, by, now) -> Ended`, `credentials(name)`,
//! `credentials_of(id)`, `log_in(&Credentials, right, &LogIn, now) -> LoggedIn`.
//!
//! **Halt** ([`halt`]): `halt_mark() -> Option<HaltMark>`, `halt(reason, by, now) -> HaltMark`,
//! `lift_halt(by, now) -> bool`, `note_halt_file(server, mark, now) -> bool`.
//!
//! **Audit** ([`audit`]): `record(&AuditEntry)` for what changes nothing else,
//! `audit_log(&AuditFilter, &PageRequest) -> Page<AuditRow>`, `verify_audit() -> AuditCheck`.

pub mod access;
pub mod audit;
mod backend;
pub mod campaigns;
pub mod error;
mod filter;
pub mod guided;
pub mod halt;
pub mod hosts;
pub mod incidents;
pub mod ingest;
pub mod jobs;
pub mod page;
mod partitions;
pub mod reports;
pub mod retention;
mod row;
pub mod sessions;
mod sql;
#[cfg(test)]
mod tests;
pub mod tokens;
pub mod transfer;
pub mod users;
pub mod views;

pub use access::{ApiToken, NewApiToken, TokenOwner};
pub use audit::{AuditCheck, AuditEntry, AuditFilter, AuditRow};
pub use backend::{Db, PoolSettings, PoolState, redacted};
pub use campaigns::{
    Applied, Approval, Campaign, CampaignCounts, CampaignDocument, CampaignFilter, CampaignLook,
    CampaignMove, CampaignRun, CampaignText, Exclusion, Freeze, HostCounts, HostGroup, HostResult,
    Left, LeftOut, Member, NameCount, NewCampaign, NewFreeze, NextStep, NextWork, Preview,
    ResultFilter, Retried, Selection, Stands, UndoStanding, Undoable, WaveCounts, Who,
};
pub use error::{Result, StoreError};
pub use guided::{GuidedDetail, GuidedFilter, GuidedNote, GuidedTask, GuidedTick, NewGuidedTask};
pub use halt::HaltMark;
pub use hosts::{
    CertificateStanding, EnrolError, Enrolled, Enrolment, Host, HostFilter, HostKey,
    NewCertificate, TimelineEntry, TimelineKind,
};
pub use incidents::overdue::WatchedHosts;
pub use incidents::{
    Ignored, Incident, IncidentDetail, IncidentFilter, Successor, ToTriage, TriageRevision,
};
pub use ingest::passing::PassingFailure;
pub use ingest::{HostItems, Incoming, IngestOutcome, Ingested, Quarantined};
pub use jobs::{
    Attempt, Cancelled, Climbing, Job, JobDetail, JobFilter, JobStep, JobTerms, LogPage, LogPiece,
    NewJob, NextTry,
};
pub use page::{BadCursor, Cursor, Page, PageRequest};
pub use reports::{ReportFilter, StoredReport};
pub use retention::{Dropped, Keep};
pub use sessions::{Holder, NewSession, OwnSession, Session};
pub use tokens::{EnrollmentToken, NewEnrollmentToken, TokenGrant, TokenRefused};
pub use transfer::{Moved, Step};
pub use users::log_in::{Credentials, LogIn, LoggedIn, Wish};
pub use users::{Ended, NewPassword, NewUser, User};
pub use views::{
    Changes, DayCount, Outbreak, ProbeCount, Problem, ProblemKey, ProblemTrend, Recounted,
    StepsOfDay, Summary,
};
