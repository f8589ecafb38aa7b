//! A rule: what it is about, and what it says.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::act::{Act, Effect, EffectKind, Word};
use super::ground::{Ground, Place};

/// What a rule says, from the mildest to the strictest.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Go on.
    Allow,
    /// Somebody must say so.
    Ask,
    /// No.
    Deny,
}

impl Action {
    /// The name in files and records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
        }
    }
}

/// One rule. It is about an effect of an act if each of its conditions holds; a condition that is not given holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name, or `rule N`.
    pub name: String,
    /// The line at which it begins, from 1.
    pub line: usize,
    /// What it says.
    pub action: Action,
    /// The word for the agent, of a `deny`.
    pub message: Option<String>,
    pub(super) tools: Vec<String>,
    pub(super) commands: Vec<String>,
    pub(super) without: Vec<String>,
    pub(super) effects: Vec<EffectKind>,
    pub(super) paths: Vec<String>,
    pub(super) matching: Vec<String>,
    pub(super) not_matching: Vec<String>,
}

impl Rule {
    /// Whether it is about that effect of that act.
    pub(super) fn is_about(&self, act: &Act, effect: &Effect, ground: &Ground) -> bool {
        self.is_about_tool(act)
            && (self.commands.is_empty() || self.is_about_command(act))
            && (self.effects.is_empty() || self.effects.contains(&effect.kind))
            && (self.paths.is_empty() || self.is_about_place(effect, ground))
    }

    fn is_about_tool(&self, act: &Act) -> bool {
        let names = act.tools.iter().filter(|name| !name.is_empty());
        let fits = |name: &String| self.tools.iter().any(|tool| fits(tool, name));
        self.tools.is_empty() || names.into_iter().any(fits)
    }

    fn is_about_command(&self, act: &Act) -> bool {
        // What may be another program of that name is denied like it, and never allowed like it.
        let mut names = vec![act.words.first().and_then(Word::known).unwrap_or_default()];
        if self.action == Action::Allow {
            let path = act.names.first().map(String::as_str).unwrap_or_default();
            names = if act.is_system { names } else { vec![path] };
        } else {
            names.extend(act.names.iter().map(String::as_str));
        }
        let arguments = act.words.get(1..).unwrap_or_default();
        let skips = self.action != Action::Allow;
        let fits = |command: &String| {
            let mut wanted = command.split_whitespace();
            let program = wanted.next().unwrap_or_default();
            names.iter().any(|name| fits_one_of(program, name))
                && arguments_fit(&wanted.collect::<Vec<_>>(), arguments, skips)
        };
        self.commands.iter().any(fits) && !self.is_excepted(arguments)
    }

    /// Whether one of the words is there that the rule is not meant for. An option counts with its value, and by its first letters.
    fn is_excepted(&self, arguments: &[Word]) -> bool {
        let excepts = |word: &str| {
            let name = word.split('=').next().unwrap_or(word);
            let is_long = name.starts_with("--") && name.len() > 2;
            let fits = |except: &String| fits(except, name) || is_long && except.starts_with(name);
            self.without.iter().any(fits)
        };
        arguments.iter().filter_map(Word::known).any(excepts)
    }

    fn is_about_place(&self, effect: &Effect, ground: &Ground) -> bool {
        let Some(Place::Path { path, inside }) = &effect.place else {
            return false;
        };
        let is_at = |wanted: &String| match wanted.as_str() {
            "inside" => *inside,
            "outside" => !inside,
            other => path.starts_with(absolute(other, ground)),
        };
        self.paths.iter().any(is_at)
    }
}

fn absolute(wanted: &str, ground: &Ground) -> PathBuf {
    match (wanted.strip_prefix("~/"), ground.home()) {
        (Some(below), Some(home)) => home.join(below),
        _ => ground.worktree().join(Path::new(wanted)),
    }
}

/// The wanted words are the first ones; where it `skips` them, options before those don't count.
fn arguments_fit(wanted: &[&str], arguments: &[Word], skips: bool) -> bool {
    let mut arguments = arguments.iter();
    wanted.iter().all(|wanted| {
        let is_option = wanted.starts_with('-');
        let next = arguments.find(|word| {
            let dashes = word.known().is_some_and(|word| word.starts_with('-'));
            is_option || !skips || !dashes
        });
        next.and_then(Word::known)
            .is_some_and(|word| fits_one_of(wanted, word))
    })
}

fn fits_one_of(wanted: &str, word: &str) -> bool {
    wanted.split('|').any(|wanted| fits(wanted, word))
}

/// Whether a word is what a pattern says, in which `*` is any text.
fn fits(pattern: &str, word: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == word;
    };
    let Some(mut left) = word.strip_prefix(head) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let tail = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = left.find(part) else {
            return false;
        };
        left = &left[at + part.len()..];
    }
    left.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_words() {
        for (pattern, word) in [
            ("a", "a"),
            ("*", ""),
            ("a*c", "abc"),
            ("a*b*c", "axbxc"),
            ("*.sh", "x.sh"),
        ] {
            assert!(fits(pattern, word), "{pattern} {word}");
        }
        for (pattern, word) in [("a", "ab"), ("a*c", "ab"), ("a*a", "a"), ("a*b*c", "acb")] {
            assert!(!fits(pattern, word), "{pattern} {word}");
        }
    }

    #[test]
    fn options_before_a_wanted_word_do_not_hide_it() {
        let words = |text: &str| -> Vec<Word> {
            text.split(' ')
                .map(|word| Word::Known(word.into()))
                .collect()
        };
        assert!(arguments_fit(&["push"], &words("--quiet push x"), true));
        assert!(!arguments_fit(&["push"], &words("--quiet push x"), false));
        let global = words("config --global x");
        assert!(arguments_fit(&["config", "--global"], &global, true));
        assert!(!arguments_fit(&["push"], &words("log push"), true));
        assert!(!arguments_fit(&["push"], &[Word::Unknown], true));
    }
}
