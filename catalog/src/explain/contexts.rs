//! Where a code occurs, and what causes it there.

use std::collections::BTreeSet;

use fleetmend_core::code::FailureCode;
use fleetmend_core::host::OsFamily;
use fleetmend_core::knowledge::{Binding, Catalogue, Lang};
use fleetmend_core::report::{Operation, Product};
use fleetmend_core::triage;
use fleetmend_core::update_class::UpdateClass;
use fleetmend_core::words::Slug;
use serde::Serialize;

use super::Wish;
use super::cause::{ExplainedCause, explained};

/// The causes of a code in one context.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Context {
    /// The product; `None` for contexts that no binding names.
    pub product: Option<Product>,
    /// The operation; `None` for any.
    pub operation: Option<Operation>,
    /// The class of update, where it matters.
    pub update_class: Option<UpdateClass>,
    /// Likeliest first; what their shares leave is *other*.
    pub causes: Vec<ExplainedCause>,
    /// The share of *other*.
    pub other: f64,
}

/// The contexts of a code, as asked, and where it stands.
pub(super) fn contexts(
    cat: &Catalogue,
    code: &FailureCode,
    wish: Wish,
) -> (Vec<Context>, BTreeSet<String>) {
    let mut sources = BTreeSet::new();
    let mut contexts = Vec::new();
    // An exit code means to each program what its own name for it means.
    let own =
        own_names(cat, code).filter(|(product, _)| wish.product.is_none_or(|p| p == *product));
    let own: Vec<_> = own.collect();
    for (product, name) in &own {
        let (told, more) = self::contexts(cat, name, Wish { product: Some(*product), ..wish });
        contexts.extend(told);
        sources.extend(more);
    }
    let asked = |b: &&Binding| {
        b.code.as_ref() == Some(code)
            && !own.iter().any(|(product, _)| *product == b.product)
            && wish.product.is_none_or(|p| p == b.product)
            && wish.operation.is_none_or(|o| b.operation.is_none_or(|own| own == o))
            && wish.update_class.is_none_or(|asked| b.update_class.is_none_or(|own| own == asked))
    };
    let os = |product: Option<Product>| match code {
        FailureCode::Hresult(_) => Some(OsFamily::Windows),
        FailureCode::Exit(_) | FailureCode::Slug(_) => product.and_then(Product::system),
    };
    let mut bound: Vec<&Binding> = cat.bindings.iter().filter(asked).collect();
    keep_closest(&mut bound, wish);
    for binding in bound {
        sources.insert(binding.source.clone());
        contexts.push(Context {
            product: Some(binding.product),
            operation: binding.operation,
            update_class: binding.update_class,
            other: other(&binding.causes),
            causes: causes(cat, &binding.causes, os(Some(binding.product)), wish.lang),
        });
    }
    // What fits the question most closely stands first.
    contexts.sort_by_key(|c| {
        let class = wish.update_class.is_some() && c.update_class.is_none();
        (class, wish.operation.is_some() && c.operation.is_none())
    });
    if contexts.is_empty() || wish.product.is_none() {
        // A context that no binding names: the causes of the code itself, those of the product where
        // one is asked for.
        let product = wish.product;
        let mut shares = triage::shares_of(cat, code);
        shares.retain(|(id, _)| {
            product.is_none_or(|of| cat.causes.get(id).is_none_or(|cause| cause.fits(of)))
        });
        if !shares.is_empty() {
            let (other, causes) =
                (other(&shares), causes(cat, &shares, os(wish.product), wish.lang));
            let (operation, update_class) = (None, None);
            contexts.push(Context { product, operation, update_class, causes, other });
        }
    }
    (contexts, sources)
}

/// The names of ours that an exit code has, one a program.
fn own_names<'a>(
    cat: &'a Catalogue,
    code: &FailureCode,
) -> impl Iterator<Item = (Product, &'a FailureCode)> {
    let status = match code {
        FailureCode::Exit(status) => Some(*status),
        FailureCode::Hresult(_) | FailureCode::Slug(_) => None,
    };
    let of = cat.exits.iter().filter(move |((_, own), _)| status == Some(*own));
    of.map(|((product, _), name)| (*product, name))
}

/// For people and programs: without the last digits of binary fractions.
fn rounded(share: f64) -> f64 {
    (share * 1e6).round() / 1e6
}

fn other(shares: &[(Slug, f64)]) -> f64 {
    rounded(1.0 - shares.iter().map(|(_, share)| share).sum::<f64>())
}

/// Causes with what helps on a system; `None`: on any.
fn causes(
    cat: &Catalogue,
    shares: &[(Slug, f64)],
    os: Option<OsFamily>,
    lang: Lang,
) -> Vec<ExplainedCause> {
    let known = shares.iter().filter_map(|(id, share)| cat.causes.get(id).map(|c| (c, *share)));
    let told = known.map(|(entry, prior)| {
        let mut told = explained(cat, entry, Some(rounded(prior)), lang);
        told.remediations.retain(|r| os.is_none_or(|os| os == r.os));
        told
    });
    told.collect()
}

/// Of the bindings that fit one named context, the one that holds there, as in triage: the class of
/// update before the operation, both before the product alone.
fn keep_closest(bound: &mut Vec<&Binding>, wish: Wish) {
    let (Some(_), Some(_)) = (wish.product, wish.operation) else {
        if let Some(class) = wish.update_class {
            let told: Vec<_> = bound.iter().filter(|b| b.update_class == Some(class)).collect();
            let places: Vec<_> = told.iter().map(|b| (b.product, b.operation)).collect();
            bound.retain(|b| {
                b.update_class.is_some() || !places.contains(&(b.product, b.operation))
            });
        }
        return;
    };
    let rank = |b: &&&Binding| {
        let class = wish.update_class.is_some() && b.update_class == wish.update_class;
        (class, b.operation.is_some())
    };
    // Without a class, those of every class are told.
    if wish.update_class.is_some() || bound.iter().all(|b| b.update_class.is_none()) {
        let closest = bound.iter().max_by_key(rank).copied();
        bound.retain(|b| closest.is_some_and(|kept| std::ptr::eq(kept, *b)));
    } else {
        let plain = bound.iter().filter(|b| b.update_class.is_none()).max_by_key(rank).copied();
        bound.retain(|b| {
            b.update_class.is_some() || plain.is_some_and(|kept| std::ptr::eq(kept, *b))
        });
    }
}
