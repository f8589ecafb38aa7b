//! The file with the user's hooks: strict reading, backup, and a write that is whole or not at all.

mod strict;

use std::fs::{self, File, Permissions};
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

/// The user's file, or the place where it would be.
pub(super) struct HooksFile {
    /// In the agent's directory; backups are beside it.
    name: PathBuf,
    /// The target of the name, if it is a link, else the name.
    pub(super) path: PathBuf,
    /// The content; `None` without a file.
    text: Option<Vec<u8>>,
    pub(super) value: Value,
    forgiving: bool,
}

/// The mark of the byte order that some editor begins a file with.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// What of a file is to be parsed.
fn content(text: Option<&[u8]>, forgiving: bool) -> &[u8] {
    let text = text.unwrap_or(b"{}");
    if !forgiving {
        return text;
    }
    let text = text.strip_prefix(MARK).unwrap_or(text);
    match text.iter().all(u8::is_ascii_whitespace) {
        true => b"{}",
        false => text,
    }
}

impl HooksFile {
    /// Reads the file; one that doesn't exist is an empty object, and so is one of blanks for an agent that is `forgiving`.
    pub(super) fn load(name: PathBuf, forgiving: bool) -> Result<HooksFile, Error> {
        let failed = |source| Error::Read {
            path: name.clone(),
            source,
        };
        let path = resolve(&name).map_err(failed)?;
        let text = match fs::read(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        match parse(content(text.as_deref(), forgiving)) {
            Ok(value) => Ok(HooksFile {
                name,
                path,
                text,
                value,
                forgiving,
            }),
            Err(source) => Err(Error::Malformed {
                path,
                line: source.line(),
                column: source.column(),
                source,
            }),
        }
    }

    /// Writes what was read under the next number; `None` where there was no file. The backup is on the disk when the call
    /// returns: only then may the user's file be replaced.
    pub(super) fn back_up(&self) -> Result<Option<PathBuf>, Error> {
        let Some(text) = &self.text else {
            return Ok(None);
        };
        self.check_writable()?;
        let path = self.backup_path(self.newest_backup() + 1);
        self.write(&path, text)?;
        Ok(Some(path))
    }

    /// Reads the newest backup; `None` if no backup can be read.
    pub(super) fn load_backup(&self) -> Option<Value> {
        let backup = fs::read(self.backup_path(self.newest_backup())).ok()?;
        parse(content(Some(&backup), self.forgiving)).ok()
    }

    /// Puts the newest backup's bytes in the file's place.
    pub(super) fn restore(&self) -> Result<(), Error> {
        self.check_unchanged()?;
        let backup = self.backup_path(self.newest_backup());
        let bytes = fs::read(&backup).map_err(|source| Error::Read {
            path: backup,
            source,
        })?;
        self.write(&self.path, &bytes)
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
        self.write(&self.path, &self.render()?)
    }

    /// Removes the file, for a value that is empty.
    pub(super) fn delete(&self) -> Result<(), Error> {
        self.check_unchanged()?;
        fs::remove_file(&self.path).map_err(|source| write_error(&self.path, source))
    }

    fn check_unchanged(&self) -> Result<(), Error> {
        self.check_writable()?;
        if fs::read(&self.path).ok() == self.text {
            return Ok(());
        }
        let path = self.path.clone();
        Err(Error::Changed { path })
    }

    /// Refuses a file that its owner keeps from being written to, though its directory would allow to replace it.
    fn check_writable(&self) -> Result<(), Error> {
        let is_closed = fs::metadata(&self.path).is_ok_and(|meta| meta.permissions().readonly());
        match is_closed {
            true => Err(write_error(
                &self.path,
                io::ErrorKind::PermissionDenied.into(),
            )),
            false => Ok(()),
        }
    }

    /// Writes a file whole, with the mode of the user's, and returns once it and its name are on the disk.
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        // A new file is the user's alone.
        let mode = fs::metadata(&self.path).map_or(0o600, |meta| meta.permissions().mode());
        let written = replace(path, |file| {
            file.write_all(bytes)?;
            file.set_permissions(Permissions::from_mode(mode & 0o7777))?;
            file.sync_all()
        });
        let directory = path.parent().unwrap_or(path);
        written
            .and_then(|()| File::open(directory)?.sync_all())
            .map_err(|source| write_error(path, source))
    }

    fn render(&self) -> Result<Vec<u8>, Error> {
        let old = self.text.as_deref().unwrap_or_default();
        let indent = indent(old).unwrap_or(b"  ");
        let mut text = Vec::new();
        let formatter = PrettyFormatter::with_indent(indent);
        let mut serializer = Serializer::with_formatter(&mut text, formatter);
        let rendered = self.value.serialize(&mut serializer);
        rendered.map_err(|source| write_error(&self.path, source.into()))?;
        text.push(b'\n');
        let mut bytes = Vec::new();
        if old.starts_with(MARK) {
            bytes.extend_from_slice(MARK);
        }
        if old.windows(2).any(|pair| pair == b"\r\n") {
            // No string has an end of a line in it: JSON writes it in letters.
            for line in text.split_inclusive(|byte| *byte == b'\n') {
                bytes.extend_from_slice(line.strip_suffix(b"\n").unwrap_or(line));
                bytes.extend_from_slice(b"\r\n");
            }
        } else {
            bytes.append(&mut text);
        }
        Ok(bytes)
    }
}

fn write_error(path: &Path, source: io::Error) -> Error {
    let path = path.to_owned();
    Error::Write { path, source }
}

/// The white space before the first indented line.
fn indent(text: &[u8]) -> Option<&[u8]> {
    let lines = text.split(|byte| *byte == b'\n').skip(1);
    let mut indents = lines.filter_map(|line| {
        let end = line.iter().position(|byte| !matches!(byte, b' ' | b'\t'))?;
        (end > 0 && line[end] != b'\r').then(|| &line[..end])
    });
    indents.next()
}

/// Where a file would be written that is opened by this name, also if it doesn't exist yet.
fn resolve(name: &Path) -> io::Result<PathBuf> {
    let Ok(target) = fs::read_link(name) else {
        return Ok(name.to_owned());
    };
    match fs::canonicalize(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            resolve(&name.with_file_name(target))
        }
        resolved => resolved,
    }
}
