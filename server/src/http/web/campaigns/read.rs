//! From the form's texts to a definition. What cannot be read is noted at its field, and never read as
//! its default.

use std::fmt::Display;
use std::str::FromStr;

use fleetmend_core::campaign::{Definition, Membership, Remedy, Schedule, Wave, Window, Zone};
use fleetmend_core::code::FailureCode;
use fleetmend_core::host::Labels;
use fleetmend_core::knowledge::Catalogue;
use fleetmend_core::span::Span;
use fleetmend_core::words::Slug;

use super::form::Form;

impl Form {
    /// The definition that the texts make. What the form does not show is kept from `base`. `code`
    /// reads a code in any spelling. What is wrong is noted at its field.
    pub(crate) fn definition(
        &mut self,
        base: Definition,
        catalogue: &Catalogue,
        code: impl Fn(&str) -> Result<FailureCode, String>,
    ) -> Definition {
        let mut d = base;
        self.forgive();
        d.name = self.value("name").to_owned();
        d.reason = self.value("reason").to_owned();
        d.change = self.given("change");
        d.standard_change = self.given("standard_change");
        self.read_selector(&mut d, code);
        d.max_hosts = self.optional("max_hosts");
        self.read_remedy(&mut d, catalogue);
        self.read("max_risk", &mut d.max_risk);
        self.read("reboot", &mut d.reboot);
        self.read("notice", &mut d.restart.notice);
        self.read("deferrals", &mut d.restart.deferrals);
        self.read_when(&mut d);
        self.read_waves(&mut d);
        self.read("success", &mut d.gate.success_percent);
        self.read("sample", &mut d.gate.least_sample);
        self.read("soak", &mut d.gate.soak);
        self.read("pause", &mut d.thresholds.pause);
        self.read("pause_in_wave", &mut d.thresholds.pause_in_wave);
        self.read("abort", &mut d.thresholds.abort);
        self.read("abort_in_wave", &mut d.thresholds.abort_in_wave);
        self.read("regressions", &mut d.thresholds.regressions);
        self.read("at_once", &mut d.pace.at_once);
        d.pace.per_minute = self.optional("per_minute");
        self.read("site", &mut d.pace.site_label);
        d.pace.per_site = self.optional("at_site");
        self.read("per_site", &mut d.pace.network_per_site);
        d.pace.group_label = self.given("group");
        d
    }

    fn read_selector(
        &mut self,
        d: &mut Definition,
        code: impl Fn(&str) -> Result<FailureCode, String>,
    ) {
        d.selector.product = self.optional("product");
        d.selector.operation = self.optional("operation");
        d.selector.code = match self.given("code").map(|text| code(&text)).transpose() {
            Ok(code) => code,
            Err(why) => {
                self.wrong("code", why);
                None
            }
        };
        d.selector.cause = self.slug("cause");
        d.selector.kb = self.given("kb");
        d.selector.labels = self.labels("label");
        d.selector.without = self.labels("without");
        d.selector.os = self.optional("os");
        d.selector.build = self.given("build");
        d.selector.roles = self.value("role").split_whitespace().map(str::to_owned).collect();
    }

    fn read_remedy(&mut self, d: &mut Definition, catalogue: &Catalogue) {
        d.remedy = match self.value("remedy") {
            "" | "plan" => Remedy::Plan,
            "verify" => Remedy::VerifyOnly,
            _ => match self.slug("remedy") {
                Some(id) => {
                    let known = catalogue.remediations.get(&id);
                    let version = known.map_or(1, |remediation| remediation.version);
                    Remedy::Remediation { id, version, digest: String::new() }
                }
                None => Remedy::Plan,
            },
        };
    }

    fn read_when(&mut self, d: &mut Definition) {
        let at = self.value("at").to_owned();
        d.schedule = match self.value("schedule") {
            "" | "by_hand" => Schedule::ByHand,
            "once" => Schedule::Once { at },
            "cron" => Schedule::Cron { expression: at },
            "monthly" => Schedule::Monthly { expression: at },
            _ => {
                self.wrong("schedule", "write by_hand, once, monthly or cron");
                Schedule::ByHand
            }
        };
        let zone = self.given("zone").unwrap_or_else(|| "UTC".to_owned());
        d.zone = match self.value("clock") {
            "host" => Zone::Host { fallback: zone },
            _ => Zone::Named(zone),
        };
        d.membership = self
            .optional("joining")
            .map_or(Membership::Static, |until| Membership::Joining { until });
        // The form shows the first window; further ones are kept while it is.
        let has_window = ["days", "start", "end"].iter().any(|name| !self.value(name).is_empty());
        if has_window {
            let days = self.given("days").unwrap_or_else(|| "daily".to_owned());
            let (start, end) = (self.value("start").to_owned(), self.value("end").to_owned());
            let window = Window { days, start, end, least_left: self.optional("left") };
            match d.windows.first_mut() {
                Some(first) => *first = window,
                None => d.windows.push(window),
            }
        } else {
            d.windows.clear();
        }
        let mut expires = Span::days(30);
        self.read("expires", &mut expires);
        d.expires = expires;
    }

    fn read_waves(&mut self, d: &mut Definition) {
        let labels: Vec<_> = d.waves.iter().map(|wave| wave.label.clone()).collect();
        let text = self.value("waves").to_owned();
        let shares: Result<Vec<_>, _> = text.split(',').map(|part| part.trim().parse()).collect();
        match shares {
            Ok(shares) => {
                d.waves = shares
                    .into_iter()
                    .enumerate()
                    .map(|(at, share)| Wave { share, label: labels.get(at).cloned().flatten() })
                    .collect();
            }
            Err(bad) => self.wrong("waves", bad),
        }
        let canary = self.value("canary").to_owned();
        let label = canary.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned()));
        if !canary.is_empty() && label.is_none() {
            self.wrong("canary", "write KEY=VALUE");
        }
        if let Some(first) = d.waves.first_mut() {
            first.label = label;
        }
    }

    fn given(&self, name: &str) -> Option<String> {
        Some(self.value(name).to_owned()).filter(|text| !text.is_empty())
    }

    /// Reads a field into a value; an empty one leaves the default.
    fn read<T: FromStr>(&mut self, name: &'static str, into: &mut T)
    where
        T::Err: Display,
    {
        if let Some(value) = self.optional(name) {
            *into = value;
        }
    }

    fn optional<T: FromStr>(&mut self, name: &'static str) -> Option<T>
    where
        T::Err: Display,
    {
        match self.given(name)?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.wrong(name, error);
                None
            }
        }
    }

    fn slug(&mut self, name: &'static str) -> Option<Slug> {
        self.optional(name)
    }

    fn labels(&mut self, name: &'static str) -> Labels {
        let text = self.value(name).to_owned();
        let mut labels = Labels::new();
        for pair in text.split_whitespace() {
            match pair.split_once('=') {
                Some((key, value)) => {
                    labels.insert(key.to_owned(), value.to_owned());
                }
                None => self.wrong(name, "write KEY=VALUE, with spaces between"),
            }
        }
        labels
    }
}

/// The field of the form that a field of the definition is typed in.
pub(super) fn field_of(field: &str) -> &'static str {
    let starts = |with: &str| field.starts_with(with);
    // The longer names first.
    let pairs: [(&str, &'static str); 40] = [
        ("name", "name"),
        ("reason", "reason"),
        ("change", "change"),
        ("standard_change", "standard_change"),
        ("selector.product", "product"),
        ("selector.operation", "operation"),
        ("selector.code", "code"),
        ("selector.cause", "cause"),
        ("selector.kb", "kb"),
        ("selector.labels", "label"),
        ("selector.without", "without"),
        ("selector.os", "os"),
        ("selector.build", "build"),
        ("selector.roles", "role"),
        ("selector", "product"),
        ("remedy", "remedy"),
        ("max_risk", "max_risk"),
        ("max_hosts", "max_hosts"),
        ("reboot", "reboot"),
        ("restart.notice", "notice"),
        ("restart.deferrals", "deferrals"),
        ("membership", "joining"),
        ("schedule", "at"),
        ("zone", "zone"),
        ("windows", "start"),
        ("gate.success_percent", "success"),
        ("gate.least_sample", "sample"),
        ("gate.soak", "soak"),
        ("thresholds.pause_in_wave", "pause_in_wave"),
        ("thresholds.pause", "pause"),
        ("thresholds.abort_in_wave", "abort_in_wave"),
        ("thresholds.abort", "abort"),
        ("thresholds.regressions", "regressions"),
        ("pace.at_once", "at_once"),
        ("pace.per_minute", "per_minute"),
        ("pace.site_label", "site"),
        ("pace.per_site", "at_site"),
        ("pace.network_per_site", "per_site"),
        ("pace.group_label", "group"),
        ("expires", "expires"),
    ];
    if starts("waves") {
        return if field.rsplit('.').next() == Some("label") { "canary" } else { "waves" };
    }
    pairs.iter().find(|(with, _)| starts(with)).map_or("name", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use fleetmend_core::campaign::RestartNotice;

    use super::super::form::{FIELDS, blank};
    use super::*;
    use crate::http::params::Params;

    fn catalogue() -> &'static Catalogue {
        fleetmend_catalog::builtin()
    }

    fn typed(text: &str) -> Params {
        Params::read(text, FIELDS).expect("known fields")
    }

    fn read(text: &str) -> (Form, Definition) {
        let mut form = Form::of(&blank());
        form.fill(&typed(text));
        let code = |text: &str| text.parse().map_err(|_| "no code".to_owned());
        let definition = form.definition(blank(), catalogue(), code);
        form.note(&definition.validate(catalogue()));
        (form, definition)
    }

    #[test]
    fn a_definition_comes_back_from_its_form() {
        let text = "name=n&reason=r&product=apt&code=apt.lock_held&label=site%3Dnorth+a%3Db&max_risk=disruptive\
            &reboot=in_window&notice=15m&deferrals=1&days=mon-fri&start=22%3A00&end=04%3A00&left=1h&waves=2%2C+50%25%2C+all&canary=ring%3D0\
            &schedule=monthly&at=second+tuesday+%2B+3+days+22%3A00&zone=Europe%2FBerlin&clock=host&max_hosts=40\
            &abort=3&pause=2%25&per_minute=7&group=cluster&soak=30m";
        let (form, definition) = read(text);
        assert!(!form.is_bad(), "{:?}", form.bad_fields().collect::<Vec<_>>());
        let mut again = Form::of(&definition);
        let code = |text: &str| text.parse().map_err(|_| String::new());
        assert_eq!(again.definition(blank(), catalogue(), code), definition);
        assert_eq!(definition.waves[0].label, Some(("ring".to_owned(), "0".to_owned())));
        assert_eq!(definition.windows[0].least_left, Some(Span::hours(1)));
        let RestartNotice { notice, deferrals } = definition.restart;
        assert_eq!((notice.to_string().as_str(), deferrals), ("15m", 1));
    }

    #[test]
    fn what_is_wrong_is_said_at_its_field_and_nothing_is_read_as_its_default() {
        let text = "name=&product=apt&abort=5+errors&waves=1%2C+none&soak=soon&max_risk=any&at_once=many\
            &label=site&zone=Mars&schedule=cron&at=99+*+*+*+*&max_hosts=-1&code=%3F%3F";
        let (form, _) = read(text);
        let bad: Vec<&str> = form.bad_fields().map(|(name, _)| name).collect();
        assert_eq!(
            bad,
            [
                "name",
                "reason",
                "code",
                "label",
                "max_hosts",
                "max_risk",
                "at",
                "zone",
                "waves",
                "soak",
                "abort",
                "at_once"
            ]
        );
        assert_eq!(form.value("abort"), "5 errors", "what was typed stays");
    }

    #[test]
    fn every_default_is_the_cores_own() {
        let core: Definition =
            serde_json::from_value(serde_json::json!({ "name": "", "reason": "", "selector": {} }))
                .expect("a definition");
        assert_eq!(blank(), core);
    }

    #[test]
    fn every_field_of_a_definition_has_its_place_in_the_form() {
        for (field, name) in [
            ("waves[1].share", "waves"),
            ("waves[0].label", "canary"),
            ("thresholds.abort", "abort"),
            ("thresholds.pause_in_wave", "pause_in_wave"),
            ("selector", "product"),
            ("selector.labels.site", "label"),
            ("remedy.remediation.id", "remedy"),
            ("zone.host.fallback", "zone"),
            ("schedule.cron.expression", "at"),
            ("windows[0]", "start"),
            ("restart.deferrals", "deferrals"),
        ] {
            assert_eq!(field_of(field), name);
        }
    }
}
