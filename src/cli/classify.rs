//! `cx-operator classify`.

use std::io::{self, Read};
use std::process::ExitCode;

use crate::Error;
use crate::agent::report::Phase;
use crate::turn::classify::{Classification, Evidence, classify_with};
use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::{print_json, print_text, usage};

/// Read an agent's last message on stdin and print what it is: result, question, permission, status, unclear.
///
/// A run reads the message together with what the transcript says of its turn. Without options this command assumes the
/// usual turn: the agent called a tool before the message, and none after it.
#[derive(Args)]
pub(crate) struct Classify {
    /// Print `{"verdict", "rule"}`.
    #[arg(long)]
    json: bool,
    /// The agent called no tool in this turn.
    #[arg(long)]
    no_tools: bool,
    /// The agent called a tool after the message.
    #[arg(long, conflicts_with = "no_tools")]
    overtaken: bool,
    /// The phase that the agent's model gave the message.
    #[arg(long, value_name = "PHASE")]
    phase: Option<Phase>,
}

/// The document of a message that was read.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Reading {
    /// 1.
    schema_version: u32,
    #[serde(flatten)]
    read: Classification,
}

impl Classify {
    fn evidence(&self) -> Evidence {
        Evidence {
            worked: !self.no_tools,
            overtaken: self.overtaken,
            phase: self.phase.unwrap_or_default(),
        }
    }

    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let mut bytes = Vec::new();
        io::stdin()
            .lock()
            .take(16 << 20)
            .read_to_end(&mut bytes)
            .map_err(|source| Error::Io {
                what: "read stdin".to_owned(),
                source,
            })?;
        let message = String::from_utf8(bytes).map_err(|error| {
            usage(format!(
                "the message is not UTF-8 from byte {} on",
                error.utf8_error().valid_up_to()
            ))
        })?;
        let read = classify_with(&message, self.evidence());
        if self.json {
            print_json(&Reading {
                schema_version: 1,
                read,
            })?;
        } else {
            print_text(&format!("{} ({})\n", read.verdict.as_str(), read.rule))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
