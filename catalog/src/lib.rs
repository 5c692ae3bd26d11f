//! The knowledge of Fleetmend: what codes mean, what causes them, how each cause is recognised and
//! what is done about it. The data stand in `catalog/data` (format: `catalog/README.md`) and are
//! compiled in; this crate reads, checks and explains them.

mod builtin;
mod explain;
mod format;
mod lint;
mod load;
pub mod words;

pub use builtin::builtin;
pub use explain::{
    Blocker, CauseTopic, CodeTopic, Context, ExplainedCause, ExplainedRemediation, Explanation,
    Named, NotFound, Occurrence, ProbeTopic, Recognition, Related, RemediationTopic, StageTold,
    Tells, Topic, Wish, ask, explain, explain_cause, explain_probe, explain_reading,
    explain_remediation, known, read_code,
};
pub use lint::lint;
pub use load::{File, LintProblem, load, parse};
