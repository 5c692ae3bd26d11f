//! Writing a campaign: the form, its preview, and what is kept of it.

use askama::Template;
use axum::http::StatusCode;
use fleetmend_core::campaign::{Definition, PlannedWave, Remedy};
use fleetmend_core::ids::CampaignId;
use fleetmend_core::knowledge::Catalogue;
use fleetmend_core::reason::Reason;
use fleetmend_store::{Campaign, NameCount, Preview};

use super::does::{self, Does};
use super::fields::{Section, sections};
use super::form::{FIELDS, Form, blank};
use super::words::{self, Line};
use crate::http::api::campaigns as doing;
use crate::http::api::catalog::read_code;
use crate::http::api::model::cause_name;
use crate::http::call::Call;
use crate::http::params::Params;
use crate::http::problem::Problem;
use crate::http::route::{Answer, Param};
use crate::http::web::i18n::Words;
use crate::http::web::{Frame, html, html_with, see};

/// Hosts that a preview names.
const SAMPLE: usize = 25;

#[derive(Debug, Template)]
#[template(path = "campaign_form.html")]
struct FormPage {
    p: Frame,
    title: String,
    /// The campaign that is changed; empty for a new one.
    edit: String,
    revision: u64,
    name: String,
    wrong: Vec<(&'static str, String)>,
    sections: Vec<Section>,
}

#[derive(Debug, Template)]
#[template(path = "campaign_preview.html")]
struct PreviewPage {
    p: Frame,
    name: String,
    reason: String,
    edit: String,
    revision: u64,
    view: Preview,
    needs: Vec<Reason>,
    irreversible: Vec<(String, String)>,
    may_do: Vec<Does>,
    lines: Vec<Line>,
    sizes: String,
    /// When its next runs would begin; empty where somebody starts it.
    next_runs: String,
    /// Waves for a label that no host has.
    no_canary: Vec<String>,
    kinds: Vec<(String, String)>,
    /// Whether it can be kept from here: not where a kept one is looked at.
    can_save: bool,
    action: String,
    start_label: String,
    back: String,
    fields: Vec<(&'static str, String)>,
}

/// What is being written.
struct Draft {
    form: Form,
    definition: Definition,
    /// The campaign that is changed, with the revision that its author saw.
    edits: Option<(Campaign, u64)>,
}

/// The form, with what the address already says filled in.
pub(crate) async fn page(call: Call) -> Answer {
    let mut draft = draft(&call, &call.query).await?;
    if draft.form.value("name").is_empty() {
        let name = suggested(&draft.definition, call.shared().catalogue, call.words);
        draft
            .form
            .fill(&Params::read(&format!("name={}", crate::http::params::encode(&name)), FIELDS)?);
    }
    // Nothing was asked yet: nothing is wrong yet, but what the address says must be readable.
    html(&form_page(&call, &draft, false))
}

/// The form with what a campaign says.
pub(crate) async fn edit(call: Call) -> Answer {
    let id: CampaignId = call.id()?;
    let campaign = doing::find(&call, id).await?;
    let draft = Draft {
        form: Form::of(&campaign.definition),
        definition: campaign.definition.clone(),
        edits: Some((campaign.clone(), campaign.revision)),
    };
    html(&form_page(&call, &draft, false))
}

/// What the written campaign would do; the form again where something is wrong with it.
pub(crate) async fn preview(call: Call) -> Answer {
    let draft = checked(&call, &call.query).await?;
    if draft.form.is_bad() {
        return html_with(StatusCode::BAD_REQUEST, &form_page(&call, &draft, true));
    }
    html(&previewed(&call, draft, true).await?)
}

/// What a campaign that is kept would do now.
pub(crate) async fn preview_of(call: Call) -> Answer {
    let campaign = doing::find(&call, call.id()?).await?;
    let draft = Draft {
        form: Form::of(&campaign.definition),
        definition: campaign.definition.clone(),
        edits: Some((campaign.clone(), campaign.revision)),
    };
    html(&previewed(&call, draft, false).await?)
}

/// Keeps a new campaign; starts it where that is asked and nobody must approve it.
pub(crate) async fn create(call: Call) -> Answer {
    let typed = form_of(&call)?;
    let draft = checked(&call, &typed).await?;
    if draft.form.is_bad() {
        return html_with(StatusCode::BAD_REQUEST, &form_page(&call, &draft, true));
    }
    let reason = draft.definition.reason.clone();
    let written = serde_json::to_value(&draft.definition).map_err(Problem::internal)?;
    let campaign = doing::create_as(&call, written).await?;
    let starts = typed.text("then") == Some("start");
    if starts && campaign.needs.is_empty() {
        doing::start_as(&call, campaign.id, &reason, false).await?;
    }
    Ok(see(&format!("/campaigns/{}", campaign.id)))
}

/// Changes what is written in a campaign.
pub(crate) async fn change(call: Call) -> Answer {
    let typed = form_of(&call)?;
    let id: CampaignId = call.id()?;
    let campaign = doing::find(&call, id).await?;
    let seen = typed.parse::<u64>("revision")?.unwrap_or(campaign.revision);
    let mut draft = Draft {
        form: Form::of(&campaign.definition),
        definition: campaign.definition.clone(),
        edits: Some((campaign, seen)),
    };
    check(&call, &mut draft, &typed);
    if draft.form.is_bad() {
        return html_with(StatusCode::BAD_REQUEST, &form_page(&call, &draft, true));
    }
    let written = serde_json::to_value(&draft.definition).map_err(Problem::internal)?;
    doing::edit_as(&call, id, seen, written).await?;
    Ok(see(&format!("/campaigns/{id}")))
}

/// What the form is sent with besides its fields.
fn form_of(call: &Call) -> Result<Params, Problem> {
    let mut known = FIELDS.to_vec();
    known.extend([Param::one("then", ""), Param::one("revision", "")]);
    call.form(&known)
}

async fn draft(call: &Call, typed: &Params) -> Result<Draft, Problem> {
    let edits = match typed.parse::<CampaignId>("edit")? {
        Some(id) => {
            let campaign = doing::find(call, id).await?;
            let seen = typed.parse::<u64>("revision")?.unwrap_or(campaign.revision);
            Some((campaign, seen))
        }
        None => None,
    };
    let base = edits.as_ref().map_or_else(blank, |(campaign, _)| campaign.definition.clone());
    let mut form = Form::of(&base);
    form.fill(typed);
    let mut reader = form.clone();
    let definition = reader.definition(base, call.shared().catalogue, code(call));
    Ok(Draft { form, definition, edits })
}

async fn checked(call: &Call, typed: &Params) -> Result<Draft, Problem> {
    let mut draft = draft(call, typed).await?;
    check(call, &mut draft, typed);
    Ok(draft)
}

/// Reads what was typed, and notes all that is wrong with it.
fn check(call: &Call, draft: &mut Draft, typed: &Params) {
    let catalogue = call.shared().catalogue;
    let base = draft.edits.as_ref().map_or_else(blank, |(campaign, _)| campaign.definition.clone());
    draft.form.fill(typed);
    draft.definition = draft.form.definition(base, catalogue, code(call));
    let problems = draft.definition.validate(catalogue);
    draft.form.note(&problems);
    if let Remedy::Remediation { id, digest, .. } = &mut draft.definition.remedy
        && let Some(entry) = catalogue.remediations.get(id)
    {
        *digest = entry.digest();
    }
}

/// Reads a code in any spelling.
fn code(call: &Call) -> impl Fn(&str) -> Result<fleetmend_core::code::FailureCode, String> {
    |text| {
        read_code(call, text, "code")
            .map(|read| read.code)
            .map_err(|problem| problem.detail.clone())
    }
}

fn form_page(call: &Call, draft: &Draft, told: bool) -> FormPage {
    let p = Frame::new(call, "campaigns");
    let t = p.t;
    let wrong = draft.form.bad_fields().filter(|_| told);
    let (edit, revision, name) = edited(draft);
    FormPage {
        title: t.s(if edit.is_empty() { "camps.new_title" } else { "camps.edit_title" }).to_owned(),
        wrong: wrong.map(|(name, _)| (name, t.s(&format!("cform.{name}")).to_owned())).collect(),
        sections: sections(&draft.form, &draft.definition, call.shared().catalogue, t),
        edit,
        revision,
        name,
        p,
    }
}

async fn previewed(call: &Call, draft: Draft, can_save: bool) -> Result<PreviewPage, Problem> {
    let Draft { form, definition, .. } = &draft;
    let p = Frame::new(call, "campaigns");
    let (t, catalogue) = (p.t, call.shared().catalogue);
    let id = draft.edits.as_ref().map(|(campaign, _)| campaign.id);
    let found = crate::campaigns::select(call.shared(), definition, id, call.now).await?;
    let view = found.preview(SAMPLE);
    let labels = || found.members.iter().map(|member| &member.labels);
    let planned = definition.planned_waves(labels());
    let first = planned.first().map_or(0, |wave| wave.hosts);
    let of_label = |wave: &PlannedWave| match wave.with_label {
        Some(known) => t.f2("camps.of_label", t.num(wave.hosts), t.num(known)),
        None => t.num(wave.hosts),
    };
    let (edit, revision, _) = edited(&draft);
    Ok(PreviewPage {
        name: definition.name.clone(),
        reason: definition.reason.clone(),
        needs: crate::campaigns::needs(call.shared(), definition, found.members.len()),
        irreversible: does::irreversible(definition, catalogue, t),
        may_do: does::may_do(definition, catalogue, t),
        lines: words::lines(definition, catalogue, t),
        sizes: planned.iter().map(of_label).collect::<Vec<_>>().join(" + "),
        next_runs: definition.next_runs(call.now, doing::RUNS_TOLD).unwrap_or_default().join(", "),
        no_canary: definition
            .waves_for_nobody(labels())
            .into_iter()
            .map(|(wave, label)| t.f2("camps.no_canary", t.num(wave), label))
            .collect(),
        kinds: kinds(&view, catalogue, t),
        start_label: t.f2("act.start_on", t.num(first), t.n("act.of_hosts", view.hosts)),
        can_save: can_save && p.may_author,
        action: if edit.is_empty() {
            "/campaigns".to_owned()
        } else {
            format!("/campaigns/{edit}/edit")
        },
        back: format!(
            "/campaigns/new?{}{}",
            form.query(),
            if edit.is_empty() {
                String::new()
            } else {
                format!("&edit={edit}&revision={revision}")
            }
        ),
        fields: form.hidden(),
        edit,
        revision,
        view,
        p,
    })
}

fn edited(draft: &Draft) -> (String, u64, String) {
    draft.edits.as_ref().map_or_else(Default::default, |(campaign, seen)| {
        (campaign.id.to_string(), *seen, campaign.definition.name.clone())
    })
}

/// The hosts by kind, each kind on a line.
fn kinds(view: &Preview, catalogue: &Catalogue, t: Words) -> Vec<(String, String)> {
    let line = |counts: &[NameCount], name: &dyn Fn(&str) -> String| {
        let parts = counts.iter().map(|n| format!("{} {}", name(&n.name), t.num(n.hosts)));
        parts.collect::<Vec<_>>().join(" · ")
    };
    let none = || t.s("camps.kind_none").to_owned();
    [
        ("cform.os", line(&view.by_os, &|os| t.word("os", os))),
        ("problem.build", line(&view.by_build, &str::to_owned)),
        (
            "col.cause",
            line(&view.by_cause, &|id| {
                if id.is_empty() { none() } else { cause_name(catalogue, id, t.0) }
            }),
        ),
        (
            "fact.roles",
            line(&view.by_role, &|role| if role.is_empty() { none() } else { role.to_owned() }),
        ),
    ]
    .into_iter()
    .filter(|(_, text)| !text.is_empty())
    .map(|(key, text)| (t.s(key).to_owned(), text))
    .collect()
}

/// A name for a campaign that has none yet.
fn suggested(d: &Definition, catalogue: &Catalogue, t: Words) -> String {
    let problem = words::problem(&d.selector, catalogue, t);
    problem.chars().take(fleetmend_core::limits::CAMPAIGN_NAME_CHARS).collect()
}
