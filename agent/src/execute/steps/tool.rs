//! `tool.run`: a system program in its one fixed form, by its absolute path.

use fleetmend_core::step::Tool;
use fleetmend_core::words::Slug;

use super::as_unit::{AsUnit, as_unit};
use super::{AfterCrash, Applied, Bench, Checked, StepError, UndoRecord, plain_name, program};
use crate::platform::{Exit, Rejoined};

pub(super) async fn check(
    tool: Tool,
    value_from: Option<&Slug>,
    bench: &Bench<'_>,
) -> Result<Checked, StepError> {
    let (path, arguments) = arguments(tool, value_from, bench).await?;
    // systemd-run names the program that it is to run after its own options.
    let inner = arguments.iter().skip_while(|a| *a != "--").nth(1);
    for path in [Some(&path), inner].into_iter().flatten().filter(|p| p.starts_with('/')) {
        if !bench.platform.root().join(path.trim_start_matches('/')).is_file() {
            return Err(StepError::Impossible(format!("{path} is not on this host")));
        }
    }
    Ok(Checked::Todo(UndoRecord::Nothing))
}

pub(super) async fn apply(
    tool: Tool,
    value_from: Option<&Slug>,
    bench: &Bench<'_>,
) -> Result<Applied, StepError> {
    let (path, arguments) = arguments(tool, value_from, bench).await?;
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let program = program(bench, &path, &arguments);
    let exit = bench.log.run_kept(bench.platform, &program, bench.kept).await;
    judge(
        tool,
        &exit.map_err(|error| StepError::Impossible(format!("{path} cannot be run: {error}")))?,
        bench,
    )
}

/// A program that ran when the agent was stopped: how it ended, if that can be known. One that still
/// runs is waited for, and never started beside itself.
pub(super) async fn after_crash(tool: Tool, bench: &Bench<'_>) -> AfterCrash {
    let why = match bench.log.rejoin(bench.platform, bench.kept).await {
        Ok(Rejoined::NeverBegan) => return AfterCrash::NotDone,
        Ok(Rejoined::Ended(exit)) => return AfterCrash::Ended(judge(tool, &exit, bench)),
        Ok(Rejoined::Lost(why)) => why,
        Err(error) => error.to_string(),
    };
    if tool.changes() {
        AfterCrash::Unclear(format!("{tool}: {why}, and it is not run again by itself"))
    } else {
        AfterCrash::NotDone
    }
}

fn judge(tool: Tool, exit: &Exit, bench: &Bench<'_>) -> Result<Applied, StepError> {
    let path = program_of(tool);
    if exit.timed_out {
        let detail = format!("{path} was ended: it took longer than {} s", bench.timeout.as_secs());
        return Err(StepError::Failed { detail, exit: exit.status });
    }
    match exit.status {
        Some(status) if tool.success().contains(&status) => {
            Ok(Applied { detail: format!("exit {status}"), exit: Some(status) })
        }
        Some(status) => {
            let detail = format!("{path} ended with exit {status}: {}", last_words(&exit.text()));
            Err(StepError::Failed { detail, exit: Some(status) })
        }
        None => Err(StepError::failed(format!("{path} was ended by a signal"))),
    }
}

/// The program's path on this host.
fn program_of(tool: Tool) -> String {
    tool.command().0.replace("%System32%", "/Windows/System32")
}

async fn arguments(
    tool: Tool,
    value_from: Option<&Slug>,
    bench: &Bench<'_>,
) -> Result<(String, Vec<String>), StepError> {
    let (_, fixed) = tool.command();
    let path = program_of(tool);
    let mut arguments = Vec::new();
    let mut at_the_end = Vec::new();
    for argument in fixed {
        if !matches!(*argument, "{value}" | "{as_unit}") {
            arguments.push((*argument).to_owned());
            continue;
        }
        let value = value_from.and_then(|probe| bench.values.get(probe));
        let Some(value) = value else {
            return Err(StepError::Impossible(format!(
                "{tool} needs the value of evidence that this agent collected, and the order names none"
            )));
        };
        if !plain_name(value) {
            return Err(StepError::Impossible(format!("{tool}: \"{value}\" is no plain name")));
        }
        if *argument == "{value}" {
            arguments.push(value.clone());
            continue;
        }
        let AsUnit { before, after } = as_unit(value, tool, bench).await?;
        arguments.extend(before);
        at_the_end = after;
    }
    arguments.extend(at_the_end);
    Ok((path, arguments))
}

/// The last lines of an output, for a detail of one line.
fn last_words(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let tail = lines.len().saturating_sub(3);
    let words = lines[tail..].join(" / ");
    fleetmend_core::words::cut(&words, 600).to_owned()
}
