//! A problem's page: why, how sure, on whom, and what helps.

use std::collections::BTreeMap;

use askama::Template;
use fleetmend_core::incident::IncidentState;
use fleetmend_core::knowledge::{Catalogue, Risk, Strength};
use fleetmend_core::report::{Operation, Product};
use fleetmend_core::triage::{Certainty, RankedCause, Verdict};
use fleetmend_core::words::Slug;
use fleetmend_store::{Incident, IncidentFilter, PageRequest, ProbeCount, ProblemKey};

use super::i18n::Words;
use super::incidents::PlanCard;
use super::outbreak::Grid;
use super::{Frame, html, paint};
use crate::http::api::model::{ProblemView, cause_name};
use crate::http::api::{hosts, problems};
use crate::http::call::Call;
use crate::http::params::encode;
use crate::http::problem::Problem;
use crate::http::route::Answer;

/// Incidents whose verdicts are averaged: the latest.
const SAMPLE: u32 = 200;
/// Hosts that the page names; the list of incidents has all.
const HOSTS: usize = 25;

#[derive(Debug, Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    p: Frame,
    title: String,
    explanation: String,
    code: String,
    symbol: String,
    fails: String,
    /// What stands now; `None` where nothing of it does.
    now: Option<Standing>,
    /// All its incidents, those that are over too.
    all_link: String,
}

#[derive(Debug)]
struct Standing {
    view: ProblemView,
    first_seen: fleetmend_core::time::Timestamp,
    last_seen: fleetmend_core::time::Timestamp,
    spark: String,
    shares: Vec<Share>,
    /// Incidents whose verdicts were averaged.
    sampled: String,
    probes: Vec<ProbeRow>,
    grid: Grid,
    plan: Vec<PlanCard>,
    hosts: Vec<Incident>,
    hosts_more: u64,
    hosts_link: String,
    incidents_link: String,
    fix_link: String,
    /// A new campaign against it.
    campaign_link: String,
}

/// One cause over the sampled verdicts.
#[derive(Debug)]
struct Share {
    name: String,
    bar: String,
    mean: f64,
    /// On how many it is how sure.
    said: Vec<(&'static str, u64)>,
}

/// One probe over the hosts.
#[derive(Debug)]
struct ProbeRow {
    name: String,
    probe: String,
    counts: ProbeCount,
    asked: u64,
    /// What *yes* says of the leading cause.
    yes_says: Option<Strength>,
}

/// The page.
pub(crate) async fn page(call: Call) -> Answer {
    // Without a name: all problems, which is what triage shows.
    let Some(key) = read_key(&call)? else { return super::triage::page(call).await };
    let p = Frame::new(&call, "triage");
    let catalogue = call.shared().catalogue;
    let found = problems::views(&call, p.t.0).await?.into_iter().find(|view| is(view, &key));
    let entry = key
        .cause
        .as_deref()
        .and_then(|id| Slug::new(id).ok())
        .and_then(|id| catalogue.causes.get(&id));
    let code = found.as_ref().and_then(|v| v.code.clone()).or_else(|| key.code.clone());
    let fails =
        format!("{}: {}", p.t.word("product", key.product), p.t.word("operation", key.operation));
    let title = match &key.cause {
        Some(id) => cause_name(catalogue, id, p.t.0),
        None => key.code.clone().unwrap_or_else(|| fails.clone()),
    };
    html(&ProblemPage {
        explanation: match entry {
            Some(cause) => cause.explanation.get(p.t.0).to_owned(),
            None => meaning(catalogue, code.as_deref(), p.t),
        },
        symbol: found.as_ref().and_then(|v| v.symbol.clone()).unwrap_or_default(),
        code: code.unwrap_or_default(),
        now: match found {
            Some(view) => Some(standing(&call, &p, &key, view).await?),
            None => None,
        },
        all_link: format!(
            "/incidents?{}&state=fixed&state=resolved&state=superseded&state=ignored",
            filter_of(&key)
        ),
        title,
        fails,
        p,
    })
}

/// Where a problem's page is.
pub(crate) fn link(view: &ProblemView) -> String {
    let (product, operation) = (view.product, view.operation);
    let named = match (&view.cause, &view.code) {
        (Some(cause), _) => format!("cause={}", encode(cause)),
        (None, Some(code)) => format!("code={}", encode(code)),
        (None, None) => "code=none".to_owned(),
    };
    format!("/problems?{named}&product={product}&operation={operation}")
}

async fn standing(
    call: &Call,
    p: &Frame,
    key: &ProblemKey,
    view: ProblemView,
) -> Result<Standing, Problem> {
    let catalogue = call.shared().catalogue;
    let filter = IncidentFilter {
        state: IncidentState::ALL.iter().copied().filter(|s| s.is_open()).collect(),
        product: Some(key.product),
        operation: Some(key.operation),
        cause: Some(key.cause.clone().unwrap_or_default()),
        code: if key.cause.is_none() { Some(key.code.clone().unwrap_or_default()) } else { None },
        ..Default::default()
    };
    let mut sample = call.db().incidents(&filter, &PageRequest::first(SAMPLE)).await?.items;
    let verdicts: Vec<&Verdict> = sample.iter().filter_map(|i| i.verdict.as_ref()).collect();
    let sampled = p.t.n("problem.sampled", verdicts.len());
    let mean = mean(&verdicts);
    let shares = shares(&verdicts, &mean, catalogue, p.t);
    let counts = call.db().problem_evidence(key).await?;
    let probes = probes(counts, &mean, catalogue, p.t);
    let outbreak = call.db().outbreak(key).await?;
    let plan = match sample.first() {
        Some(latest) => {
            let os = hosts::find(call, latest.host).await?.facts.os;
            fleetmend_core::plan::plan(catalogue, &mean, os, Risk::Dangerous, &[])
        }
        None => fleetmend_core::plan::Plan::default(),
    };
    let (incidents, filter) = (view.incidents, filter_of(key));
    sample.truncate(HOSTS);
    Ok(Standing {
        spark: paint::spark(&view.trend, p.t),
        first_seen: view.first_seen.parse().unwrap_or(p.now),
        last_seen: view.last_seen.parse().unwrap_or(p.now),
        sampled,
        shares,
        probes,
        grid: Grid::new(outbreak, p.now.day(), p.t),
        plan: plan.steps.iter().map(|step| PlanCard::new(step, catalogue, p.t)).collect(),
        hosts_more: incidents.saturating_sub(sample.len() as u64),
        hosts: sample,
        hosts_link: match &key.cause {
            Some(cause) => format!("/hosts?cause={}", encode(cause)),
            None => format!("/hosts?code={}", encode(key.code.as_deref().unwrap_or("none"))),
        },
        incidents_link: format!("/incidents?{filter}"),
        fix_link: if incidents == 1 {
            format!("/incidents/{}", view.sample)
        } else {
            format!("/incidents?{filter}")
        },
        campaign_link: campaign_of(key),
        view,
    })
}

/// A new campaign against a problem.
fn campaign_of(key: &ProblemKey) -> String {
    let named = match (&key.cause, &key.code) {
        (Some(cause), _) => format!("cause={}&", encode(cause)),
        (None, Some(code)) => format!("code={}&", encode(code)),
        (None, None) => String::new(),
    };
    format!("/campaigns/new?{named}product={}&operation={}", key.product, key.operation)
}

/// The problem that the address names; `None` where it names none.
fn read_key(call: &Call) -> Result<Option<ProblemKey>, Problem> {
    let (cause, code) = (call.query.text("cause"), crate::http::api::code(call)?);
    let product = call.query.word::<Product>("product")?;
    let operation = call.query.word::<Operation>("operation")?;
    if cause.is_none() && code.is_none() {
        return Ok(None);
    }
    let (Some(product), Some(operation)) = (product, operation) else {
        return Err(Problem::bad(
            "product",
            "product and operation: name both, as the links of triage do",
        ));
    };
    Ok(Some(ProblemKey {
        cause: cause.map(str::to_owned),
        code: code.filter(|code| !code.is_empty()),
        product,
        operation,
    }))
}

fn is(view: &ProblemView, key: &ProblemKey) -> bool {
    let named = match &key.cause {
        Some(_) => view.cause == key.cause,
        None => view.cause.is_none() && view.code == key.code,
    };
    named && view.product == key.product.as_str() && view.operation == key.operation.as_str()
}

/// The filter of lists that finds a problem's incidents.
fn filter_of(key: &ProblemKey) -> String {
    let named = match &key.cause {
        Some(cause) => format!("cause={}", encode(cause)),
        None => format!("cause=none&code={}", encode(key.code.as_deref().unwrap_or("none"))),
    };
    format!("{named}&product={}&operation={}", key.product, key.operation)
}

fn meaning(catalogue: &Catalogue, code: Option<&str>, t: Words) -> String {
    code.and_then(|code| code.parse().ok())
        .and_then(|code| catalogue.codes.get(&code))
        .map(|entry| entry.meaning.get(t.0).to_owned())
        .unwrap_or_default()
}

/// The mean of verdicts: each cause with its mean share and its best certainty, likeliest first.
fn mean(verdicts: &[&Verdict]) -> Verdict {
    let mut sums: BTreeMap<Option<Slug>, (f64, Certainty)> = BTreeMap::new();
    for cause in verdicts.iter().flat_map(|v| &v.causes) {
        let sum = sums.entry(cause.cause.clone()).or_insert((0.0, Certainty::RuledOut));
        sum.0 += cause.share;
        sum.1 = sum.1.min(cause.certainty);
    }
    let count = u32::try_from(verdicts.len()).unwrap_or(u32::MAX).max(1);
    let mut causes: Vec<RankedCause> = sums
        .into_iter()
        .map(|(cause, (sum, certainty))| RankedCause {
            cause,
            share: sum / f64::from(count),
            certainty,
            evidence: Vec::new(),
        })
        .collect();
    causes.sort_by(|a, b| b.share.total_cmp(&a.share));
    Verdict { causes, catalogue: verdicts.first().map(|v| v.catalogue.clone()).unwrap_or_default() }
}

fn shares(verdicts: &[&Verdict], mean: &Verdict, catalogue: &Catalogue, t: Words) -> Vec<Share> {
    let said = |cause: &Option<Slug>| {
        Certainty::ALL
            .iter()
            .map(|certainty| {
                let ranked = verdicts.iter().flat_map(|v| &v.causes);
                let n = ranked.filter(|c| c.cause == *cause && c.certainty == *certainty).count();
                (certainty.as_str(), n as u64)
            })
            .filter(|(_, n)| *n > 0)
            .collect()
    };
    mean.causes
        .iter()
        .map(|ranked| Share {
            name: match &ranked.cause {
                Some(id) => cause_name(catalogue, id.as_str(), t.0),
                None => t.s("cause.other").to_owned(),
            },
            bar: paint::share_bar(ranked.share),
            mean: ranked.share,
            said: said(&ranked.cause),
        })
        .collect()
}

/// The probes that say something of the problem's causes, those most hosts answered first.
fn probes(
    counts: Vec<ProbeCount>,
    mean: &Verdict,
    catalogue: &Catalogue,
    t: Words,
) -> Vec<ProbeRow> {
    let causes: Vec<_> = mean
        .causes
        .iter()
        .filter_map(|c| c.cause.as_ref())
        .filter_map(|id| catalogue.causes.get(id))
        .collect();
    let mut rows: Vec<ProbeRow> = counts
        .into_iter()
        .filter(|count| {
            causes.iter().flat_map(|c| &c.indications).any(|i| i.probe.as_str() == count.probe)
        })
        .map(|counts| ProbeRow {
            name: Slug::new(&counts.probe)
                .ok()
                .and_then(|id| catalogue.probes.get(&id))
                .map_or_else(String::new, |probe| probe.name.get(t.0).to_owned()),
            yes_says: causes
                .first()
                .and_then(|c| c.indications.iter().find(|i| i.probe.as_str() == counts.probe))
                .map(|i| i.yes),
            asked: counts.yes + counts.no + counts.unknown,
            probe: counts.probe.clone(),
            counts,
        })
        .collect();
    rows.sort_by_key(|row| (row.yes_says.is_none(), std::cmp::Reverse(row.counts.yes)));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(share: f64, certainty: Certainty) -> Verdict {
        let ranked = |cause: Option<&str>, share, certainty| RankedCause {
            cause: cause.map(|c| c.parse().expect("a slug")),
            share,
            certainty,
            evidence: Vec::new(),
        };
        Verdict {
            causes: vec![
                ranked(Some("apt.cause"), share, certainty),
                ranked(None, 1.0 - share, Certainty::Possible),
            ],
            catalogue: "1".to_owned(),
        }
    }

    #[test]
    fn shares_are_means_and_the_best_certainty_counts() {
        let (a, b) = (verdict(0.9, Certainty::Confirmed), verdict(0.5, Certainty::Likely));
        let mean = mean(&[&a, &b]);
        assert!((mean.causes[0].share - 0.7).abs() < 1e-9, "{mean:?}");
        assert_eq!(mean.causes[0].certainty, Certainty::Confirmed);
        assert_eq!(mean.causes[1].cause, None);
    }
}
