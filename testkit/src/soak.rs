//! Delegations that are disturbed at random; `examples/soak.rs` says how and why.

mod campaign;
mod disturb;
mod inventory;
mod plan;
mod report;
mod scene;
mod trial;
mod verify;

pub use campaign::Campaign;
pub use report::Report;
pub use scene::Programs;

/// Whatever keeps the soak itself from working.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
