//! A campaign's definition from a file and flags.

use std::io::Read as _;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

use crate::args::{Pace, What, When, Which, Write};
use crate::client::ClientError;
use crate::commands::Context;
use crate::output;

/// The most that is read of a file.
const MOST: u64 = 256 * 1024;

/// The definition that file and flags make. What is wrong with it, the server says.
pub(super) fn definition(ctx: &Context, text: &Write) -> Result<Value> {
    let mut all = match &text.file {
        Some(path) => read(path)?,
        None => Map::new(),
    };
    set(&mut all, &["name"], text.name.as_ref());
    set(&mut all, &["reason"], text.reason.as_ref());
    set(&mut all, &["change"], text.change.as_ref());
    set(&mut all, &["standard_change"], text.standard_change.as_ref());
    which(ctx, &mut all, &text.selector)?;
    what(&mut all, &text.what);
    when(&mut all, &text.when)?;
    pace(&mut all, &text.pace)?;
    if all.is_empty() {
        return Err(usage(
            "give a definition: -f FILE, or flags such as --name, --reason, --cause",
        ));
    }
    Ok(Value::Object(all))
}

fn which(ctx: &Context, all: &mut Map<String, Value>, flags: &Which) -> Result<()> {
    let texts = [
        ("problem", &flags.problem),
        ("cause", &flags.cause),
        ("code", &flags.code),
        ("product", &flags.product),
        ("operation", &flags.operation),
        ("kb", &flags.kb),
        ("os", &flags.os),
        ("build", &flags.build),
    ];
    for (name, text) in texts {
        set(all, &["selector", name], text.as_ref());
    }
    let hosts: Result<Vec<String>, ClientError> =
        flags.host.iter().map(|host| ctx.host(host)).collect();
    let lists =
        [("incidents", flags.incident.clone()), ("hosts", hosts?), ("roles", flags.role.clone())];
    for (name, list) in lists {
        set(all, &["selector", name], (!list.is_empty()).then_some(list));
    }
    for (name, pairs) in [("labels", &flags.label), ("without", &flags.without)] {
        let read: Result<Map<String, Value>> =
            pairs.iter().map(|pair| label(pair).map(|(k, v)| (k, json!(v)))).collect();
        let read = read?;
        set(all, &["selector", name], (!read.is_empty()).then_some(read));
    }
    Ok(())
}

fn what(all: &mut Map<String, Value>, flags: &What) {
    let named = flags.remediation.as_ref().map(|id| json!({ "remediation": { "id": id } }));
    let remedy = if flags.verify_only { Some(json!("verify_only")) } else { named };
    set(all, &["remedy"], remedy);
    set(all, &["max_risk"], flags.max_risk.as_ref());
    set(all, &["max_hosts"], flags.max_hosts);
    set(all, &["reboot"], flags.reboot.as_ref());
    set(all, &["restart", "notice"], flags.restart.notice.as_ref());
    set(all, &["restart", "deferrals"], flags.restart.deferrals);
}

fn when(all: &mut Map<String, Value>, flags: &When) -> Result<()> {
    let once = flags.at.as_ref().map(|at| json!({ "once": { "at": at } }));
    let cron = flags.cron.as_ref().map(|text| json!({ "cron": { "expression": text } }));
    let monthly = flags.monthly.as_ref().map(|text| json!({ "monthly": { "expression": text } }));
    set(all, &["schedule"], once.or(cron).or(monthly));
    let named = flags.zone.as_ref().map(|zone| json!({ "named": zone }));
    let own = flags.host_zone.as_ref().map(|zone| json!({ "host": { "fallback": zone } }));
    set(all, &["zone"], named.or(own));
    let windows: Result<Vec<Value>> =
        flags.window.iter().map(|text| window(text, flags.least_left.as_deref())).collect();
    let windows = windows?;
    set(all, &["windows"], (!windows.is_empty()).then_some(windows));
    let joining = flags.joining.as_ref().map(|until| json!({ "joining": { "until": until } }));
    set(all, &["membership"], joining);
    set(all, &["expires"], flags.expires.as_ref());
    Ok(())
}

fn pace(all: &mut Map<String, Value>, flags: &Pace) -> Result<()> {
    let waves: Result<Vec<Value>> = flags.wave.iter().map(|text| wave(text)).collect();
    let waves = waves?;
    set(all, &["waves"], (!waves.is_empty()).then_some(waves));
    set(all, &["gate", "success_percent"], flags.success);
    set(all, &["gate", "least_sample"], flags.sample);
    set(all, &["gate", "soak"], flags.soak.as_ref());
    let limits = [
        ("abort", &flags.abort),
        ("abort_in_wave", &flags.abort_in_wave),
        ("pause", &flags.pause),
        ("pause_in_wave", &flags.pause_in_wave),
        ("regressions", &flags.regressions),
    ];
    for (name, limit) in limits {
        set(all, &["thresholds", name], limit.as_ref());
    }
    set(all, &["pace", "at_once"], flags.at_once);
    set(all, &["pace", "per_minute"], flags.per_minute);
    set(all, &["pace", "site_label"], flags.site_label.as_ref());
    set(all, &["pace", "per_site"], flags.per_site);
    set(all, &["pace", "network_per_site"], flags.network_per_site);
    set(all, &["pace", "group_label"], flags.group_label.as_ref());
    Ok(())
}

/// `5`, `10%`, `all`, `5:ring=canary`.
fn wave(text: &str) -> Result<Value> {
    let Some((share, pair)) = text.split_once(':') else { return Ok(json!({ "share": text })) };
    let (key, value) = label(pair)?;
    Ok(json!({ "share": share, "label": [key, value] }))
}

/// `mon-fri 22:00-04:00`.
fn window(text: &str, least_left: Option<&str>) -> Result<Value> {
    let parts = text.trim().rsplit_once(' ').and_then(|(days, span)| {
        let (start, end) = span.split_once('-')?;
        Some((days.trim(), start, end))
    });
    let Some((days, start, end)) = parts else {
        let shown = output::clean(text);
        return Err(usage(&format!(
            "window \"{shown}\": write \"DAYS START-END\", such as \"mon-fri 22:00-04:00\""
        )));
    };
    let mut window = json!({ "days": days, "start": start, "end": end });
    if let Some(least) = least_left {
        window["least_left"] = json!(least);
    }
    Ok(window)
}

/// `KEY=VALUE`.
pub(super) fn label(text: &str) -> Result<(String, String)> {
    match text.split_once('=') {
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None => Err(usage(&format!("label \"{}\": write KEY=VALUE", output::clean(text)))),
    }
}

fn read(path: &std::path::Path) -> Result<Map<String, Value>> {
    let mut text = String::new();
    let shown = path.display();
    if path.as_os_str() == "-" {
        std::io::stdin().take(MOST).read_to_string(&mut text).context("standard input")?;
    } else {
        let file = std::fs::File::open(path).with_context(|| format!("cannot read {shown}"))?;
        file.take(MOST)
            .read_to_string(&mut text)
            .with_context(|| format!("cannot read {shown}"))?;
    }
    let value: Value = if text.trim_start().starts_with('{') {
        serde_json::from_str(&text).with_context(|| format!("{shown} is no JSON"))?
    } else {
        let table: toml::Table =
            text.parse().with_context(|| format!("{shown} is neither TOML nor JSON"))?;
        serde_json::to_value(table).with_context(|| format!("{shown} cannot be sent"))?
    };
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(usage(&format!("{shown}: a definition is a table of fields"))),
    }
}

/// Sets a field where there is a value for it.
fn set(all: &mut Map<String, Value>, path: &[&str], value: Option<impl serde::Serialize>) {
    let Some(value) = value else { return };
    let (Some(last), parents) = (path.last(), &path[..path.len().saturating_sub(1)]) else {
        return;
    };
    let mut at = all;
    for name in parents {
        let next = at.entry(*name).or_insert_with(|| json!({}));
        if !next.is_object() {
            *next = json!({});
        }
        let Value::Object(map) = next else { return };
        at = map;
    }
    at.insert((*last).to_owned(), json!(value));
}

fn usage(text: &str) -> anyhow::Error {
    ClientError::Usage(text.to_owned()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waves_and_windows_read_as_people_write_them() {
        assert_eq!(wave("10%").expect("a wave"), json!({ "share": "10%" }));
        let canary = json!({ "share": "5", "label": ["ring", "canary"] });
        assert_eq!(wave("5:ring=canary").expect("a wave"), canary);
        assert!(wave("5:canary").is_err());
        let night =
            json!({ "days": "mon-fri", "start": "22:00", "end": "04:00", "least_left": "1h" });
        assert_eq!(window("mon-fri 22:00-04:00", Some("1h")).expect("a window"), night);
        for bad in ["22:00-04:00", "mon-fri 22:00", ""] {
            assert!(window(bad, None).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_flag_stands_over_the_file_and_keeps_the_rest_of_it() {
        let mut all = Map::new();
        all.insert("gate".to_owned(), json!({ "soak": "2h", "success_percent": 80 }));
        set(&mut all, &["gate", "soak"], Some("5m"));
        set(&mut all, &["gate", "least_sample"], None::<u32>);
        set(&mut all, &["pace", "at_once"], Some(3));
        let wanted = json!({
            "gate": { "soak": "5m", "success_percent": 80 }, "pace": { "at_once": 3 },
        });
        assert_eq!(Value::Object(all), wanted);
    }
}
