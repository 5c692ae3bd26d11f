//! The executor against a fake machine: what is believed, what is allowed, what is done, and what a
//! crash at any point leaves.

mod crash;
mod damage;
mod disk;
mod files;
mod lasting;
mod orders;
mod pauses;
mod points;
mod recorded;
mod runs;
mod world;
