//! A policy by its name: a preset, or a file.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::file::{self, FILE_LIMIT, Policy};
use crate::os::bounded;
use crate::os::chain::failed;

/// How long a policy that is a pipe may say nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a policy can't be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// It can't be read.
    #[error("{}", failed(format_args!("read the policy {}", path.display())))]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// It is invalid.
    #[error("the policy {} is invalid: {mistake}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The mistake and its place.
        mistake: file::Error,
    },
}

/// A policy as an order has it: what it was when the order was given, whatever becomes of its file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedPolicy {
    name: String,
    hash: String,
    text: String,
}

impl NamedPolicy {
    /// The preset of that name, else the policy in that file.
    ///
    /// # Errors
    /// The file can't be read or is invalid: then the message has the line of the mistake.
    pub fn load(name: &str) -> Result<Self, LoadError> {
        let policy = Policy::load(name)?;
        Ok(Self {
            name: name.to_owned(),
            hash: policy.hash(),
            text: policy.text().to_owned(),
        })
    }

    /// The name of the preset, or the path of the file as the caller spelled it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `sha256:` and 64 hex digits, of the document.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The TOML document.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The rules, whose examples were checked when they were loaded.
    pub(crate) fn parse(&self) -> Option<Policy> {
        Policy::parse_unchecked(&self.text).ok()
    }
}

impl Policy {
    /// The preset of that name, else the policy in that file, whose examples are checked.
    ///
    /// # Errors
    /// [`LoadError`], with the line of a mistake.
    pub fn load(name: &str) -> Result<Self, LoadError> {
        if let Some(preset) = Self::preset(name) {
            return Ok(preset);
        }
        let path = Path::new(name);
        let not_text = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8");
        let text = bounded::read(path, FILE_LIMIT, PATIENCE)
            .and_then(|bytes| String::from_utf8(bytes).map_err(not_text))
            .map_err(|source| LoadError::Io {
                path: path.to_owned(),
                source,
            })?;
        Self::parse(&text).map_err(|mistake| LoadError::Invalid {
            path: path.to_owned(),
            mistake,
        })
    }
}
