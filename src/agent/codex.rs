//! OpenAI's codex.

pub mod app_server;
pub mod global_hooks;
pub mod trust;
