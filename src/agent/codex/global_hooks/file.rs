//! The file `hooks.json`: strict reading, backup, and a write that is whole or not at all.

mod strict;

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{PrettyFormatter, Serializer};

use super::Error;
use crate::os::files::replace;
use strict::parse;

const BACKUP_SUFFIX: &str = ".cx-operator-backup-";

/// The user's `hooks.json`, or the place where it would be.
pub(super) struct HooksFile {
    /// `$CODEX_HOME/hooks.json`; backups are beside it.
    name: PathBuf,
    /// The target of the name, if it is a link, else the name.
    pub(super) path: PathBuf,
    /// The content; `None` without a file.
    text: Option<String>,
    pub(super) value: Value,
}

impl HooksFile {
    /// Reads the file; one that doesn't exist is an empty object.
    pub(super) fn load(name: PathBuf) -> Result<HooksFile, Error> {
        let failed = |source| Error::Read {
            path: name.clone(),
            source,
        };
        let path = resolve(&name).map_err(failed)?;
        let bytes = match fs::read(&path) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        let value =
            parse(bytes.as_deref().unwrap_or(b"{}")).map_err(|source| Error::Malformed {
                path: path.clone(),
                line: source.line(),
                column: source.column(),
                source,
            })?;
        Ok(HooksFile {
            name,
            path,
            text: bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
            value,
        })
    }

    /// Copies the file under the next number; `None` where there was no file.
    pub(super) fn back_up(&self) -> Result<Option<PathBuf>, Error> {
        if self.text.is_none() {
            return Ok(None);
        }
        let path = self.backup_path(self.newest_backup() + 1);
        match fs::copy(&self.path, &path) {
            Ok(_bytes) => Ok(Some(path)),
            Err(source) => Err(Error::Write { path, source }),
        }
    }

    /// Reads the newest backup; `None` if no backup can be read.
    pub(super) fn load_backup(&self) -> Option<Value> {
        let backup = fs::read(self.backup_path(self.newest_backup())).ok()?;
        parse(&backup).ok()
    }

    /// The highest number of a backup; 0 without any.
    fn newest_backup(&self) -> u32 {
        let prefix = self.backup_path("");
        let prefix = prefix.file_name().unwrap_or_default().to_string_lossy();
        let entries = self.name.parent().and_then(|dir| fs::read_dir(dir).ok());
        let number = |entry: fs::DirEntry| {
            let name = entry.file_name();
            name.to_str()?.strip_prefix(&*prefix)?.parse().ok()
        };
        let numbers = entries.into_iter().flatten().flatten().filter_map(number);
        numbers.max().unwrap_or(0)
    }

    fn backup_path(&self, number: impl std::fmt::Display) -> PathBuf {
        let mut name = self.name.clone().into_os_string();
        name.push(format!("{BACKUP_SUFFIX}{number}"));
        name.into()
    }

    /// Puts the value in the file's place. A crash leaves the old file or the new one.
    pub(super) fn save(&self) -> Result<(), Error> {
        self.check_unchanged()?;
        // A new file is the user's alone.
        let mode = fs::metadata(&self.path).map_or(0o600, |meta| meta.permissions().mode());
        let saved = replace(&self.path, |file| {
            file.write_all(&self.render()?)?;
            file.set_permissions(Permissions::from_mode(mode & 0o7777))?;
            file.sync_all()
        });
        saved.map_err(|source| self.write_error(source))
    }

    /// Removes the file, for a value that is empty.
    pub(super) fn delete(&self) -> Result<(), Error> {
        self.check_unchanged()?;
        fs::remove_file(&self.path).map_err(|source| self.write_error(source))
    }

    fn check_unchanged(&self) -> Result<(), Error> {
        if fs::read_to_string(&self.path).ok() == self.text {
            return Ok(());
        }
        let path = self.path.clone();
        Err(Error::Changed { path })
    }

    fn write_error(&self, source: io::Error) -> Error {
        let path = self.path.clone();
        Error::Write { path, source }
    }

    fn render(&self) -> io::Result<Vec<u8>> {
        let indent = self.text.as_deref().and_then(indent).unwrap_or("  ");
        let mut bytes = Vec::new();
        let formatter = PrettyFormatter::with_indent(indent.as_bytes());
        let mut serializer = Serializer::with_formatter(&mut bytes, formatter);
        self.value.serialize(&mut serializer)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

/// The white space before the first indented line.
fn indent(text: &str) -> Option<&str> {
    text.lines().skip(1).find_map(|line| {
        let indent = &line[..line.len() - line.trim_start_matches([' ', '\t']).len()];
        (!indent.is_empty() && indent.len() < line.len()).then_some(indent)
    })
}

/// Where a file would be written that is opened by this name, also if it doesn't exist yet.
fn resolve(name: &Path) -> io::Result<PathBuf> {
    let Ok(target) = fs::read_link(name) else {
        return Ok(name.to_owned());
    };
    match fs::canonicalize(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            resolve(&name.parent().unwrap_or(name).join(target))
        }
        resolved => resolved,
    }
}
