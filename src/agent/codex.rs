//! OpenAI's codex CLI.

pub mod app_server;
pub mod global_hooks;
pub mod screen;
pub mod trust;
