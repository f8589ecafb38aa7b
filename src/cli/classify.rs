//! `cx-operator classify`.

use std::io::{self, Read};
use std::process::ExitCode;

use clap::Args;
use cx_operator::Error;
use cx_operator::turn::classify::classify;

use super::{print_json, print_text, usage};

/// Read an agent's last message from stdin and tell what it is: result, question, permission, status, unclear.
#[derive(Args)]
pub(crate) struct Classify {
    /// Print `{"verdict", "rule"}`.
    #[arg(long)]
    json: bool,
}

impl Classify {
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
                "read the message: it is no UTF-8, from byte {} on",
                error.utf8_error().valid_up_to()
            ))
        })?;
        let read = classify(&message);
        if self.json {
            print_json(&read)?;
        } else {
            print_text(&format!("{} ({})\n", read.verdict.as_str(), read.rule))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
