//! The binary as a person meets it, or somebody who means no good: what it says, prints and leaves.

#[path = "cli/advice.rs"]
mod advice;
#[path = "cli/cleanup.rs"]
mod cleanup;
#[path = "cli/codes.rs"]
mod codes;
#[path = "cli/commands.rs"]
mod commands;
#[path = "cli/place.rs"]
mod place;
#[path = "cli/prune.rs"]
mod prune;
#[path = "cli/readiness.rs"]
mod readiness;
#[path = "cli/records.rs"]
mod records;
#[path = "cli/refusal.rs"]
mod refusal;
#[path = "cli/refusals.rs"]
mod refusals;
