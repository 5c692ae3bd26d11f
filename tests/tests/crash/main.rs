//! Nothing acknowledged is lost and nothing runs twice, whatever is killed, frozen or full.
//!
//! Ledgers and patients stand outside the programs that are ended; they are asked afterwards. The
//! numbers of kills and the seed come from variables (`plan`), so that `scripts/torture.sh` runs the
//! same tests for longer. The last ones make our programs wrong on purpose: those who check must see it.

#![expect(clippy::print_stdout, reason = "what a test has to say goes to its output")]

mod agent_kills;
mod disk;
mod fleet;
mod ledger;
mod mistakes;
mod plan;
mod points;
mod postgres;
mod server_kills;
