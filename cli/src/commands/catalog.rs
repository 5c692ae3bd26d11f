//! `fleetmend catalog`: works without a server.

use anyhow::Result;
use serde_json::{Value, json};

use crate::args::Output;
use crate::output;

/// Checks the compiled-in catalogue; false where something is wrong.
pub(crate) fn lint(form: Output) -> Result<bool> {
    let catalogue = fleetmend_catalog::builtin();
    let problems: Vec<Value> = fleetmend_catalog::lint(catalogue)
        .into_iter()
        .map(|p| json!({ "place": p.place, "problem": p.message }))
        .collect();
    match form {
        Output::Json => {
            output::json(&json!({ "catalogue": catalogue.version, "problems": problems }))?;
        }
        Output::Csv => output::csv(&problems, &[("place", "/place"), ("problem", "/problem")])?,
        Output::Table => {
            let columns = [("PLACE", "/place"), ("PROBLEM", "/problem")];
            let good = format!(
                "The catalogue {} is in order: {} codes, {} causes, {} probes, {} remediations.",
                catalogue.version,
                catalogue.codes.len(),
                catalogue.causes.len(),
                catalogue.probes.len(),
                catalogue.remediations.len()
            );
            output::table(&problems, &columns, &good)?;
        }
    }
    Ok(problems.is_empty())
}
