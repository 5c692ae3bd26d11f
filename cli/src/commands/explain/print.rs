//! An explanation as text: what it is first, then why, then what helps. One screen unless more is
//! asked for.

use std::fmt::Write as _;

use fleetmend_catalog::words::{texts, word};
use fleetmend_catalog::{
    CauseTopic, CodeTopic, Context, ExplainedCause, ExplainedRemediation, Occurrence, ProbeTopic,
    RemediationTopic, Topic, Wish,
};
use fleetmend_core::knowledge::{Lang, RebootNeed, Risk};

/// The width of the text.
const WIDTH: usize = 96;
/// From so many contexts on, they are listed, and the reader is asked which one it was.
const OVERVIEW_FROM: usize = 2;
/// Causes and occurrences that are told unless all are asked for.
const SHOWN: usize = 5;

/// What the command itself says.
const EN: &str = include_str!("../../../locales/en.toml");
const RU: &str = include_str!("../../../locales/ru.toml");

/// The text of a topic; `full` leaves nothing out.
pub(super) fn text(topic: &Topic, wish: Wish, full: bool) -> String {
    let said = texts(if wish.lang == Lang::En { EN } else { RU });
    let mut page = Page { out: String::new(), lang: wish.lang, said, full };
    match topic {
        Topic::Code(told) => page.code(told, wish),
        Topic::Cause(told) => page.cause_topic(told),
        Topic::Remediation(told) => page.remediation_topic(told),
        Topic::Probe(told) => page.probe_topic(told),
    }
    page.out
}

struct Page {
    out: String,
    lang: Lang,
    said: fleetmend_catalog::words::Texts,
    full: bool,
}

impl Page {
    fn s(&self, key: &str) -> String {
        self.said.get(key).cloned().unwrap_or_else(|| key.to_owned())
    }

    fn word(&self, set: &str, of: impl std::fmt::Display) -> String {
        word(self.lang, set, of)
    }

    /// A paragraph, broken at spaces; what goes on stands under its beginning.
    fn put(&mut self, indent: usize, text: &str) {
        let mut column = 0;
        for piece in text.split_whitespace() {
            let length = piece.chars().count();
            if column > 0 && column + 1 + length > WIDTH {
                self.out.push('\n');
                column = 0;
            }
            if column == 0 {
                let _ = write!(self.out, "{:indent$}", "");
                column = indent;
            } else {
                self.out.push(' ');
                column += 1;
            }
            self.out.push_str(piece);
            column += length;
        }
        self.out.push('\n');
    }

    fn gap(&mut self) {
        self.out.push('\n');
    }

    fn code(&mut self, told: &CodeTopic, wish: Wish) {
        let known = &told.explanation;
        let symbol = known.symbol.as_deref().map(|s| format!("  {s}")).unwrap_or_default();
        // Of a code that nobody knows nothing is said, not even that it is a failure.
        let kind = if known.known { self.word("kind", known.kind) } else { self.s("kind_unknown") };
        self.put(0, &format!("{}{symbol}  ({kind})", known.code));
        if !told.changes.is_empty() {
            let changes = told.changes.join("; ");
            let key = if told.suggested { "did_you_mean" } else { "read_from" };
            let line = self.s(key).replace("{0}", &told.asked).replace("{1}", &changes);
            self.put(0, &line);
        }
        match (&known.meaning, &known.decoded) {
            (Some(meaning), _) => self.put(0, meaning),
            (None, Some(decoded)) => {
                self.put(0, &self.s("unknown"));
                self.put(0, &decoded.words);
            }
            (None, None) => self.put(0, &self.s("unknown_name")),
        }
        if let Some(detail) = &told.detail {
            let line = format!("{} {}: {}", self.s("detail"), detail.code, detail.meaning);
            self.put(0, &line);
        }
        if known.out_of_scope {
            self.put(0, &self.s("out_of_scope"));
        }
        if let Some(stage) = &told.stage {
            self.put(0, &format!("{}: {}", stage.code, stage.words));
        }
        if let Some(related) = &known.related {
            let line = format!("{} {}: {}", self.s("related"), related.code, related.meaning);
            self.put(0, &line);
        }
        if let Some(retry) = known.retry {
            self.put(0, &self.word("retry", retry));
        }
        if known.contexts.is_empty() && known.retry.is_some() {
            self.put(0, &self.s("no_cause"));
        }
        if !self.full && wish.product.is_none() && known.contexts.len() >= OVERVIEW_FROM {
            self.overview(known);
        } else {
            for context in &known.contexts {
                self.context(context);
            }
        }
        self.sources(&known.sources);
    }

    /// One line a context: where, the likeliest cause, the first help.
    fn overview(&mut self, known: &fleetmend_catalog::Explanation) {
        self.gap();
        self.put(0, &self.s("which"));
        for context in &known.contexts {
            let Some(cause) = context.causes.first() else { continue };
            let help = cause.remediations.first().map(|r| r.id.to_string()).unwrap_or_default();
            let share = cause.prior.map(percent).unwrap_or_default();
            let place = flags(context, &self.s("elsewhere"));
            let _ = writeln!(self.out, "  {place:<44} {share:>4}  {:<28} {help}", cause.id);
        }
        self.gap();
        let first = known.contexts.iter().find_map(|c| c.product.map(|of| (of, c.operation)));
        let Some((product, operation)) = first else { return };
        let operation = operation.map(|o| format!(" --operation {o}")).unwrap_or_default();
        let narrowed = format!("--product {product}{operation}");
        let ask = self.s("ask").replace("{0}", &known.code.to_string());
        self.put(0, &ask.replace("{1}", &narrowed));
    }

    fn context(&mut self, context: &Context) {
        self.gap();
        let place = match (context.product, context.operation) {
            (Some(product), Some(operation)) => {
                format!("{}: {}", self.word("product", product), self.word("operation", operation))
            }
            (Some(product), None) => self.word("product", product),
            (None, _) => self.s("elsewhere"),
        };
        let class = context.update_class.map(|c| format!(" ({})", self.word("update_class", c)));
        let class = class.unwrap_or_default();
        self.put(0, &format!("{place}{class}"));
        let most = if self.full { usize::MAX } else { SHOWN };
        for (rank, cause) in context.causes.iter().enumerate().take(most) {
            let share = cause.prior.map(percent).unwrap_or_default();
            self.put(2, &format!("{share} {}  [{}]", cause.name, cause.id));
            // The likeliest cause is told whole; the others by their names, unless all is asked for.
            if rank == 0 || self.full {
                self.cause(cause, context.product.is_none());
            } else if let Some(first) = cause.remediations.first() {
                self.put(7, &format!("→ {}: {}", first.id, first.name));
            }
        }
        let more = context.causes.len().saturating_sub(most);
        if more > 0 {
            self.put(2, &self.s("more").replace("{0}", &more.to_string()));
        }
        self.put(2, &format!("{} {}", percent(context.other), self.s("other")));
    }

    /// A cause; which products it is of is told where none is named above it.
    fn cause(&mut self, cause: &ExplainedCause, of: bool) {
        if !cause.explanation.is_empty() {
            self.put(7, &cause.explanation);
        }
        if of && !cause.products.is_empty() {
            let names: Vec<_> = cause.products.iter().map(|p| self.word("product", *p)).collect();
            self.put(7, &self.s("only_in").replace("{0}", &names.join(", ")));
        }
        for seen in &cause.recognised_by {
            let yes = self.word("strength", seen.yes);
            let no = self.word("strength", seen.no);
            let line = self.s("asked").replace("{1}", &yes).replace("{2}", &no);
            self.put(7, &format!("? {}", line.replace("{0}", &seen.name)));
        }
        for remediation in &cause.remediations {
            self.remediation_line(remediation);
        }
        if cause.remediations.is_empty() {
            self.put(7, &self.s("no_way_out"));
        }
    }

    fn remediation_line(&mut self, r: &ExplainedRemediation) {
        let facts = self.facts(r);
        let mark = if r.risk == Risk::Refused { '✕' } else { '→' };
        self.put(7, &format!("{mark} {}: {} ({facts})", r.id, r.name));
        if r.risk == Risk::Refused || self.full {
            for line in &r.guide {
                self.put(9, line);
            }
        }
    }

    /// Risk, undo, restart, minutes.
    fn facts(&self, r: &ExplainedRemediation) -> String {
        let mut facts = vec![self.word("risk", r.risk)];
        if let Some(undo) = r.undo {
            facts.push(format!("{} {}", self.s("undo"), self.word("undo", undo)));
            if r.reboot != RebootNeed::Never {
                facts.push(format!("{} {}", self.s("reboot"), self.word("reboot", r.reboot)));
            }
            facts.push(self.s("minutes").replace("{0}", &r.minutes.to_string()));
            if r.unproven {
                facts.push(self.s("unproven"));
            }
        }
        facts.join("; ")
    }

    fn cause_topic(&mut self, told: &CauseTopic) {
        self.put(0, &format!("{}  [{}]", told.cause.name, told.cause.id));
        self.cause(&told.cause, true);
        self.gap();
        self.put(0, &self.s("occurs"));
        let most = if self.full { usize::MAX } else { SHOWN * 2 };
        for occurrence in told.occurs.iter().take(most) {
            self.occurrence(occurrence);
        }
        let more = told.occurs.len().saturating_sub(most);
        if more > 0 {
            self.put(2, &self.s("more").replace("{0}", &more.to_string()));
        }
    }

    fn occurrence(&mut self, o: &Occurrence) {
        let share = o.prior.map(percent).unwrap_or_default();
        let place = match (o.product, o.operation) {
            (Some(product), Some(operation)) => format!("{product} {operation}"),
            (Some(product), None) => product.to_string(),
            (None, _) => self.s("elsewhere"),
        };
        let code = o.code.as_ref().map_or_else(|| self.s("no_code"), ToString::to_string);
        let symbol = o.symbol.as_deref().unwrap_or_default();
        let line = format!("{share:>4} {code} {symbol}  {place}");
        let _ = writeln!(self.out, "  {}", line.trim_end());
    }

    fn remediation_topic(&mut self, told: &RemediationTopic) {
        let r = &told.remediation;
        self.put(0, &format!("{}  [{} {}]", r.name, r.id, r.version));
        self.put(0, &r.explanation);
        self.put(0, &format!("{}; {}", self.word("os", r.os), self.facts(r)));
        if r.risk == Risk::Refused {
            self.put(0, &self.s("why_refused"));
        } else if !r.guide.is_empty() {
            self.put(0, &self.s("by_hand"));
        }
        for (at, line) in r.guide.iter().enumerate() {
            self.put(2, &format!("{}. {line}", at + 1));
        }
        if r.undo.is_some() {
            self.put(0, &self.s("does"));
            for (at, step) in told.dry_run.iter().enumerate() {
                self.put(2, &format!("{}. {}", at + 1, step.does));
                for line in step.details(self.lang) {
                    self.put(5, &line);
                }
            }
            let proof = self.word("verification", r.verification);
            self.put(0, &format!("{} {proof}", self.s("proved_by")));
            for blocker in &r.blockers {
                self.put(0, &format!("{} {}", self.s("waits"), blocker.name));
            }
        }
        self.gap();
        self.put(0, &self.s("against"));
        for cause in &told.causes {
            self.put(2, &format!("{}  [{}]", cause.name, cause.id));
        }
    }

    fn probe_topic(&mut self, told: &ProbeTopic) {
        self.put(0, &format!("{}  [{}]", told.name, told.id));
        self.put(0, &self.s("probe_is"));
        if told.of_the_past {
            self.put(0, &self.s("probe_past"));
        }
        let systems: Vec<String> = told.systems.iter().map(|os| self.word("os", os)).collect();
        self.put(0, &systems.join(", "));
        if let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(&told.question) {
            for (name, value) in fields {
                self.put(2, &format!("{name} = {value}"));
            }
        }
        for tells in &told.tells {
            let (yes, no) = (self.word("strength", tells.yes), self.word("strength", tells.no));
            let line = self.s("asked").replace("{1}", &yes).replace("{2}", &no);
            let name = format!("{} [{}]", tells.name, tells.cause);
            self.put(2, &line.replace("{0}", &name));
        }
        for r in &told.blocks {
            self.put(2, &self.s("blocks").replace("{0}", &r.name));
        }
    }

    fn sources(&mut self, sources: &[String]) {
        if !sources.is_empty() {
            self.gap();
            self.put(0, &format!("{} {}", self.s("sources"), sources.join("; ")));
        }
    }
}

/// The context as the command line takes it.
fn flags(context: &Context, elsewhere: &str) -> String {
    let Some(product) = context.product else { return elsewhere.to_owned() };
    let operation = context.operation.map(|o| format!(" {o}")).unwrap_or_default();
    let class = context.update_class.map(|c| format!(" ({c})")).unwrap_or_default();
    format!("{product}{operation}{class}")
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use fleetmend_catalog::{ask, builtin};

    use super::*;

    fn told(asked: &str, lang: Lang, full: bool) -> String {
        let wish = Wish::all(lang);
        text(&ask(builtin(), asked, wish).expect(asked), wish, full)
    }

    #[test]
    fn both_languages_say_the_same_things() {
        let keys = |file| texts(file).into_keys().collect::<Vec<_>>();
        assert_eq!(keys(EN), keys(RU));
    }

    /// A code of many contexts fits a screen; every line fits its width.
    #[test]
    fn one_screen_is_enough() {
        for code in ["0x80070003", "0x80070002", "0x800F081F"] {
            for lang in [Lang::En, Lang::Ru] {
                let text = told(code, lang, false);
                assert!(text.lines().count() <= 40, "{code}: {}", text.lines().count());
            }
        }
        assert!(told("0x80070003", Lang::En, true).lines().count() > 100);
    }

    #[test]
    fn no_key_shows_itself() {
        for asked in [
            "0x8007003",
            "0xC1900101 - 0x4000D",
            "0x8004DE40",
            "0xD0000034",
            "0x00000003",
            "wu_cache_corrupt",
            "clear_update_cache",
            "move_sppsvc",
            "probe:apt_lock_held",
        ] {
            for (lang, cyrillic) in [(Lang::En, false), (Lang::Ru, true)] {
                let text = told(asked, lang, true);
                for key in texts(EN).keys().filter(|k| k.contains('_')) {
                    assert!(!text.split_whitespace().any(|w| w == key), "{asked}: {key}\n{text}");
                }
                let has = text.chars().any(|c| ('а'..='я').contains(&c));
                assert!(has == cyrillic || asked.contains('-'), "{asked} in {lang}\n{text}");
            }
        }
    }
}
