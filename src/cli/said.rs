//! What a caller says to a run.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::Error;
use crate::agent::answer::{self, AnswerSchema};
use crate::task::prompt::{self, Prompt};

use super::{safe, tell, usage};

/// A text, on the command line or in a file.
#[derive(Args)]
#[group(skip)]
pub(super) struct Text {
    /// The text: the agent's next prompt, or a form's answer.
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// A file with it; `-` means stdin.
    #[arg(long, value_name = "FILE")]
    text_file: Option<PathBuf>,
}

impl Text {
    /// The text, which passes the same terminal as a brief; `None` where none is given.
    pub(super) fn load(&self) -> Result<Option<String>, Error> {
        let bytes = match (&self.text, &self.text_file) {
            (Some(text), _) => text.clone().into_bytes(),
            (None, Some(path)) => load(path)?,
            (None, None) => return Ok(None),
        };
        Ok(Some(Prompt::parse(&bytes)?.as_str().to_owned()))
    }
}

fn load(path: &PathBuf) -> Result<Vec<u8>, Error> {
    if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        let read = io::stdin().lock().read_to_end(&mut bytes);
        return read.map(|_| bytes).map_err(|source| Error::Io {
            what: "read the text from stdin".to_owned(),
            source,
        });
    }
    fs::read(path).map_err(|error| {
        usage(format!(
            "the text can't be read from {}: {error}",
            path.display()
        ))
    })
}

/// Says so where nobody has read what the run was told.
pub(super) fn tell_unread(run: &str, taken: bool) {
    if !taken {
        let name = safe(run);
        tell(&format!(
            "note: nobody has read it yet: `cx-operator status {name}` tells whether it is driven"
        ));
    }
}

/// The brief in a file, or on stdin where none is named.
pub(super) fn load_brief(file: Option<&Path>) -> Result<Prompt, Error> {
    let file = file.filter(|path| path.as_os_str() != "-");
    let read = |source: &mut dyn Read, name: &str| {
        let mut bytes = Vec::new();
        // One byte more than allowed, so that what is too long is seen to be.
        let limit = prompt::LIMIT as u64 + 1;
        source
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(|source| Error::Io {
                what: format!("read the prompt from {name}"),
                source,
            })?;
        Ok(Prompt::parse(&bytes)?)
    };
    match file {
        Some(path) => {
            let name = path.display().to_string();
            let mut file = File::open(path)
                .map_err(|error| usage(format!("the prompt can't be read from {name}: {error}")))?;
            read(&mut file, &name)
        }
        None if io::stdin().is_terminal() => Err(usage(
            "there is no prompt: give --prompt or --prompt-file, or pipe it to stdin",
        )),
        None => read(&mut io::stdin().lock(), "stdin"),
    }
}

/// The form of an answer, from a file.
pub(super) fn load_schema(path: &Path) -> Result<AnswerSchema, Error> {
    let refuse = |why: &str| usage(format!("--output-schema {}: {why}", path.display()));
    let mut bytes = Vec::new();
    // One byte more than allowed, so that what is too long is seen to be.
    let read = File::open(path).and_then(|file| {
        let mut file = file.take(answer::LIMIT as u64 + 1);
        file.read_to_end(&mut bytes)
    });
    read.map_err(|error| refuse(&error.to_string()))?;
    AnswerSchema::parse(&bytes).map_err(|error| refuse(&error.to_string()))
}

/// A key of a caller's is any text of some length.
pub(super) fn key(text: &str) -> Result<String, String> {
    match text.len() {
        1..=200 => Ok(text.to_owned()),
        _ => Err("it must have 1 to 200 bytes".to_owned()),
    }
}

/// Whether a variable of an environment may be called that.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
