//! Campaigns over real agents, each in a Linux root that is really broken: triaged, written by one
//! person, approved by another, and counted by what is proved.

mod faults;
mod five;
mod fleet;
mod mirror;
mod others;
mod stops;
mod taken_back;
mod undone;
