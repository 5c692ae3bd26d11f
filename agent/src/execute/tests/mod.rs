//! The executor against a fake machine: what is believed, what is allowed, what is done, and what a
//! crash at any point leaves.

mod authority;
mod crash;
mod damage;
mod disk;
mod files;
mod holds;
mod kills;
mod lasting;
mod machine;
mod orders;
mod pauses;
mod points;
mod recorded;
mod restarting;
mod runs;
mod undo;
mod world;
