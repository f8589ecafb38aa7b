//! The programs as a person meets them, or an attacker: the text that they print, the exit status, and what they leave.

mod advice;
mod apply;
mod cleanup;
mod codes;
mod commands;
mod config;
mod contract;
mod dependency;
mod doctor_of_claude;
mod launcher;
mod mcp;
mod people;
mod place;
mod prune;
mod readiness;
mod records;
mod refusal;
mod refusals;
mod report;
mod security;
mod streams;
mod terminal;
mod watch;
mod wording;
