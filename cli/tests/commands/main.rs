//! The program itself, against a small server that gives canned answers; a file a noun.

mod campaigns;
mod canned;
mod catalogue;
mod hosts;
mod jobs;
mod people;
