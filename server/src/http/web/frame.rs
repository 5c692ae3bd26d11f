//! What every page has: language, person, search box, and the small pieces that templates print.

use fleetmend_core::time::Timestamp;
use fleetmend_core::token::Permission;
use fleetmend_store::HaltMark;

use super::i18n::Words;
use super::paint;
use crate::http::auth::{Caller, How};
use crate::http::call::Call;
use fleetmend_core::knowledge::Lang;

/// What is known of a request that failed, for the page that says so: its visitor keeps the
/// navigation and the search box.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    /// Who asked, where the credential was good.
    pub(crate) caller: Option<Caller>,
    /// The words of the reader's language.
    pub(crate) words: Words,
    /// When.
    pub(crate) now: Timestamp,
    /// Whether it asked for a change.
    pub(crate) changes: bool,
    /// Where the reader wanted to go; `/` after a form.
    pub(crate) path: String,
    /// Who halted the fleet, where it is halted.
    pub(crate) halt: Option<HaltMark>,
}

/// Who looks at a page.
#[derive(Debug, Clone)]
pub(crate) struct Who {
    /// The user's or the token's name.
    pub(crate) name: String,
    /// Its role.
    pub(crate) role: &'static str,
    /// Whether it is a user, who has a password.
    pub(crate) person: bool,
}

/// A moment, however deep a template's loops refer to it.
pub(crate) trait Moment {
    /// It.
    fn moment(&self) -> Timestamp;
}

impl Moment for Timestamp {
    fn moment(&self) -> Timestamp {
        *self
    }
}

impl<T: Moment> Moment for &T {
    fn moment(&self) -> Timestamp {
        (*self).moment()
    }
}

/// What every page has. Templates call it `p`.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// The words of the reader's language.
    pub(crate) t: Words,
    /// Who looks.
    pub(crate) who: Option<Who>,
    /// What the forms of this session carry.
    pub(crate) form_token: String,
    /// The place in the navigation.
    pub(crate) at: &'static str,
    /// What stands in the search box.
    pub(crate) search: String,
    /// Now.
    pub(crate) now: Timestamp,
    /// Whether the person may order, cancel, ignore.
    pub(crate) may_remediate: bool,
    /// Whether the person may accept and revoke hosts.
    pub(crate) may_hosts: bool,
    /// Whether the person may make enrolment tokens.
    pub(crate) may_enroll: bool,
    /// Whether the person may write and start campaigns and freezes.
    pub(crate) may_author: bool,
    /// Whether the person may approve what others wrote.
    pub(crate) may_approve: bool,
    /// Whether the person may halt the fleet.
    pub(crate) may_halt: bool,
    /// Who halted the fleet, where it is halted.
    pub(crate) halt: Option<HaltMark>,
    /// Whether the person may make users.
    pub(crate) may_people: bool,
    /// The page's own address without its language.
    address: String,
}

impl Frame {
    /// The frame of a call's page.
    pub(crate) fn new(call: &Call, at: &'static str) -> Self {
        let mut frame = Self::of(call.caller.as_ref(), call.words, call.now);
        frame.at = at;
        frame.halt = call.shared().halt.standing().first().cloned();
        frame.address = address(&call.raw_path, &call.raw_query);
        frame
    }

    /// The frame of a page that tells of an error.
    pub(crate) fn of_error(visit: &Visit) -> Self {
        let mut frame = Self::of(visit.caller.as_ref(), visit.words, visit.now);
        frame.address = address(&visit.path, "");
        frame.halt.clone_from(&visit.halt);
        frame
    }

    fn of(caller: Option<&Caller>, t: Words, now: Timestamp) -> Self {
        let may = |permission| caller.is_some_and(|c| c.require(permission).is_ok());
        Self {
            t,
            who: caller.map(|c| Who {
                name: c.name.clone(),
                role: c.role.as_str(),
                person: c.how == How::Session,
            }),
            form_token: caller.map(Caller::form_token).unwrap_or_default(),
            at: "",
            search: String::new(),
            now,
            may_remediate: may(Permission::Remediate),
            may_hosts: may(Permission::ManageHosts),
            may_enroll: may(Permission::Enroll),
            may_author: may(Permission::Author),
            // No token approves, whatever its role.
            may_approve: may(Permission::Approve),
            may_halt: may(Permission::Halt),
            halt: None,
            may_people: may(Permission::ManagePeople),
            address: "/?".to_owned(),
        }
    }

    /// This page in the other language. Forms answer elsewhere: their page begins anew.
    pub(crate) fn other_lang(&self) -> String {
        format!("{}lang={}", self.address, self.other_code())
    }

    /// The other language's code.
    pub(crate) fn other_code(&self) -> &'static str {
        match self.t.0 {
            Lang::En => "ru",
            Lang::Ru => "en",
        }
    }

    /// Who moved a campaign, for people: a person's name, or that it did so by its own rules.
    pub(crate) fn moved_by<'a>(&self, who: &'a str) -> &'a str {
        if who.starts_with("campaign ") { self.t.s("camp.itself") } else { who }
    }

    /// A moment: how long ago, and exactly on hover. Safe as HTML: all of it is our own.
    pub(crate) fn when(&self, at: impl Moment) -> String {
        let at = at.moment();
        format!(
            "<time datetime=\"{at}\" title=\"{}\">{}</time>",
            self.t.exact(at),
            self.t.ago(at, self.now)
        )
    }

    /// A word of a closed set as a badge: word, shape and colour. Safe as HTML: anything but
    /// letters, digits and `_` is left out.
    pub(crate) fn badge(&self, set: &str, word: impl std::fmt::Display) -> String {
        let word: String = word
            .to_string()
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
            .take(40)
            .collect();
        let (tone, shape) = paint::tone(set, &word);
        let text = self.t.word(set, &word);
        format!(
            "<span class=\"badge {tone}\" title=\"{word}\"><span aria-hidden=\"true\">{shape}</span> {text}</span>"
        )
    }

    /// A symbol or slug that may break after an underscore or dot, and nowhere else. Safe as HTML.
    #[expect(clippy::unused_self, reason = "templates reach it through the page")]
    pub(crate) fn sym(&self, text: impl std::fmt::Display) -> String {
        // None of these stands in what was escaped.
        super::said::escaped(&text.to_string()).replace('_', "_<wbr>").replace('.', ".<wbr>")
    }

    /// The label of simulated hosts. Safe as HTML.
    pub(crate) fn simulated(&self) -> String {
        format!("<span class=\"badge simulated\">{}</span>", self.t.s("simulated"))
    }
}

/// An address that a parameter can be added to, without its language.
fn address(path: &str, query: &str) -> String {
    let mut address = format!("{path}?");
    for pair in query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("lang=")) {
        address.push_str(pair);
        address.push('&');
    }
    address
}
