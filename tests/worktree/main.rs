//! The git side against real repositories, looked at with the git program.

mod add;
mod agents_index;
mod differential;
mod dirty;
mod fixture;
mod lost;
mod nested;
mod patch;
mod planted;
mod refused;
mod removal;
mod repository;
mod safety;
mod snapshot;
mod snapshot_of_remains;
