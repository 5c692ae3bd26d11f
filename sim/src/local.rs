//! A server in this process, set up without anybody's help: for the demo and for tests.

use std::sync::Arc;

use fleetmend_core::host::{Labels, Lifecycle};
use fleetmend_core::ids::{ApiTokenId, UserId};
use fleetmend_core::limits;
use fleetmend_core::time::Clock;
use fleetmend_core::token::Role;
use fleetmend_proto::trust::TokenText;
use fleetmend_server::enroll::token::{self, TokenWish};
use fleetmend_server::{App as ServerApp, Config, RunningServer, entropy, http, users};
use fleetmend_store::{HostFilter, NewApiToken, NewPassword, NewUser, PageRequest};

use crate::fleet::{Fleet, Server};
use crate::showcase::LABEL;

/// Who did it, in the audit log.
const BY: &str = "demo";

/// A server in this process.
#[derive(Debug)]
pub struct Local {
    /// It.
    pub server: RunningServer,
    /// An administrator's token.
    pub login: String,
    /// An administrator's name and password, for the dashboard.
    pub person: (&'static str, String),
    /// How agents reach it.
    pub reach: Server,
}

impl Local {
    /// Starts one, with a token for an administrator and one for so many hosts.
    pub async fn start(config: Config, hosts: u32, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let server = ServerApp::start(config, clock).await?;
        let login = login(&server).await?;
        let person = person(&server).await?;
        let token = enrollment(&server, hosts).await?;
        let reach = Server { address: server.agent_addr.to_string(), token };
        Ok(Self { server, login, person, reach })
    }

    /// Its hosts need nobody to accept them; simulated ones get the labels that their people would
    /// have given them.
    pub async fn welcome(&self, fleet: &Fleet) -> anyhow::Result<()> {
        let (db, by, clock) = (&self.server.shared.db, BY, &self.server.shared.clock);
        let mut page = PageRequest { limit: limits::PAGE_MAX, ..PageRequest::default() };
        loop {
            let hosts = db.hosts(&HostFilter::default(), &page).await?;
            for host in hosts.items {
                if host.lifecycle == Lifecycle::Pending {
                    let why = "part of the demo";
                    db.set_lifecycle(host.id, Lifecycle::Active, why, by, clock.now()).await?;
                }
                let simulated =
                    fleet.hosts.iter().find(|sim| sim.persona().name == host.facts.name);
                if let Some(simulated) = simulated {
                    let mut labels = host.labels.clone();
                    labels.extend(simulated.persona().labels());
                    labels.insert(LABEL.0.to_owned(), LABEL.1.to_owned());
                    db.set_labels(host.id, &labels, by, clock.now()).await?;
                }
            }
            let Some(next) = hosts.next else { return Ok(()) };
            page.cursor = Some(next);
        }
    }
}

/// An administrator's token for the person who looks.
async fn login(server: &RunningServer) -> anyhow::Result<String> {
    let shared = &server.shared;
    let (text, secret_hash) = http::auth::new_token();
    let new = NewApiToken {
        id: entropy::id(ApiTokenId::at, &*shared.clock),
        name: BY.to_owned(),
        role: Role::Admin,
        secret_hash,
        expires: None,
        user: None,
    };
    shared.db.create_api_token(&new, BY, shared.clock.now()).await?;
    Ok(text)
}

/// A user who may do everything; the password is drawn, and nobody must change it.
async fn person(server: &RunningServer) -> anyhow::Result<(&'static str, String)> {
    let shared = &server.shared;
    let password = users::one_time_password();
    let hash = shared.passwords.hash(&password).await?;
    let user = NewUser {
        id: entropy::id(UserId::at, &*shared.clock),
        name: BY.to_owned(),
        role: Role::Admin,
        password: NewPassword { hash, one_time_until: None },
    };
    shared.db.create_user(&user, BY, shared.clock.now()).await?;
    Ok((BY, password))
}

async fn enrollment(server: &RunningServer, uses: u32) -> anyhow::Result<TokenText> {
    let shared = &server.shared;
    let wish = TokenWish {
        name: BY.to_owned(),
        uses: uses.max(2),
        life: limits::CLOCK_SKEW,
        labels: Labels::from([("fleet".to_owned(), "demo".to_owned())]),
        networks: Vec::new(),
    };
    let root = shared.authority.root_sha256();
    let (token, text) = token::enrollment(wish, root, &*shared.clock)?;
    shared.db.create_enrollment_token(&token, BY, shared.clock.now()).await?;
    Ok(text)
}
