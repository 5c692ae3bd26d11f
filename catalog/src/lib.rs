//! The knowledge of Fleetmend: what codes mean, what causes them, how each cause is recognised and
//! what is done about it. The data stand in `catalog/data` (format: `catalog/README.md`) and are
//! compiled in; this crate reads, checks and explains them.

mod builtin;
mod explain;
mod format;
mod lint;
mod load;

pub use builtin::builtin;
pub use explain::{
    Context, ExplainedCause, ExplainedRemediation, Explanation, Recognition, explain, known,
    read_code,
};
pub use lint::lint;
pub use load::{File, LintProblem, load, parse};
