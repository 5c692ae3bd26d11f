//! A definition as it comes from outside: read strictly, completed where the catalogue knows, checked.

use fleetmend_core::campaign::{Definition, Problem, Remedy};
use fleetmend_core::knowledge::Catalogue;
use serde_json::Value;

/// Why a definition cannot be kept.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BadDefinition {
    /// It cannot be read.
    #[error("{why}")]
    Unreadable {
        /// The field, where it is known.
        field: Option<String>,
        /// What is wrong with it.
        why: String,
    },
    /// It says what cannot be done.
    #[error("{}", problems.first().map(said).unwrap_or_default())]
    Wrong {
        /// All that is wrong, by field; never empty.
        problems: Vec<Problem>,
    },
}

/// Reads a definition: the version of a remediation that is named, and its digest, are the catalogue's
/// unless given.
///
/// # Errors
/// With every field that is wrong.
pub fn read(catalogue: &Catalogue, mut value: Value) -> Result<Definition, BadDefinition> {
    complete(catalogue, &mut value);
    problem(&mut value).map_err(|why| BadDefinition::Unreadable {
        field: Some("selector.problem".to_owned()),
        why,
    })?;
    let mut definition: Definition =
        serde_path(value).map_err(|(field, why)| BadDefinition::Unreadable { field, why })?;
    let problems = definition.validate(catalogue);
    if !problems.is_empty() {
        return Err(BadDefinition::Wrong { problems });
    }
    if let Remedy::Remediation { id, digest, .. } = &mut definition.remedy
        && let Some(entry) = catalogue.remediations.get(id)
    {
        *digest = entry.digest();
    }
    definition.remediations = definition.bound(catalogue);
    Ok(definition)
}

/// What is wrong and what puts it right, in one line.
pub fn said(problem: &Problem) -> String {
    format!("{}: {}: {}", problem.field, problem.text, problem.remedy)
}

/// The version that a person need not know.
fn complete(catalogue: &Catalogue, value: &mut Value) {
    let Some(named) = value.pointer_mut("/remedy/remediation").and_then(Value::as_object_mut)
    else {
        return;
    };
    let id = named.get("id").and_then(Value::as_str).and_then(|id| id.parse().ok());
    let entry = id.and_then(|id| catalogue.remediations.get(&id));
    if let Some(entry) = entry.filter(|_| !named.contains_key("version")) {
        named.insert("version".to_owned(), entry.version.into());
    }
}

/// The key of a problem, as the list of problems tells it: `apt/install/cause=dpkg_interrupted`, with
/// `code=…` where no cause leads, and neither where there is no code.
pub fn problem_key(
    cause: Option<&str>,
    code: Option<&str>,
    product: &str,
    operation: &str,
) -> String {
    match (cause, code) {
        (Some(cause), _) => format!("{product}/{operation}/cause={cause}"),
        (None, Some(code)) => format!("{product}/{operation}/code={code}"),
        (None, None) => format!("{product}/{operation}"),
    }
}

/// A selector's `problem` stands for the fields that it is made of; these alone are kept.
fn problem(value: &mut Value) -> Result<(), String> {
    let Some(selector) = value.pointer_mut("/selector").and_then(Value::as_object_mut) else {
        return Ok(());
    };
    let Some(key) = selector.remove("problem") else { return Ok(()) };
    let bad = || {
        "write PRODUCT/OPERATION/cause=CAUSE or PRODUCT/OPERATION/code=CODE, as the list of problems does"
            .to_owned()
    };
    let mut parts = key.as_str().ok_or_else(bad)?.splitn(3, '/');
    let (product, operation) = parts.next().zip(parts.next()).ok_or_else(bad)?;
    let mut fields = vec![("product", product), ("operation", operation)];
    if let Some(third) = parts.next() {
        let (name, text) = third.split_once('=').ok_or_else(bad)?;
        let name = ["cause", "code"].into_iter().find(|known| *known == name).ok_or_else(bad)?;
        fields.push((name, text));
    }
    for (name, text) in fields {
        let is_said = selector.get(name).filter(|said| !said.is_null());
        if is_said.is_some_and(|said| said != text) {
            return Err(format!(
                "it says {name} = {text}, and selector.{name} says another: leave one out"
            ));
        }
        selector.insert(name.to_owned(), text.into());
    }
    Ok(())
}

/// Reads part by part, so that what cannot be read is named by its field.
fn serde_path(value: Value) -> Result<Definition, (Option<String>, String)> {
    let whole = serde_json::from_value::<Definition>(value.clone());
    whole.map_err(|error| {
        let why = error.to_string();
        // serde names an unknown or missing field; of a bad value it names no field.
        let named = why.split('`').nth(1).filter(|_| why.contains("field"));
        let field = named.map(str::to_owned).or_else(|| guilty(&value));
        (field, why)
    })
}

/// The field without which the definition would read, or would lack only that field.
fn guilty(value: &Value) -> Option<String> {
    let fields = value.as_object()?;
    fields.keys().find_map(|name| {
        let mut rest = fields.clone();
        let part = rest.remove(name)?;
        let reads = match serde_json::from_value::<Definition>(Value::Object(rest)) {
            Ok(_) => true,
            Err(error) => error.to_string().contains(&format!("missing field `{name}`")),
        };
        reads.then(|| inner(name, &part, fields))
    })
}

/// One level deeper: `selector.code` rather than `selector`.
fn inner(name: &str, part: &Value, fields: &serde_json::Map<String, Value>) -> String {
    let Some(map) = part.as_object().filter(|map| map.len() > 1) else {
        let only = part.as_object().and_then(|map| map.keys().next());
        return only.map_or_else(|| name.to_owned(), |only| format!("{name}.{only}"));
    };
    for key in map.keys() {
        let mut rest = map.clone();
        rest.remove(key);
        let mut all = fields.clone();
        all.insert(name.to_owned(), Value::Object(rest));
        if serde_json::from_value::<Definition>(Value::Object(all)).is_ok() {
            return format!("{name}.{key}");
        }
    }
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn good() -> Value {
        json!({
            "name": "interrupted dpkg", "reason": "change 17", "max_risk": "disruptive",
            "selector": { "cause": "dpkg_interrupted", "labels": { "site": "north" } },
            "remedy": { "remediation": { "id": "apt.configure_pending" } },
            "waves": [{ "share": "1" }, { "share": "all" }],
        })
    }

    #[test]
    fn a_problem_stands_for_the_fields_it_is_made_of() {
        let catalogue = fleetmend_catalog::builtin();
        let of = |key: &str| {
            let mut value = good();
            value["selector"] = json!({ "problem": key, "labels": { "site": "north" } });
            read(catalogue, value)
        };
        let mut fields = good();
        fields["selector"]["product"] = json!("apt");
        fields["selector"]["operation"] = json!("install");
        let by_fields = read(catalogue, fields.clone()).expect("good");
        let key =
            problem_key(Some("dpkg_interrupted"), Some("apt.dpkg_interrupted"), "apt", "install");
        let by_key = of(&key).expect("good");
        assert_eq!(
            (&by_key, by_key.digest()),
            (&by_fields, by_fields.digest()),
            "the same campaign"
        );
        let by_code =
            of(&problem_key(None, Some("apt.lock_held"), "apt", "install")).expect("good").selector;
        assert_eq!(by_code.code.map(|code| code.to_string()).as_deref(), Some("apt.lock_held"));
        assert_eq!(by_code.cause, None);
        assert_eq!(
            of(&problem_key(None, None, "apt", "install")).expect("good").selector.code,
            None
        );
        for bad in ["", "apt", "apt/install/dpkg_interrupted", "apt/install/host=x"] {
            let Err(BadDefinition::Unreadable { field, .. }) = of(bad) else { panic!("{bad}") };
            assert_eq!(field.as_deref(), Some("selector.problem"), "{bad}");
        }
        assert!(of("apt/install/cause=unheard_of").is_err() && of("nothing/install").is_err());
        fields["selector"]["problem"] = json!("dnf/install");
        let Err(BadDefinition::Unreadable { why, .. }) = read(catalogue, fields) else {
            panic!("twice")
        };
        assert!(why.contains("product = dnf"), "{why}");
    }

    #[test]
    fn what_the_catalogue_knows_need_not_be_written() {
        let catalogue = fleetmend_catalog::builtin();
        let read = read(catalogue, good()).expect("good");
        let Remedy::Remediation { version, digest, .. } = read.remedy else { panic!("named") };
        assert!(version >= 1 && digest.len() == 64);
        let bound = [("apt.configure_pending".parse().expect("a name"), digest)];
        assert_eq!(read.remediations, bound.into());
        // Of a plan they are all that it may come to; what somebody writes there counts for nothing.
        let mut plan = good();
        plan["remedy"] = json!("plan");
        plan["remediations"] = json!({ "apt.configure_pending": "00" });
        let read = super::read(catalogue, plan).expect("good");
        assert!(read.remediations.len() > 1 && read.remediations.values().all(|d| d.len() == 64));
        assert_eq!(read.remediations, read.bound(catalogue));
    }

    #[test]
    fn what_cannot_be_read_or_done_is_named_by_its_field() {
        let cases = [
            ("/thresholds", json!({ "abort": "" }), "thresholds.abort"),
            ("/thresholds", json!({ "abort": "5 errors", "pause": "1" }), "thresholds.abort"),
            ("/thresholds", json!({ "abort": null }), "thresholds.abort"),
            ("/thresholds", json!({ "stop": "5%" }), "stop"),
            ("/gate", json!({ "soak": "soon" }), "gate.soak"),
            ("/waves", json!([]), "waves"),
            ("/waves", json!([{ "share": "10%" }]), "waves[0].share"),
            (
                "/schedule",
                json!({ "cron": { "expression": "61 * * * *" } }),
                "schedule.cron.expression",
            ),
            ("/zone", json!({ "named": "Europe/Nowhere" }), "zone.named"),
            ("/selector", json!({ "labels": { "site": "north" } }), "selector"),
            ("/selector", json!({ "cause": "apt.no_such" }), "selector.cause"),
            ("/selector", json!({ "code": "\u{7}", "cause": "dpkg_interrupted" }), "selector.code"),
            ("/max_risk", json!("guided"), "max_risk"),
            ("/max_risk", json!("none"), "max_risk"),
            ("/reboot", json!("in_window"), "reboot"),
            ("/name", json!(""), "name"),
        ];
        for (pointer, value, field) in cases {
            let mut all = good();
            all[&pointer[1..]] = value.clone();
            let why = read(fleetmend_catalog::builtin(), all).expect_err(field);
            let named = match &why {
                BadDefinition::Unreadable { field, .. } => field.clone(),
                BadDefinition::Wrong { problems } => Some(problems[0].field.clone()),
            };
            assert_eq!(named.as_deref(), Some(field), "{value}: {why}");
        }
    }
}
