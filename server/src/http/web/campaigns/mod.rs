//! Campaigns: the list, a campaign's page, writing one, and what a person does to one.

pub(crate) mod acts;
mod bars;
mod does;
mod fields;
pub(crate) mod form;
pub(crate) mod list;
pub(crate) mod new;
pub(crate) mod page;
mod read;
mod standing;
pub(super) mod words;
