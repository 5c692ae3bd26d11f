//! A fleet of roots, and the people who write and approve campaigns for it.

use std::thread;

use fleetmend_tests::PATIENCE;
use fleetmend_tests::agent::{Agent, job_log, wait_host};
use fleetmend_tests::api::Api;
use fleetmend_tests::people::Person;
use fleetmend_tests::root::{Machine, Root};
use fleetmend_tests::server::Server;
use fleetmend_tests::wait_for;
use serde_json::{Value, json};

/// A server with two people and the hosts that are to be mended.
pub(crate) struct Fleet {
    /// REST as the server's first administrator.
    pub api: Api,
    /// Who writes campaigns.
    pub anna: Person,
    /// Who approves them.
    pub boris: Person,
    agents: Vec<(String, Agent)>,
    /// Ends after the agents.
    server: Server,
}

impl Fleet {
    /// Enrols each root under its name (a label too), with what is disruptive allowed, and starts its
    /// agent.
    pub(crate) fn of(roots: &[(&str, &Root)]) -> Self {
        let server = Server::start();
        let boris = Person::admin(&server, "boris");
        let anna = Person::author(&server, "anna", &boris);
        let mut fleet = Self { api: server.api(), anna, boris, agents: Vec::new(), server };
        for (name, root) in roots {
            Agent::lay(root);
            Agent::allow(root, "disruptive");
            Agent::enroll_as(root, &fleet.server, name);
            fleet.agents.push(((*name).to_owned(), Agent::run(root)));
        }
        fleet
    }

    /// Enrols a booted machine as well, and gives its name.
    pub(crate) fn add_machine(&mut self, machine: &Machine) -> String {
        Agent::lay(machine.root());
        Agent::allow(machine.root(), "disruptive");
        Agent::enroll_in(machine, &self.server, &self.server.enrollment_token(&[]));
        let agent = Agent::run_in(machine);
        let host = wait_host(&self.api, "active");
        let name = host["name"].as_str().expect("a name").to_owned();
        self.agents.push((name.clone(), agent));
        name
    }

    /// The agent of a host.
    pub(crate) fn agent(&mut self, name: &str) -> &mut Agent {
        let found = self.agents.iter_mut().find(|(known, _)| known == name);
        &mut found.unwrap_or_else(|| panic!("no host {name}")).1
    }

    /// Waits for a host's open failure of a code with this cause, confirmed.
    pub(crate) fn triaged(&self, host: &str, code: &str, cause: &str) -> Value {
        wait_for(&format!("{code} of {host}"), PATIENCE, || {
            let found = self.api.items(&format!("/api/v1/incidents?code={code}"));
            let this = found
                .iter()
                .find(|i| i["host"]["name"] == host && i["cause"]["certainty"] == "confirmed");
            let this = this.ok_or_else(|| format!("{found:?}"))?;
            assert_eq!(this["cause"]["id"], cause, "{this}");
            Ok(this.clone())
        })
    }

    /// A campaign as it stands.
    pub(crate) fn campaign(&self, id: &str) -> Value {
        let (status, campaign) = self.api.get(&format!("/api/v1/campaigns/{id}"));
        assert_eq!(status, 200, "{campaign}");
        campaign
    }

    /// Does something to a campaign in anna's name.
    pub(crate) fn act(&self, id: &str, verb: &str, reason: &str) -> Value {
        self.anna.ask(&["campaigns", verb, id, "--reason", reason])
    }

    /// How each host of a campaign stands, by name.
    pub(crate) fn hosts(&self, id: &str) -> Vec<Value> {
        self.api.items(&format!("/api/v1/campaigns/{id}/hosts?limit=100"))
    }

    /// Waits until a campaign stands so.
    pub(crate) fn wait(&self, id: &str, state: &str) -> Value {
        wait_for(&format!("the campaign {state}"), PATIENCE, || {
            let now = self.campaign(id);
            if now["state"] == state {
                return Ok(now);
            }
            let hosts = self.hosts(id);
            let logs: Vec<String> = hosts
                .iter()
                .filter_map(|h| h["job"].as_str())
                .map(|job| job_log(&self.api, job))
                .collect();
            Err(format!("{now}\n{hosts:?}\n{logs:?}"))
        })
    }

    /// Waits until a host of a campaign stands so.
    pub(crate) fn wait_host(&self, id: &str, host: &str, outcome: &str) -> Value {
        wait_for(&format!("{host} {outcome}"), PATIENCE, || {
            let hosts = self.hosts(id);
            let this = hosts.iter().find(|h| h["host"]["name"] == host && h["outcome"] == outcome);
            this.cloned().ok_or_else(|| format!("{hosts:?}"))
        })
    }
}

/// Makes something of each of these at once.
pub(crate) fn at_once<T: Sync, R: Send>(all: &[T], make: impl Fn(&T) -> R + Sync) -> Vec<R> {
    thread::scope(|scope| {
        let make = &make;
        let work: Vec<_> = all.iter().map(|one| scope.spawn(move || make(one))).collect();
        work.into_iter().map(|one| one.join().expect("made")).collect()
    })
}

/// The strict defaults without the hour of soaking.
pub(crate) fn definition(name: &str, code: &str, cause: &str, max_risk: &str) -> Value {
    json!({
        "name": name, "reason": "updates stand still", "change": "CHG-42",
        "selector": {"product": "apt", "code": code, "cause": cause},
        "max_risk": max_risk, "gate": {"soak": "0s"},
    })
}
