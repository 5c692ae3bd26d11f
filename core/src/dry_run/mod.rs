//! What a remediation would do, said before anything is done: each service, path, registry value and
//! program, in order, with each step's undo and time, and what would hold it up. Pure: it is read from
//! the catalogue, so that it is the same on the server, in the command line and on the host.

mod phrases;
mod steps;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::knowledge::{Catalogue, Lang, Remediation, Risk};
use crate::step::Undo;
use crate::words;
use crate::words::Slug;

words! {
    /// The kinds of things that a step may touch.
    pub enum Touched ("touched thing") {
        /// A service or unit.
        Service = "service",
        /// A file or folder.
        Path = "path",
        /// A value of the registry.
        Registry = "registry",
        /// A program with its arguments.
        Program = "program",
        /// Another part of the system: its firewall, its update agent…
        System = "system",
    }
}

/// One thing that a step touches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touch {
    /// What kind of thing it is.
    pub kind: Touched,
    /// Its name, path, or command line.
    pub name: String,
}

/// One step of a dry run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DryStep {
    /// Its kind: `service.stop`, `tool.run`…
    pub kind: String,
    /// What it would do, as a sentence.
    pub does: String,
    /// What it would touch.
    pub touches: Vec<Touch>,
    /// How far it can be taken back.
    pub undo: Undo,
    /// How, or why not.
    pub undoing: String,
    /// Seconds after which it is stopped.
    pub timeout_s: u32,
    /// Whether it runs although an earlier step failed.
    pub always: bool,
}

impl DryStep {
    /// What it touches, how it is taken back and how long it may take, a line each.
    pub fn details(&self, lang: Lang) -> Vec<String> {
        let touched =
            |touch: &Touch| format!("{}: {}", phrases::touched(touch.kind, lang), touch.name);
        let mut lines: Vec<String> = self.touches.iter().map(touched).collect();
        lines.push(format!("{}: {}", lang.pick("undo", "отмена"), self.undoing));
        let time = phrases::time(self.timeout_s, lang);
        lines.push(format!("{}: {time}", lang.pick("at most", "не дольше")));
        if self.always {
            let words = lang
                .pick("done whatever happened before", "выполняется, что бы ни случилось раньше");
            lines.push(words.to_owned());
        }
        lines
    }
}

/// What a remediation would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DryRun {
    /// The remediation.
    pub id: Slug,
    /// Its version.
    pub version: u32,
    /// The language of the texts.
    pub lang: Lang,
    /// Its name.
    pub name: String,
    /// What it does and what not.
    pub explanation: String,
    /// What holds for all of it: risk, restart, network, blockers, proof; a line each.
    pub facts: Vec<String>,
    /// Its steps in order; none where an agent does nothing.
    pub steps: Vec<DryStep>,
    /// What a person does; for *refused*, why not, and the better way.
    pub guide: Vec<String>,
}

/// Says what `remediation` would do.
pub fn dry_run(cat: &Catalogue, remediation: &Remediation, lang: Lang) -> DryRun {
    let steps = remediation.steps.iter().map(|step| DryStep {
        kind: step.action.kind().to_owned(),
        does: steps::does(cat, &step.action, lang),
        touches: steps::touches(cat, &step.action, lang),
        undo: step.action.undo(),
        undoing: steps::undoing(&step.action, lang),
        timeout_s: step.timeout_s,
        always: step.always,
    });
    DryRun {
        id: remediation.id.clone(),
        version: remediation.version,
        lang,
        name: remediation.name.get(lang).to_owned(),
        explanation: remediation.explanation.get(lang).to_owned(),
        facts: phrases::facts(cat, remediation, lang),
        steps: steps.collect(),
        guide: remediation.guide.iter().map(|text| text.get(lang).to_owned()).collect(),
    }
}

impl fmt::Display for DryRun {
    /// As text for a terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lang = self.lang;
        writeln!(
            f,
            "{}  [{}, {} {}]",
            self.name,
            self.id,
            lang.pick("version", "версия"),
            self.version
        )?;
        writeln!(f, "{}", self.explanation)?;
        for fact in &self.facts {
            writeln!(f, "- {fact}")?;
        }
        for (index, step) in self.steps.iter().enumerate() {
            writeln!(f, "\n{}. {}", index + 1, step.does)?;
            for line in step.details(lang) {
                writeln!(f, "   {line}")?;
            }
        }
        for (index, line) in self.guide.iter().enumerate() {
            let gap = if index == 0 { "\n" } else { "" };
            writeln!(f, "{gap}{}. {line}", index + 1)?;
        }
        Ok(())
    }
}

impl DryRun {
    /// Whether an agent would do anything.
    pub fn acts(&self) -> bool {
        !self.steps.is_empty()
    }
}

/// Whether people, not agents, are told to do it.
fn is_for_people(risk: Risk) -> bool {
    matches!(risk, Risk::Guided | Risk::Refused)
}

#[cfg(test)]
mod tests;
