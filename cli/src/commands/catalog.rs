//! `fleetmend catalog`: works without a server.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use fleetmend_catalog::LintProblem;
use fleetmend_core::knowledge::Catalogue;
use serde_json::{Value, json};

use crate::args::Output;
use crate::client::ClientError;
use crate::output;

/// Files of a catalogue that are read.
const FILES: usize = 1_000;
/// The largest of them, in bytes.
const FILE_BYTES: u64 = 4 << 20;

/// Checks the catalogue of a folder, or the compiled-in one; false where something is wrong.
pub(crate) fn lint(folder: Option<&Path>, form: Output) -> Result<bool> {
    let read;
    let (catalogue, found): (&Catalogue, Vec<LintProblem>) = if let Some(folder) = folder {
        let files = files(folder)?;
        let (parsed, mut problems) = fleetmend_catalog::parse(&as_files(&files));
        problems.extend(fleetmend_catalog::lint(&parsed));
        read = parsed;
        (&read, problems)
    } else {
        let builtin = fleetmend_catalog::builtin();
        (builtin, fleetmend_catalog::lint(builtin))
    };
    let problems: Vec<Value> =
        found.into_iter().map(|p| json!({ "place": p.place, "problem": p.message })).collect();
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

/// Reads and checks a catalogue: the TOML files of a folder and of the folders in it.
pub(crate) fn load(folder: &Path) -> Result<Catalogue> {
    fleetmend_catalog::load(&as_files(&files(folder)?)).map_err(|problems| {
        let shown: Vec<String> = problems.iter().take(5).map(ToString::to_string).collect();
        anyhow::anyhow!(
            "the catalogue is not in order, {} problems: {}",
            problems.len(),
            shown.join(" / ")
        )
    })
}

fn as_files(files: &[(String, String)]) -> Vec<fleetmend_catalog::File<'_>> {
    files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect()
}

/// The TOML files of a folder and of the folders in it, by name.
fn files(folder: &Path) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    collect(folder, folder, &mut files, 2)?;
    files.sort();
    if files.is_empty() {
        let shown = folder.display();
        return Err(ClientError::Usage(format!("--catalog {shown}: no .toml file is there")).into());
    }
    Ok(files)
}

fn collect(top: &Path, folder: &Path, files: &mut Vec<(String, String)>, depth: u32) -> Result<()> {
    let shown = |path: &PathBuf| format!("--catalog {}", path.display());
    let entries = std::fs::read_dir(folder).with_context(|| shown(&folder.to_owned()))?;
    for entry in entries {
        let path = entry.with_context(|| shown(&folder.to_owned()))?.path();
        if path.is_dir() && depth > 1 {
            collect(top, &path, files, depth - 1)?;
        } else if path.extension().is_some_and(|ext| ext == "toml") {
            let size = std::fs::metadata(&path).with_context(|| shown(&path))?.len();
            if size > FILE_BYTES || files.len() >= FILES {
                bail!("{}: at most {FILES} files of {FILE_BYTES} bytes are read", shown(&path));
            }
            let text = std::fs::read_to_string(&path).with_context(|| shown(&path))?;
            let name = path.strip_prefix(top).unwrap_or(&path).display().to_string();
            files.push((name, text));
        }
    }
    Ok(())
}
