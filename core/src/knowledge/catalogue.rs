//! All entries together, and what is looked up among them.

use std::collections::BTreeMap;

use super::{Binding, Cause, CodeEntry, Message, Probe, Remediation, Retry};
use crate::code::FailureCode;
use crate::host::OsFamily;
use crate::report::{Kind, Product};
use crate::words::Slug;

/// The whole catalogue. Maps are ordered, so that everything made from it is the same every time.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Catalogue {
    /// Its version: the crate's, and a digest of its data.
    pub version: String,
    /// Codes.
    pub codes: BTreeMap<FailureCode, CodeEntry>,
    /// Bindings.
    pub bindings: Vec<Binding>,
    /// Causes.
    pub causes: BTreeMap<Slug, Cause>,
    /// Probes.
    pub probes: BTreeMap<Slug, Probe>,
    /// Remediations.
    pub remediations: BTreeMap<Slug, Remediation>,
    /// What a program's own exit codes stand for.
    pub exits: BTreeMap<(Product, i32), FailureCode>,
    /// Sentences of programs, most telling first.
    pub messages: Vec<Message>,
}

impl Catalogue {
    /// The code that an exit code of a program stands for: one number means something else to each.
    /// Any other code, and an exit code that is nobody's own, stays.
    pub fn meant_by<'a>(&'a self, product: Product, code: &'a FailureCode) -> &'a FailureCode {
        match code {
            FailureCode::Exit(status) => self.exits.get(&(product, *status)).unwrap_or(code),
            FailureCode::Hresult(_) | FailureCode::Slug(_) => code,
        }
    }

    /// The sentences by which a program tells of a failure that has a name of ours, most telling
    /// first; what the system says through any program before its own. `None`: only that.
    pub fn said_by(&self, product: Option<Product>) -> impl Iterator<Item = (&str, &Slug)> {
        let of = move |who: Option<Product>| self.messages.iter().filter(move |m| m.product == who);
        let own = product.into_iter().flat_map(move |product| of(Some(product)));
        of(None).chain(own).filter_map(|m| match &m.code {
            FailureCode::Slug(slug) => Some((m.text.as_str(), slug)),
            FailureCode::Hresult(_) | FailureCode::Exit(_) => None,
        })
    }

    /// Whether failures of a product can have a code. A number says nothing of who gave it, within
    /// Windows. A name or an exit status that bindings know is of the products that they name; one
    /// that none knows, of any product that it is not named after.
    pub fn may_report(&self, product: Product, code: &FailureCode) -> bool {
        let bound = || self.bindings.iter().filter(|b| b.code.as_ref() == Some(code));
        if bound().any(|binding| binding.product == product) {
            return true;
        }
        match code {
            FailureCode::Hresult(_) => product.system() != Some(OsFamily::Linux),
            FailureCode::Exit(_) => bound().next().is_none(),
            FailureCode::Slug(name) => {
                let other = |p: &&Product| {
                    **p != product && name.as_str().split('.').next() == Some(p.as_str())
                };
                bound().next().is_none() && !Product::ALL.iter().any(|p| other(&p))
            }
        }
    }

    /// What the catalogue calls a code: its kind, *failure* for what it does not know.
    pub fn kind_of(&self, code: Option<&FailureCode>) -> Kind {
        code.and_then(|c| self.codes.get(c)).map_or(Kind::Failure, |entry| entry.kind)
    }

    /// What a code asks for before a retry; `None` for what the catalogue does not know.
    pub fn retry_of(&self, code: Option<&FailureCode>) -> Option<Retry> {
        code.and_then(|c| self.codes.get(c)).map(|entry| entry.retry)
    }

    /// The symbol of a code.
    pub fn symbol_of(&self, code: Option<&FailureCode>) -> Option<String> {
        code.and_then(|c| self.codes.get(c)).and_then(|entry| entry.symbol.clone())
    }
}
