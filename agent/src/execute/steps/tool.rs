//! `tool.run` and `backup.run`: a system program in its one fixed form, by its absolute path.

use fleetmend_core::knowledge::Lang;
use fleetmend_core::step::{Action, Step, Tool};
use fleetmend_core::words::Slug;

use super::as_unit::{AsUnit, as_unit};
use super::{AfterCrash, Applied, Bench, Checked, StepError, UndoRecord, plain_name, program};
use crate::platform::{Exit, Rejoined};

/// A program in its one form, for this host.
struct Call {
    path: String,
    arguments: Vec<String>,
    /// Exit codes that mean success.
    success: &'static [i32],
    /// Whether it changes the host.
    changes: bool,
}

pub(super) async fn check(action: &Action, bench: &Bench<'_>) -> Result<Checked, StepError> {
    if let Action::ToolRun { tool, .. } = action
        && let Some(why) = passed_over(*tool, bench)?
    {
        return Ok(Checked::AlreadySo(why));
    }
    let Call { path, arguments, .. } = call(action, bench).await?;
    // systemd-run names the program that it is to run after its own options.
    let runs_another = path.ends_with("/systemd-run");
    let inner = arguments.iter().skip_while(|a| *a != "--").nth(1).filter(|_| runs_another);
    for path in [Some(&path), inner].into_iter().flatten().filter(|p| p.starts_with('/')) {
        if !bench.platform.root().join(path.trim_start_matches('/')).is_file() {
            return Err(StepError::Impossible(format!("{path} is not on this host")));
        }
    }
    Ok(Checked::Todo(UndoRecord::Nothing))
}

pub(super) async fn apply(action: &Action, bench: &Bench<'_>) -> Result<Applied, StepError> {
    let call = call(action, bench).await?;
    let arguments: Vec<&str> = call.arguments.iter().map(String::as_str).collect();
    let program = program(bench, &call.path, &arguments);
    let exit = bench.log.run_kept(bench.platform, &program, bench.kept).await;
    let exit = exit
        .map_err(|error| StepError::Impossible(format!("{} cannot be run: {error}", call.path)))?;
    judge(&call, &exit, bench)
}

/// A program that ran when the agent was stopped: how it ended, if that can be known. One that still
/// runs is waited for, and never started beside itself.
pub(super) async fn after_crash(action: &Action, bench: &Bench<'_>) -> AfterCrash {
    let call = match call(action, bench).await {
        Ok(call) => call,
        Err(error) => return AfterCrash::Unclear(error.to_string()),
    };
    let why = match bench.log.rejoin(bench.platform, bench.kept).await {
        Ok(Rejoined::NeverBegan) => return AfterCrash::NotDone,
        Ok(Rejoined::Ended(exit)) => return AfterCrash::Ended(judge(&call, &exit, bench)),
        Ok(Rejoined::Lost(why)) => why,
        Err(error) => error.to_string(),
    };
    if call.changes {
        let title = action.title();
        AfterCrash::Unclear(format!("{title}: {why}, and it is not run again by itself"))
    } else {
        AfterCrash::NotDone
    }
}

/// Why nothing of a remediation can be done on this version of the system, where nothing can: all its
/// steps run programs that it has not got.
pub(in crate::execute) fn none_is_there(steps: &[Step], build: &str) -> Option<String> {
    let mut tools = steps.iter().map(|step| match &step.action {
        Action::ToolRun { tool, .. } => not_there(*tool, build),
        _ => None,
    });
    let first = tools.next().flatten();
    first.filter(|_| tools.all(|why| why.is_some()))
}

/// Why a program has nothing to do on this version of the system, where it has not.
fn passed_over(tool: Tool, bench: &Bench<'_>) -> Result<Option<String>, StepError> {
    if tool.builds().is_empty() {
        return Ok(None);
    }
    let facts = bench.platform.facts();
    let facts = facts.map_err(|e| StepError::Impossible(format!("what is this system? {e}")))?;
    Ok(not_there(tool, &facts.os_build))
}

fn not_there(tool: Tool, build: &str) -> Option<String> {
    let instead = tool.instead(Lang::En).map(|words| format!(". {words}")).unwrap_or_default();
    (!tool.is_on(build)).then(|| format!("{tool} does nothing on build {build}{instead}"))
}

fn judge(call: &Call, exit: &Exit, bench: &Bench<'_>) -> Result<Applied, StepError> {
    let path = &call.path;
    if exit.timed_out {
        let detail = format!("{path} was ended: it took longer than {} s", bench.timeout.as_secs());
        return Err(StepError::Failed { detail, exit: exit.status });
    }
    match exit.status {
        Some(status) if call.success.contains(&status) => {
            Ok(Applied { detail: format!("exit {status}"), exit: Some(status) })
        }
        Some(status) => {
            let detail = format!("{path} ended with exit {status}: {}", last_words(&exit.text()));
            Err(StepError::Failed { detail, exit: Some(status) })
        }
        None => Err(StepError::failed(format!("{path} was ended by a signal"))),
    }
}

async fn call(action: &Action, bench: &Bench<'_>) -> Result<Call, StepError> {
    let (program, arguments, success, changes) = match action {
        Action::ToolRun { tool, value_from } => {
            let arguments = arguments(*tool, value_from.as_ref(), bench).await?;
            (tool.command().0, arguments, tool.success(), tool.changes())
        }
        Action::BackupRun { backup } => {
            let (program, fixed) = backup.command();
            (program, fixed.iter().map(|a| (*a).to_owned()).collect(), &[0][..], true)
        }
        _ => return Err(StepError::Impossible("no step that runs a program".to_owned())),
    };
    let path = program.replace("%System32%", "/Windows/System32");
    Ok(Call { path, arguments, success, changes })
}

async fn arguments(
    tool: Tool,
    value_from: Option<&Slug>,
    bench: &Bench<'_>,
) -> Result<Vec<String>, StepError> {
    let mut arguments = Vec::new();
    let mut at_the_end = Vec::new();
    for argument in tool.command().1 {
        match *argument {
            "{value}" => arguments.push(value(tool, value_from, bench)?),
            "{as_unit}" => {
                let unit = value(tool, value_from, bench)?;
                let AsUnit { before, after } = as_unit(&unit, tool, bench).await?;
                arguments.extend(before);
                // Ending systemd-run does not end what systemd runs for it.
                let most = format!("RuntimeMaxSec={}", bench.timeout.as_secs());
                arguments.extend(["-p".to_owned(), most]);
                at_the_end = after;
            }
            plain => arguments.push(plain.to_owned()),
        }
    }
    arguments.extend(at_the_end);
    Ok(arguments)
}

fn value(tool: Tool, from: Option<&Slug>, bench: &Bench<'_>) -> Result<String, StepError> {
    match from.and_then(|probe| bench.values.get(probe)) {
        Some(value) if plain_name(value) => Ok(value.clone()),
        Some(value) => Err(StepError::Impossible(format!("{tool}: \"{value}\" is no plain name"))),
        None => Err(StepError::Impossible(format!(
            "{tool} needs the value of evidence that this agent collected, and the order names none"
        ))),
    }
}

/// The last lines of an output, for a detail of one line.
fn last_words(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let tail = lines.len().saturating_sub(3);
    let words = lines[tail..].join(" / ");
    fleetmend_core::words::cut(&words, 600).to_owned()
}
