//! The agent's side: its screens, dialogs, hooks, messages and settings, the stand-ins for it and for its model.

mod classify;
mod claude_screens;
mod fuzz;
mod global_hooks;
mod hooks;
mod hostile_server;
mod installed;
mod mock_model;
mod policy;
mod real_dialogs;
mod requests_schema;
mod screen_properties;
mod screens;
mod scripted_agent;
