//! Campaigns from their start to their end, on a small world of hosts and an injected clock.

mod goldens;
mod rules;
mod told;
mod world;
