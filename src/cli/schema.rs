//! `cx-operator schema`: the JSON Schema of each document.

use std::process::ExitCode;

use clap::Args;
use clap::builder::PossibleValuesParser;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::json;

use super::{
    capabilities, classify, cleanup, config, hooks, policy, print_text, prune, records, recover,
    refusal,
};
use crate::Error;
use crate::operator::apply::Applied;
use crate::operator::events::RunEvent;
use crate::operator::listing::Listed;
use crate::operator::replying::{Aborted, Replied, Sent};
use crate::operator::starting::Detached;
use crate::operator::status::RunStatus;
use crate::operator::waiting::WaitReport;
use crate::record::Outcome;
use crate::run::notify::Notification;
use crate::run::preflight::Readiness;

/// Print the JSON Schema of a document, or the names of all schemas.
///
/// They describe what this version prints. A later one may add fields; a field is never renamed, and changes its meaning only with
/// a new `schema_version`.
///
/// Example: `cx-operator schema run`
#[derive(Args)]
pub(crate) struct SchemaOf {
    /// The document's name.
    #[arg(value_parser = PossibleValuesParser::new(names()), hide_possible_values = true)]
    name: Option<String>,
}

/// The schema of a type.
type Make = fn(SchemaGenerator) -> Schema;

/// The documents, by their names.
const SCHEMAS: [(&str, Make); 24] = [
    ("abort", of::<Aborted>),
    ("apply", of::<Applied>),
    ("capabilities", of::<capabilities::Document>),
    ("classify", of::<classify::Reading>),
    ("cleanup", of::<cleanup::Document>),
    ("config", of::<config::Document>),
    ("detached", of::<Detached>),
    ("doctor", of::<Readiness>),
    ("error", of::<refusal::Refusal>),
    ("event", of::<RunEvent>),
    ("hooks", of::<hooks::Installed<'static>>),
    ("hooks-verify", of::<hooks::Verification<'static>>),
    ("list", of::<Listed>),
    ("log", of::<records::Logged>),
    ("notification", of::<Notification<'static>>),
    ("policy-check", of::<policy::Checked>),
    ("policy-test", of::<policy::Tested>),
    ("prune", of::<prune::Document>),
    ("recover", of::<recover::Document>),
    ("reply", of::<Replied>),
    ("run", of_run),
    ("send", of::<Sent>),
    ("status", of::<RunStatus>),
    ("wait", of::<WaitReport>),
];

fn names() -> impl Iterator<Item = &'static str> {
    SCHEMAS.iter().map(|(name, _)| *name)
}

fn of<T: JsonSchema>(generator: SchemaGenerator) -> Schema {
    generator.into_root_schema_for::<T>()
}

/// A record as it is printed says how many keys were taken out of it.
fn of_run(generator: SchemaGenerator) -> Schema {
    let mut schema = of::<Outcome>(generator);
    if let Some(fields) = schema.get_mut("properties") {
        fields["redacted"] = json!({
            "description": "The number of keys that were taken out of what is printed; absent in files.",
            "type": "integer",
            "minimum": 0,
        });
    }
    schema
}

impl SchemaOf {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let wanted = self.name.as_deref();
        let Some((name, make)) = SCHEMAS.iter().find(|(name, _)| wanted == Some(name)) else {
            let lines: Vec<String> = names().map(|name| format!("{name}\n")).collect();
            print_text(&lines.concat())?;
            return Ok(ExitCode::SUCCESS);
        };
        let settings = SchemaSettings::draft2020_12().for_serialize();
        let mut schema = make(settings.into_generator());
        schema.insert("title".to_owned(), (*name).into());
        let text = serde_json::to_string_pretty(&schema).expect("a schema has string keys only");
        print_text(&format!("{text}\n"))?;
        Ok(ExitCode::SUCCESS)
    }
}
