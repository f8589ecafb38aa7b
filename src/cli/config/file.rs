//! The configuration file: where it is, who may write it, and what it says. Every value is checked when it is read, in every profile.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::follow::duration;
use super::keys::{self, Key, Kind, NOTIFY_TIMEOUT};
use crate::Error;
use crate::os::{bounded, given};
use crate::policy::PRESETS;
use crate::task::budget::{Prices, Usd};

/// The longest file, in bytes.
const LIMIT: usize = 256 << 10;
/// How long a file that is a pipe may say nothing.
const PATIENCE: Duration = Duration::from_secs(2);

/// A value of a table of settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) key: &'static str,
    /// As the command line would have it; a command's words one by one.
    pub(super) words: Vec<String>,
    /// Line and column, from 1.
    pub(super) place: (usize, usize),
}

/// A table of settings, by their keys.
pub(super) type Table = BTreeMap<&'static str, Setting>;

/// The configuration file.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) defaults: Table,
    pub(super) profiles: BTreeMap<String, Table>,
    pub(super) prices: BTreeMap<String, Prices>,
}

/// Where the file is, whether it is there or not: `$XDG_CONFIG_HOME/cx-operator/config.toml`, else below `~/.config`. Never in a
/// repository.
pub(super) fn path() -> Result<PathBuf, Error> {
    let absolute = |name: &str| {
        let value = given::variable(name).map(PathBuf::from);
        value.filter(|path| path.is_absolute())
    };
    let base = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")));
    let base = base.ok_or_else(|| {
        Error::Usage("the configuration's directory is unknown: HOME is not set".to_owned())
    })?;
    Ok(base.join("cx-operator/config.toml"))
}

/// Reads the file; `None` where there is none.
///
/// # Errors
/// [`Error::ConfigUnusable`] where it can't be read or others may write to it, [`Error::Config`] with the place of a mistake.
pub(super) fn load(path: &Path) -> Result<Option<File>, Error> {
    let unusable = |source| Error::ConfigUnusable {
        path: path.to_owned(),
        source,
    };
    match refuse_writable(path) {
        // A link that leads nowhere is a file that got lost, with the limits that it may have set.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => {
            return Ok(None);
        }
        checked => checked.map_err(unusable)?,
    }
    let bytes = bounded::read(path, LIMIT, PATIENCE).map_err(unusable)?;
    let not_text = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8");
    let text = String::from_utf8(bytes).map_err(|error| unusable(not_text(error)))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    Reader { path, text }.read().map(Some)
}

/// What others may write says nothing here: neither the file nor its directory.
fn refuse_writable(path: &Path) -> io::Result<()> {
    let refused = |why: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    let file = fs::metadata(path)?;
    if file.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    // A link may lead elsewhere.
    let real = path.canonicalize()?;
    let places = [path.parent(), real.parent(), Some(&real)];
    for place in places.into_iter().flatten() {
        let found = fs::metadata(place)?;
        let is_ours = [0, rustix::process::geteuid().as_raw()].contains(&found.uid());
        let place = place.display();
        if !is_ours {
            return refused(format!("{place} belongs to another user"));
        }
        if found.mode() & 0o022 != 0 {
            return refused(format!("other users may write to {place}"));
        }
    }
    Ok(())
}

/// A file that is being read.
struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
}

type Value<'i> = Spanned<DeValue<'i>>;

impl Reader<'_> {
    fn read(&self) -> Result<File, Error> {
        let document = DeTable::parse(self.text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            self.mistake(at, error.message())
        })?;
        let mut file = File::default();
        for (name, value) in document.get_ref() {
            match &**name.get_ref() {
                "defaults" => file.defaults = self.settings("defaults", value)?,
                "profiles" => {
                    for (profile, value) in self.table("profiles", value)? {
                        let name = profile.get_ref();
                        let settings = self.settings(&format!("profiles.{name}"), value)?;
                        file.profiles.insert(name.to_string(), settings);
                    }
                }
                "prices" => {
                    for (model, value) in self.table("prices", value)? {
                        let prices = self.prices(model.get_ref(), value)?;
                        file.prices.insert(model.get_ref().to_string(), prices);
                    }
                }
                other => {
                    let known = "defaults, profiles, prices";
                    return Err(self.unknown(name.span().start, other, known));
                }
            }
        }
        Ok(file)
    }

    fn mistake(&self, at: usize, mistake: &str) -> Error {
        let (line, column) = self.position(at);
        Error::Config {
            path: self.path.to_owned(),
            line,
            column,
            mistake: mistake.trim().replace('\n', "; "),
        }
    }

    fn unknown(&self, at: usize, name: &str, known: &str) -> Error {
        let name = name.escape_debug();
        self.mistake(at, &format!("unknown key `{name}` (there are: {known})"))
    }

    /// Line and column of a byte, from 1.
    fn position(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        (line, column)
    }

    fn table<'t, 'i>(&self, name: &str, value: &'t Value<'i>) -> Result<&'t DeTable<'i>, Error> {
        let table = value.get_ref().as_table();
        table.ok_or_else(|| self.wrong_type(name, "a table", value))
    }

    fn wrong_type(&self, key: &str, wanted: &str, value: &Value<'_>) -> Error {
        let found = value.get_ref().type_str();
        let why = format!("`{key}` must be {wanted}, not of the type {found}");
        self.mistake(value.span().start, &why)
    }

    fn settings(&self, name: &str, value: &Value<'_>) -> Result<Table, Error> {
        let mut settings = Table::new();
        for (key, value) in self.table(name, value)? {
            let Some(known) = keys::find(key.get_ref()) else {
                let names: Vec<&str> = keys::KEYS.iter().map(|key| key.name).collect();
                return Err(self.unknown(key.span().start, key.get_ref(), &names.join(", ")));
            };
            settings.insert(known.name, self.setting(known, value)?);
        }
        Ok(settings)
    }

    fn setting(&self, key: &'static Key, value: &Value<'_>) -> Result<Setting, Error> {
        let wrong_type = || self.wrong_type(key.name, key.kind.wanted(), value);
        let words = match (key.kind, value.get_ref()) {
            (Kind::Words, DeValue::Array(words)) if !words.is_empty() => {
                let texts = words.iter().map(|word| word.get_ref().as_str());
                let texts = texts.map(|text| text.map(str::to_owned));
                texts.collect::<Option<Vec<_>>>().ok_or_else(wrong_type)?
            }
            (Kind::Count, DeValue::Integer(number)) if number.radix() == 10 => {
                vec![number.as_str().to_owned()]
            }
            (Kind::Money, DeValue::Integer(number)) => vec![number.as_str().to_owned()],
            (Kind::Money, DeValue::Float(number)) => vec![number.as_str().to_owned()],
            (Kind::Words | Kind::Count | Kind::Money, _) => return Err(wrong_type()),
            (kind, DeValue::String(text)) => vec![self.resolved(kind, text)],
            _ => return Err(wrong_type()),
        };
        let checked = match key.name {
            NOTIFY_TIMEOUT => duration(&words[0]).map(drop),
            _ if key.is_option() => keys::check_option(key.name, &words[0]),
            _ => Ok(()),
        };
        let start = value.span().start;
        checked.map_err(|why| self.mistake(start, &format!("`{}`: {why}", key.name)))?;
        Ok(Setting {
            key: key.name,
            words,
            place: self.position(start),
        })
    }

    /// A path is relative to the file's own directory, wherever a command is called.
    fn resolved(&self, kind: Kind, text: &str) -> String {
        let is_path = match kind {
            Kind::Place => true,
            Kind::Program => text.contains('/'),
            Kind::Policy => PRESETS.iter().all(|(name, _)| *name != text),
            _ => false,
        };
        if !is_path || text.is_empty() {
            return text.to_owned();
        }
        let home = given::variable("HOME").map(Path::new);
        let path = match (text.strip_prefix("~/"), home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => self.path.parent().unwrap_or(Path::new("/")).join(text),
        };
        path.display().to_string()
    }

    fn prices(&self, model: &str, value: &Value<'_>) -> Result<Prices, Error> {
        let name = format!("prices.{model}");
        let mut found = BTreeMap::new();
        const KINDS: [&str; 4] = ["input", "cached_input", "cache_write", "output"];
        for (key, value) in self.table(&name, value)? {
            let Some(kind) = KINDS.into_iter().find(|kind| *kind == key.get_ref()) else {
                return Err(self.unknown(key.span().start, key.get_ref(), &KINDS.join(", ")));
            };
            let text = match value.get_ref() {
                DeValue::Integer(number) => number.as_str(),
                DeValue::Float(number) => number.as_str(),
                _ => return Err(self.wrong_type(kind, Kind::Money.wanted(), value)),
            };
            let price: Usd = text.parse().map_err(|why: &str| {
                self.mistake(value.span().start, &format!("`{kind}`: {why}"))
            })?;
            found.insert(kind, price);
        }
        let needed = |kind: &str| {
            let price = found.get(kind).copied();
            price.ok_or_else(|| {
                self.mistake(value.span().start, &format!("`{name}` has no `{kind}`"))
            })
        };
        let input = needed("input")?;
        Ok(Prices {
            input,
            cached_input: found.get("cached_input").copied().unwrap_or(input),
            cache_write: found.get("cache_write").copied().unwrap_or(input),
            output: needed("output")?,
        })
    }
}
