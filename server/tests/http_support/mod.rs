//! The people's router in this process, over a database of its own, with a clock that stands still.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    reason = "each test file uses its share"
)]

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode, header};
use fleetmend_core::evidence::{Answer, Evidence};
use fleetmend_core::host::{HostFacts, Labels, Lifecycle, OsFamily};
use fleetmend_core::ids::{
    ApiTokenId, EvidenceId, HostId, IncidentId, ReportId, SpoolEpoch, UserId,
};
use fleetmend_core::report::{FailureReport, Kind, Operation, Product, ReportedFailure, Source};
use fleetmend_core::spool_item::SpoolItem;
use fleetmend_core::time::{Clock as _, ManualClock, SourceTime, Timestamp};
use fleetmend_core::token::{Role, TokenKind};
use fleetmend_core::words::Slug;
use fleetmend_server::http::{self, auth};
use fleetmend_server::state::Shared;
use fleetmend_server::{Config, app};
use fleetmend_store::{
    Enrolment, HostItems, NewApiToken, NewCertificate, NewEnrollmentToken, NewPassword, NewUser,
    PageRequest,
};
use fleetmend_tests::postgres::{Cluster, Database};
use tower::ServiceExt as _;
use uuid::Uuid;

pub const HOSTILE: &str = "=cmd|'/c calc'!A1<script>alert(1)</script>\u{1b}[31m";
pub const ORIGIN: &str = "http://fleet.test";

pub struct Site {
    pub router: Router,
    pub shared: Shared,
    pub clock: Arc<ManualClock>,
    pub dir: tempfile::TempDir,
}

thread_local! {
    /// The database of this thread's sites; an SQLite file of their own where there is none.
    static DATABASE: RefCell<Option<Database>> = const { RefCell::new(None) };
}

/// Runs a test once more, on Postgres: `Site::new` gives it a site there.
pub fn once_more_on_postgres(test: fn()) {
    let Some(cluster) = Cluster::shared() else { return };
    DATABASE.set(Some(cluster.database()));
    test();
    DATABASE.set(None);
}

/// The tests of a file once more, on Postgres.
#[allow(unused_macros, reason = "each test file uses its share")]
macro_rules! on_postgres {
    ($($name:ident),+ $(,)?) => {
        mod on_postgres {
            $(#[test]
            fn $name() {
                super::http_support::once_more_on_postgres(super::$name);
            })+
        }
    };
}
#[allow(unused_imports, reason = "each test file uses its share")]
pub(crate) use on_postgres;

pub struct Answered {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answered {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().expect("text"))
    }

    /// The problem document without what changes with every call.
    pub fn problem(&self) -> serde_json::Value {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        let mut problem = self.json();
        assert!(problem["instance"].as_str().is_some_and(|i| i.starts_with("urn:uuid:")));
        problem["instance"] = "…".into();
        problem
    }
}

pub fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().expect("a time")
}

pub fn id<T: From<Uuid>>(n: u128) -> T {
    Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0000 + n).into()
}

impl Site {
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let database_url = DATABASE.with_borrow(|database| database.as_ref().map(Database::url));
        let data_dir = dir.path().join("data");
        let config = Config { data_dir, database_url, ..Config::default() };
        let clock = Arc::new(ManualClock::at(now()));
        let shared = app::open(config, clock.clone()).await.expect("opens");
        shared.readiness.serving();
        Self { router: http::router(shared.clone()), shared, clock, dir }
    }

    /// The same database served by a server with other settings or another catalogue.
    pub fn restart(&mut self, change: impl FnOnce(&mut Shared)) {
        change(&mut self.shared);
        self.router = http::router(self.shared.clone());
    }

    /// An API token of a role.
    pub async fn token(&self, role: Role) -> String {
        let (text, secret_hash) = auth::new_token();
        let id = ApiTokenId(id::<Uuid>(9_000 + role as u128));
        let new = NewApiToken {
            id,
            name: format!("the {role}"),
            role,
            secret_hash,
            expires: None,
            user: None,
        };
        self.shared.db.create_api_token(&new, "test", now()).await.expect("stored");
        text
    }

    pub async fn send(&self, request: Request<Body>) -> Answered {
        let response = self.begin(request).await;
        let (status, headers) = (response.status(), response.headers().clone());
        let stream = headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|v| v.as_bytes().starts_with(b"text/event-stream"));
        let bytes = if stream {
            Vec::new()
        } else {
            axum::body::to_bytes(response.into_body(), 64 << 20).await.expect("a body").to_vec()
        };
        let text = String::from_utf8(bytes).expect("UTF-8");
        Answered { status, headers, text }
    }

    /// An answer whose body is not read yet.
    pub async fn begin(&self, mut request: Request<Body>) -> axum::response::Response {
        let peer: SocketAddr = "192.0.2.9:4711".parse().expect("an address");
        request.extensions_mut().insert(ConnectInfo(peer));
        request.headers_mut().entry(header::HOST).or_insert("fleet.test".parse().expect("host"));
        self.router.clone().oneshot(request).await.expect("answers")
    }

    pub async fn get(&self, token: &str, path: &str) -> Answered {
        self.get_as(token, path, "application/json").await
    }

    pub async fn get_as(&self, token: &str, path: &str, accept: &str) -> Answered {
        let request = Request::get(path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::ACCEPT, accept);
        self.send(request.body(Body::empty()).expect("a request")).await
    }

    pub async fn post(&self, token: &str, path: &str, body: &serde_json::Value) -> Answered {
        self.act("POST", token, path, body).await
    }

    pub async fn act(
        &self,
        verb: &str,
        token: &str,
        path: &str,
        body: &serde_json::Value,
    ) -> Answered {
        let request = Request::builder()
            .method(verb)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(Body::from(body.to_string())).expect("a request")).await
    }

    /// Logs in as a browser does; gives the cookie.
    pub async fn log_in(&self, token: &str) -> String {
        let answer = self.form("", "/login", &format!("next=%2F&token={token}")).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        let cookie = answer.header("set-cookie");
        assert!(cookie.contains("HttpOnly; SameSite=Strict"), "{cookie}");
        cookie.split(';').next().expect("a cookie").to_owned()
    }

    /// A user of a role with a password of its own.
    pub async fn user(&self, name: &str, role: Role, password: &str) {
        let hash = self.shared.passwords.hash(password).await.expect("hashed");
        let user = NewUser {
            id: fleetmend_server::entropy::id(UserId::at, &*self.clock),
            name: name.to_owned(),
            role,
            password: NewPassword { hash, one_time_until: None },
        };
        self.shared.db.create_user(&user, "test", self.clock.now()).await.expect("made");
    }

    /// The token that the log-in of a user of a role gives.
    pub async fn log_in_token(&self, role: Role) -> String {
        let (name, password) = (format!("a.{role}"), "words that only it knows");
        self.user(&name, role, password).await;
        let body =
            serde_json::json!({"name": name, "password": password, "token": {"name": "test"}});
        let request =
            Request::post("/api/v1/sessions").header(header::CONTENT_TYPE, "application/json");
        let answer =
            self.send(request.body(Body::from(body.to_string())).expect("a request")).await;
        answer.json()["token"].as_str().expect("a token").to_owned()
    }

    /// Tries to log in by name and password as a browser does; `cookies` are those it has.
    pub async fn try_password(&self, cookies: &str, name: &str, password: &str) -> Answered {
        let fields = format!("next=%2F&name={name}&password={}", password.replace(' ', "+"));
        self.form(cookies, "/login", &fields).await
    }

    /// Logs in by name and password; gives the session's cookie and the browser's.
    pub async fn log_in_as(&self, name: &str, password: &str) -> (String, String) {
        let answer = self.try_password("", name, password).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        let mut cookies = answer.headers.get_all(header::SET_COOKIE).iter().map(|value| {
            let text = value.to_str().expect("text");
            assert!(text.contains("HttpOnly; SameSite=Strict"), "{text}");
            text.split(';').next().expect("a cookie").to_owned()
        });
        let both = (cookies.next().expect("a session"), cookies.next().expect("a browser"));
        assert!(both.0.starts_with("fleetmend=") && both.1.starts_with("fleetmend-browser="));
        both
    }

    /// A page as a browser asks for it.
    pub async fn page(&self, cookie: &str, path: &str, lang: &str) -> Answered {
        let request = Request::get(path)
            .header(header::COOKIE, cookie)
            .header(header::ACCEPT, "text/html")
            .header(header::ACCEPT_LANGUAGE, lang);
        self.send(request.body(Body::empty()).expect("a request")).await
    }

    /// A form as a browser sends it from our own page.
    pub async fn form(&self, cookie: &str, path: &str, fields: &str) -> Answered {
        let request = Request::post(path)
            .header(header::COOKIE, cookie)
            .header(header::ORIGIN, ORIGIN)
            .header("sec-fetch-site", "same-origin")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(fields.to_owned())).expect("a request")).await
    }

    /// The form token of a session, as its pages carry it.
    pub async fn form_token(&self, cookie: &str) -> String {
        let page = self.page(cookie, "/", "en").await;
        let (_, rest) = page.text.split_once("name=\"form_token\" value=\"").expect("a form");
        rest.split('"').next().expect("a value").to_owned()
    }

    /// A host that joined; *pending* by a deployment token, else *active*.
    pub async fn host(&self, n: u128, name: &str, pending: bool, simulated: bool) -> HostId {
        let db = &self.shared.db;
        let token = NewEnrollmentToken {
            id: id(5_000 + n),
            name: "test".into(),
            kind: if pending { TokenKind::Deployment } else { TokenKind::OneUse },
            secret_hash: [u8::try_from(n).expect("small"); 32],
            uses: if pending { 2 } else { 1 },
            expires: now().after(std::time::Duration::from_hours(1)),
            labels: Labels::from([("site".to_owned(), "north".to_owned())]),
            networks: vec![],
        };
        db.create_enrollment_token(&token, "test", now()).await.expect("token");
        let host: HostId = id(n);
        let enrolment = Enrolment {
            token_hash: token.secret_hash,
            peer: "192.0.2.1".parse().expect("address"),
            host,
            facts: HostFacts {
                name: name.into(),
                os: OsFamily::Linux,
                os_name: "Debian GNU/Linux 12 (bookworm)".into(),
                os_build: "6.1.0-30-amd64".into(),
                arch: "x86_64".into(),
                agent_version: "0.1.0".into(),
                boot_id: "b".into(),
                simulated,
            },
            certificate: NewCertificate {
                serial: format!("{n:02x}"),
                public_key: vec![u8::try_from(n).expect("small")],
                not_before: now(),
                not_after: now().after(std::time::Duration::from_hours(720)),
            },
        };
        let enrolled = db.enrol(&enrolment, now()).await.expect("enrols");
        assert_eq!(enrolled.lifecycle == Lifecycle::Pending, pending);
        host
    }

    /// A lock that was held once on a host: what goes by itself.
    pub async fn passing(&self, host: HostId, n: u128) {
        let at = now().before(std::time::Duration::from_mins(90));
        let failure = ReportedFailure {
            id: id::<ReportId>(1_000 + n),
            at,
            failure: FailureReport {
                product: Product::Apt,
                operation: Operation::Install,
                code: Some("apt.lock_held".parse().expect("a code")),
                symbol: None,
                kind: Kind::Failure,
                subject: None,
                time: SourceTime::utc(at),
                source: Source::Apt,
                provider: None,
                event_id: None,
                record_id: None,
                line: Some(7),
                count: None,
                update_class: None,
                message: "Could not get lock".into(),
            },
            evidence: Vec::new(),
        };
        let items = vec![(1, SpoolItem::Failure(Box::new(failure)).into())];
        let batch = [HostItems { host, epoch: SpoolEpoch(id(8)), items }];
        self.shared.db.ingest(&batch, now(), &mut || [9; 10]).await.expect("ingests");
    }

    /// One interrupted dpkg on a host, reported, judged: its incident.
    pub async fn failure(&self, host: HostId, n: u128, message: &str) -> IncidentId {
        let db = &self.shared.db;
        let at = now().before(std::time::Duration::from_mins(90));
        let failure = ReportedFailure {
            id: id::<ReportId>(1_000 + n),
            at,
            failure: FailureReport {
                product: Product::Apt,
                operation: Operation::Install,
                code: Some("apt.dpkg_interrupted".parse().expect("a code")),
                symbol: None,
                kind: Kind::Failure,
                subject: Some("nginx".into()),
                time: SourceTime::utc(at),
                source: Source::Apt,
                provider: None,
                event_id: None,
                record_id: None,
                line: Some(7),
                count: None,
                update_class: None,
                message: message.into(),
            },
            evidence: vec![Evidence {
                id: id::<EvidenceId>(2_000 + n),
                probe: Slug::new("dpkg_interrupted").expect("a slug"),
                subject: None,
                answer: Answer::Yes,
                proof: "/var/lib/dpkg/updates holds 0001".into(),
                value: None,
                at,
            }],
        };
        let item = SpoolItem::Failure(Box::new(failure));
        let items =
            HostItems { host, epoch: id::<SpoolEpoch>(3_000 + n), items: vec![(1, item.into())] };
        let mut drawn = u8::try_from(n).expect("small") * 8;
        let mut random = move || {
            drawn += 1;
            [drawn; 10]
        };
        let done = db.ingest(&[items], now(), &mut random).await.expect("ingests");
        assert_eq!(done.outcomes[0].applied, 1, "{done:?}");
        self.triage().await;
        let filter = fleetmend_store::IncidentFilter { host: Some(host), ..Default::default() };
        let page = db.incidents(&filter, &PageRequest::first(10)).await.expect("incidents");
        page.items[0].id
    }

    pub async fn triage(&self) {
        let db = &self.shared.db;
        for waiting in db.incidents_to_triage(100).await.expect("incidents") {
            let evidence = db.evidence(waiting.host).await.expect("evidence");
            let verdict = fleetmend_core::triage::triage(
                self.shared.catalogue,
                &waiting.key,
                waiting.update_class,
                &evidence,
            );
            db.save_verdict(&waiting, &verdict).await.expect("saved");
        }
    }

    /// The usual fleet: one active host that fails, one hostile pending host that fails.
    pub async fn fleet(&self) -> (HostId, IncidentId, HostId, IncidentId) {
        let good = self.host(1, "web-1", false, false).await;
        let bad = self.host(2, HOSTILE, true, true).await;
        let first = self.failure(good, 1, "dpkg was interrupted").await;
        let second =
            self.failure(bad, 2, "<img src=x onerror=alert(2)>\u{1b}]0;x\u{7} \"quoted\"").await;
        (good, first, bad, second)
    }
}
