use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fleetmend_agent::platform::Platform;
use fleetmend_agent::probe::{self, About};
use fleetmend_core::evidence::Answer;
use fleetmend_core::host::OsFamily;
use fleetmend_core::time::{Clock as _, SystemClock};
use fleetmend_server::Config;
use fleetmend_server::config::TransientSettings;
use fleetmend_sim::fleet::{Fleet, Plan};
use fleetmend_sim::local::Local;
use fleetmend_sim::model::{Model, models};
use fleetmend_sim::names::Persona;
use fleetmend_sim::{Outcome, SimHost, Standing, deeds};
use serde_json::{Value, json};

use super::QUICK;

const SEED: u64 = 7;
/// Time for something to become so.
const PATIENCE: Duration = Duration::from_mins(1);

/// A plan that only names what [`Fleet::of`] uses.
pub(super) fn plan(folder: &Path) -> Plan {
    Plan {
        hosts: 0,
        seed: SEED,
        folder: folder.to_owned(),
        pace: QUICK,
        windows: 0.5,
        healthy: 0.0,
        two: 0.0,
        repeating: false,
        collect_every: Duration::from_millis(400),
    }
}

pub(super) async fn local(folder: &Path, hosts: u32) -> Local {
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    let config = Config {
        data_dir: folder.join("server"),
        http_listen: any,
        agent_listen: any,
        metrics_listen: any,
        // Simulated hosts fail within seconds, not over days.
        transient: TransientSettings { failures: 1, ..TransientSettings::default() },
        ..Config::default()
    };
    Local::start(config, hosts, Arc::new(SystemClock)).await.expect("a server")
}

/// REST as the administrator.
#[derive(Clone)]
struct Api {
    base: String,
    token: String,
    agent: ureq::Agent,
}

impl Api {
    fn of(local: &Local) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        Self {
            base: format!("http://{}/api/v1/", local.server.http_addr),
            token: format!("Bearer {}", local.login),
            agent: config.into(),
        }
    }

    async fn ask(&self, path: String, body: Option<Value>) -> (u16, Value) {
        let api = self.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let url = format!("{}{path}", api.base);
            let answer = match body {
                Some(body) => {
                    api.agent.post(&url).header("Authorization", &api.token).send_json(body)
                }
                None => api.agent.get(&url).header("Authorization", &api.token).call(),
            };
            let mut answer = answer.expect("an answer");
            let text = answer.body_mut().read_to_string().expect("text");
            (answer.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
        });
        asked.await.expect("asked")
    }

    async fn get(&self, path: impl Into<String>) -> Value {
        let path = path.into();
        let (status, body) = self.ask(path.clone(), None).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// The first item of a list that fits, when there is one.
    async fn wait(&self, what: &str, path: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let begun = std::time::Instant::now();
        loop {
            let body = self.get(path).await;
            let items = body["items"].as_array().cloned().unwrap_or_else(|| vec![body.clone()]);
            if let Some(found) = items.iter().find(|item| fits(item)) {
                return found.clone();
            }
            let text = body.to_string();
            let shown = &text[..text.len().min(2_000)];
            assert!(begun.elapsed() < PATIENCE, "{what}: {shown}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// A host that has this fault, says so, and on which `deed` gives `outcome`.
async fn chosen(model: &'static Model, deed: &str, outcome: Outcome, from: usize) -> Persona {
    let folder = tempfile::tempdir().expect("a folder");
    let catalogue = fleetmend_catalog::builtin();
    let own = catalogue.causes[&model.cause].own_probe.as_ref().map(|p| &catalogue.probes[p]);
    let now = SystemClock.now();
    // Hosts are known by their names: each case draws from numbers of its own.
    let from = u32::try_from(from * 500).expect("few cases");
    for number in from..from + 500 {
        let persona = Persona::draw(SEED, number, model.os);
        let root = folder.path().join(number.to_string());
        let host = SimHost::create(root, persona.clone(), &[model], SEED, QUICK, now);
        let host = host.expect("a host");
        let says = match own {
            Some(probe) => {
                probe::answer(&host, probe, About::Host, now, &mut || [1; 10]).await.answer
            }
            None => Answer::Yes,
        };
        if host.would(deed) == Some(outcome) && says == Answer::Yes {
            return persona;
        }
    }
    panic!("{}: no host of 500 with {outcome:?}", model.id);
}

/// Orders a remediation for a host's incident, and gives the job at its end.
async fn remediate(api: &Api, host: &SimHost, model: &Model, remediation: &str) -> Value {
    let name = host.persona().name.clone();
    let code = model.expect.code.to_string();
    let (product, operation) = (model.expect.product.as_str(), model.expect.operation.as_str());
    let is = |i: &Value| {
        i["host"]["name"] == name.as_str()
            && i["code"] == code.as_str()
            && i["product"] == product
            && i["operation"] == operation
            && !i["cause"].is_null()
    };
    let incident = api.wait(&model.id, "incidents?limit=1000", is).await;
    let id = incident["id"].as_str().expect("an id");
    let wish = json!({"remediation": remediation, "max_risk": "disruptive", "reason": "test"});
    let (status, job) = api.ask(format!("incidents/{id}/remediate"), Some(wish)).await;
    assert_eq!(status, 201, "{}: {job:#}\n{incident:#}", model.id);
    let id = job["id"].as_str().expect("an id").to_owned();
    let over = |j: &Value| {
        let open = [
            "queued",
            "offered",
            "waiting_window",
            "blocked",
            "running",
            "verifying",
            "reboot_pending",
        ];
        j["state"] != "rebooting" && !open.iter().any(|s| j["state"] == *s)
    };
    api.wait(&format!("{} {remediation}", model.id), &format!("jobs/{id}"), over).await
}

/// Each model that can be cured at all, on a host where the cure works, through the whole line: the
/// real collectors, spool, link, server, signed order, executor and proof.
#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_cured_ends_fixed_and_what_cannot_ends_failed() {
    let catalogue = fleetmend_catalog::builtin();
    let mut cases: Vec<(&'static Model, Persona, String, &str)> = Vec::new();
    // What wants a restart besides, or has another fault beneath, is not cured by one remediation.
    let by_one = |m: &&Model| m.cure.iter().any(|c| !c.boot) && m.with.is_empty();
    for model in models().all.iter().filter(by_one) {
        let cause = &catalogue.causes[&model.cause];
        let automatic = |id: &&fleetmend_core::words::Slug| {
            let r = &catalogue.remediations[*id];
            let fits = r.is_automatic() && r.os == model.os;
            fits && deeds(r).contains(&model.cure[0].by)
        };
        let Some(remediation) = cause.remediations.iter().find(automatic) else { continue };
        let name = remediation.to_string();
        if model.id == "apt.script_fails" {
            let persona = chosen(model, &model.cure[0].by, Outcome::Nothing, cases.len()).await;
            cases.push((model, persona, name, "failed"));
        } else {
            let persona = chosen(model, &model.cure[0].by, Outcome::Cured, cases.len()).await;
            cases.push((model, persona, name, "fixed"));
        }
    }
    assert!(cases.len() >= 14, "{}", cases.len());
    let folder = tempfile::tempdir().expect("a folder");
    let count = u32::try_from(cases.len()).expect("few");
    let local = local(folder.path(), count).await;
    let api = Api::of(&local);
    let mut fleets = Vec::new();
    for (at, (model, persona, ..)) in cases.iter().enumerate() {
        let plan = plan(&folder.path().join(at.to_string()));
        let chosen = vec![(persona.clone(), vec![*model])];
        let fleet = Fleet::of(plan, chosen, SystemClock.now()).expect("laid out");
        fleet.enroll(&local.reach).await.expect("enrolled");
        local.welcome(&fleet).await.expect("accepted");
        fleet.run().expect("runs");
        fleets.push(fleet);
    }
    let jobs = cases.iter().zip(&fleets).map(|((model, _, remediation, wanted), fleet)| {
        let api = &api;
        async move {
            let host = &fleet.hosts[0];
            let job = remediate(api, host, model, remediation).await;
            assert_eq!(job["state"], *wanted, "{} {remediation}: {job:#}", model.id);
            let gone = host.truth()[0].standing == Standing::Gone;
            assert_eq!(gone, *wanted == "fixed", "{}: {:?}", model.id, host.truth());
            // Without an agent the same comes of it.
            let twin = tempfile::tempdir().expect("a folder");
            let (persona, now) = (host.persona().clone(), SystemClock.now());
            let root = twin.path().to_owned();
            let twin = SimHost::create(root, persona, &[model], SEED, QUICK, now).expect("a twin");
            let done = &catalogue.remediations[&remediation.parse().expect("a slug")];
            twin.act(catalogue, done, model.unit.as_deref()).expect("acts");
            assert_eq!(twin.truth()[0].standing, host.truth()[0].standing, "{}", model.id);
        }
    });
    futures_util::future::join_all(jobs).await;
    for fleet in &fleets {
        assert!(fleet.stop(PATIENCE).await);
        let (seen, left) = (fleet.counts.seen(), fleet.in_spools(SystemClock.now()));
        assert_eq!(seen.put - seen.acknowledged, left.expect("readable"), "ledger and disk");
    }
}

/// Twenty drawn hosts: all enrol, are called simulated, and what they put is acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn a_small_fleet_tells_everything_and_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let local = local(folder.path(), 20).await;
    let api = Api::of(&local);
    let plan = Plan {
        hosts: 20,
        windows: 0.7,
        healthy: 0.2,
        two: 0.3,
        ..plan(&folder.path().join("hosts"))
    };
    let fleet = Fleet::create(plan, SystemClock.now()).expect("laid out");
    fleet.enroll(&local.reach).await.expect("enrolled");
    local.welcome(&fleet).await.expect("accepted");
    fleet.run().expect("runs");
    // What heals itself may be over before anybody looks.
    let lasting = |h: &&Arc<SimHost>| {
        h.truth().iter().any(|t| models().get(t.model).is_some_and(|m| m.heals_h.is_none()))
    };
    let ill: Vec<_> = fleet.hosts.iter().filter(lasting).collect();
    assert!(!ill.is_empty() && ill.len() < fleet.hosts.len());
    for host in &ill {
        let name = host.persona().name.as_str();
        api.wait(name, "incidents?limit=1000", |i| i["host"]["name"] == name).await;
    }
    let hosts = api.get("hosts?limit=1000").await;
    let hosts = hosts["items"].as_array().expect("a list").clone();
    assert_eq!(hosts.len(), 20);
    for host in &hosts {
        assert_eq!(host["simulated"], true, "{host}");
        assert!(host["labels"]["site"].is_string(), "{host}");
        assert_eq!(host["state"], "active", "{host}");
    }
    let begun = std::time::Instant::now();
    loop {
        let seen = fleet.counts.seen();
        if seen.put > 0 && seen.put == seen.acknowledged {
            assert_eq!(seen.connected, 20);
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{seen:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(fleet.stop(PATIENCE).await, "all agents end");
    let seen = fleet.counts.seen();
    let left = fleet.in_spools(SystemClock.now()).expect("readable");
    assert_eq!(seen.put - seen.acknowledged, left, "the ledger and the disk agree");
    assert!(local.server.shutdown(PATIENCE).await);
}

/// The trait is what the agent sees: nothing else of a simulated host reaches it.
#[test]
fn a_simulated_host_says_that_it_is_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = super::healthy(folder.path(), OsFamily::Windows, SystemClock.now());
    let facts = host.facts().expect("facts");
    assert!(facts.simulated && facts.name.ends_with(".example.com"));
}
