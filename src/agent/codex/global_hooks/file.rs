//! The file `hooks.json`: strict reading, backup, and a write that is whole or not at all.

mod strict;

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process;

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{PrettyFormatter, Serializer};

use super::Error;
use strict::parse;

const BACKUP_SUFFIX: &str = ".cx-operator-backup-";
/// As many as Linux follows.
const MAX_LINKS: usize = 40;

/// The user's `hooks.json`, or the place where it would be.
pub(super) struct HooksFile {
    /// `$CODEX_HOME/hooks.json`; backups are beside it.
    name: PathBuf,
    /// The target of the name, if it is a link, else the name.
    path: PathBuf,
    /// The content; `None` without a file.
    text: Option<String>,
    value: Value,
}

impl HooksFile {
    /// Reads the file; one that doesn't exist is an empty object.
    pub(super) fn load(name: &Path) -> Result<HooksFile, Error> {
        let read = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::Read { path, source }
        };
        let path = follow_links(name).map_err(read(name))?;
        let text = match fs::read(&path) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(read(&path)(error)),
        };
        let value = parse(text.as_deref().unwrap_or(b"{}")).map_err(|source| Error::Malformed {
            path: path.clone(),
            line: source.line(),
            column: source.column(),
            source,
        })?;
        Ok(HooksFile {
            name: name.to_owned(),
            path,
            text: text.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
            value,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn value(&self) -> &Value {
        &self.value
    }

    pub(super) fn value_mut(&mut self) -> &mut Value {
        &mut self.value
    }

    /// Copies the file as it was read under the next number; `None` where there was no file.
    pub(super) fn back_up(&self) -> Result<Option<PathBuf>, Error> {
        let Some(text) = &self.text else {
            return Ok(None);
        };
        let mut number = self.newest_backup() + 1;
        loop {
            let path = self.backup_path(number);
            match create(&path, self.mode(), text.as_bytes()) {
                Ok(()) => return Ok(Some(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(source) => return Err(Error::Write { path, source }),
            }
        }
    }

    /// Reads the newest backup; `None` if no backup can be read.
    pub(super) fn load_backup(&self) -> Option<Value> {
        let backup = fs::read(self.backup_path(self.newest_backup())).ok()?;
        parse(&backup).ok()
    }

    /// The highest number of a backup; 0 without any.
    fn newest_backup(&self) -> u32 {
        let (Some(dir), Some(name)) = (self.name.parent(), self.name.file_name()) else {
            return 0;
        };
        let prefix = format!("{}{BACKUP_SUFFIX}", name.display());
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| {
                entry
                    .file_name()
                    .to_str()?
                    .strip_prefix(&prefix)?
                    .parse()
                    .ok()
            })
            .max()
            .unwrap_or(0)
    }

    fn backup_path(&self, number: u32) -> PathBuf {
        let mut name = self.name.clone().into_os_string();
        name.push(format!("{BACKUP_SUFFIX}{number}"));
        name.into()
    }

    /// Puts the value in the file's place: synced, then renamed, so that a crash leaves the old or the new file.
    pub(super) fn save(&self) -> Result<(), Error> {
        self.check_unchanged()?;
        let mut temporary = self.path.clone().into_os_string();
        temporary.push(format!(".cx-operator-tmp-{}", process::id()));
        let temporary = PathBuf::from(temporary);
        let written = create(&temporary, self.mode(), self.render().as_bytes())
            .and_then(|()| fs::rename(&temporary, &self.path))
            .and_then(|()| sync_directory(&self.path));
        written.map_err(|source| {
            // Gone already if the rename succeeded.
            let _ = fs::remove_file(&temporary);
            self.write_error(source)
        })
    }

    /// Removes the file, for a value that is empty.
    pub(super) fn delete(&self) -> Result<(), Error> {
        self.check_unchanged()?;
        fs::remove_file(&self.path).map_err(|source| self.write_error(source))
    }

    fn check_unchanged(&self) -> Result<(), Error> {
        match fs::read_to_string(&self.path).ok() == self.text {
            true => Ok(()),
            false => Err(Error::Changed {
                path: self.path.clone(),
            }),
        }
    }

    fn write_error(&self, source: io::Error) -> Error {
        Error::Write {
            path: self.path.clone(),
            source,
        }
    }

    /// The file's mode; a new file is the user's alone.
    fn mode(&self) -> u32 {
        fs::metadata(&self.path).map_or(0o600, |metadata| metadata.permissions().mode() & 0o7777)
    }

    fn render(&self) -> String {
        let indent = self.text.as_deref().and_then(indent).unwrap_or("  ");
        let mut bytes = Vec::new();
        let formatter = PrettyFormatter::with_indent(indent.as_bytes());
        self.value
            .serialize(&mut Serializer::with_formatter(&mut bytes, formatter))
            .expect("a value is JSON");
        bytes.push(b'\n');
        String::from_utf8(bytes).expect("JSON is UTF-8")
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
fn follow_links(name: &Path) -> io::Result<PathBuf> {
    let mut path = name.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&path) {
            Ok(target) => {
                path = match path.parent() {
                    Some(parent) => parent.join(target),
                    None => target,
                };
            }
            // No link: a file, or nothing.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::InvalidInput | io::ErrorKind::NotFound
                ) =>
            {
                return Ok(path);
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        "too many symbolic links",
    ))
}

/// Writes and syncs a new file; leaves none behind when that fails.
fn create(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let written = file
        .write_all(content)
        // Not by the mode of the creation, which the umask narrows.
        .and_then(|()| file.set_permissions(Permissions::from_mode(mode)))
        .and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written
}

fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}
