//! A policy as a TOML document, and the check of the examples beside its rules.

use std::path::Path;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use thiserror::Error;
use toml::Spanned;

use super::act::EffectKind;
use super::ground::Ground;
use super::preset;
use super::request::{Request, Wish};
use super::rule::{Action, Rule};

/// The longest policy, in bytes.
pub const FILE_LIMIT: usize = 256 * 1024;

/// The most rules, and examples beside each.
const RULES_LIMIT: usize = 512;
const EXAMPLES_LIMIT: usize = 64;

/// The directory in which examples are judged: a worktree that is not there, so that nothing on this machine has a say.
const EXAMPLE_WORKTREE: &str = "/worktree";
const EXAMPLE_HOME: &str = "/home/user";

/// Why a policy can't be used. Lines and columns count from 1.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// It is no TOML of the right shape.
    #[error("line {line}, column {column}: {message}")]
    Format {
        /// The line of the mistake.
        line: usize,
        /// The column.
        column: usize,
        /// The mistake.
        message: String,
    },
    /// An example beside a rule is not what the rule is about, or is although it should not be.
    #[error("line {line}: the rule \"{rule}\" {problem} its example `{example}`")]
    Example {
        /// The line of the rule.
        line: usize,
        /// The rule.
        rule: String,
        /// `is not about`, or `is about`.
        problem: &'static str,
        /// The command.
        example: String,
    },
    /// It is longer, or has more rules or examples, than a policy may.
    #[error("{0}")]
    TooLarge(String),
    /// The preset that it extends is none.
    #[error("line {line}: `extends` names no preset: {name} (there are: {known})")]
    NoPreset {
        /// The line.
        line: usize,
        /// The name.
        name: String,
        /// The names that there are.
        known: String,
    },
}

/// Rules on what an agent may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    rules: Vec<Rule>,
    default: Action,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    extends: Option<Spanned<String>>,
    default: Option<Spanned<Action>>,
    #[serde(default)]
    rule: Vec<Spanned<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: Option<String>,
    action: Action,
    message: Option<Spanned<String>>,
    #[serde(default)]
    tool: Vec<String>,
    #[serde(default)]
    command: Vec<Spanned<String>>,
    #[serde(default)]
    without: Vec<String>,
    #[serde(default)]
    effect: Vec<EffectKind>,
    #[serde(default)]
    paths: Vec<String>,
    #[serde(default, rename = "match")]
    matching: Vec<String>,
    #[serde(default, rename = "not_match")]
    not_matching: Vec<String>,
}

impl Policy {
    /// Reads a policy and checks its examples.
    ///
    /// # Errors
    /// [`Error`], with the place of the first mistake.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let policy = Self::parse_unchecked(text)?;
        policy.check_examples()?;
        Ok(policy)
    }

    /// The same without its examples: of a text that was checked before.
    ///
    /// # Errors
    /// [`Error`], with the place of the first mistake.
    pub fn parse_unchecked(text: &str) -> Result<Self, Error> {
        if text.len() > FILE_LIMIT {
            let message = format!("it is longer than {FILE_LIMIT} bytes");
            return Err(Error::TooLarge(message));
        }
        let document: Document = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            format_error(text, at, error.message())
        })?;
        if document.rule.len() > RULES_LIMIT {
            let message = format!("it has more than {RULES_LIMIT} rules");
            return Err(Error::TooLarge(message));
        }
        let default = match &document.default {
            Some(action) if *action.get_ref() == Action::Allow => {
                let why =
                    "`default` is \"ask\" or \"deny\": what no rule is about is never allowed";
                return Err(format_error(text, action.span().start, why));
            }
            default => default
                .as_ref()
                .map_or(Action::Ask, |action| *action.get_ref()),
        };
        let mut rules = Vec::new();
        for (at, entry) in document.rule.into_iter().enumerate() {
            rules.push(rule(text, at, entry)?);
        }
        if let Some(name) = document.extends {
            rules.extend(extended(text, &name)?);
        }
        Ok(Self {
            rules,
            default,
            text: text.to_owned(),
        })
    }

    /// The rules, its own first.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    pub(super) fn default_action(&self) -> Action {
        self.default
    }

    /// The document it was read from.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// `sha256:` and 64 hex digits, of the document.
    #[must_use]
    pub fn hash(&self) -> String {
        let digest = Sha256::digest(self.text.as_bytes());
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256:{hex}")
    }

    /// Judges the examples of every rule. Returns how many there are.
    ///
    /// # Errors
    /// [`Error::Example`] for the first that is wrong.
    pub fn check_examples(&self) -> Result<usize, Error> {
        let ground = example_ground();
        let mut count = 0;
        for rule in &self.rules {
            let about = |example: &String| Self::is_about(rule, &example_request(example), &ground);
            let wrong = |problem, example: &String| Error::Example {
                line: rule.line,
                rule: rule.name.clone(),
                problem,
                example: example.clone(),
            };
            if let Some(example) = rule.matching.iter().find(|example| !about(example)) {
                return Err(wrong("is not about", example));
            }
            if let Some(example) = rule.not_matching.iter().find(|example| about(example)) {
                return Err(wrong("is about", example));
            }
            count += rule.matching.len() + rule.not_matching.len();
        }
        Ok(count)
    }

    /// A policy that comes with the program.
    #[must_use]
    pub fn preset(name: &str) -> Option<Self> {
        let text = preset::text_of(name)?;
        Some(Self::parse_unchecked(text).expect("a test reads every preset"))
    }
}

/// The ground of examples.
#[must_use]
pub fn example_ground() -> Ground {
    Ground::new(Path::new(EXAMPLE_WORKTREE), Some(Path::new(EXAMPLE_HOME)))
}

/// An example is a command, or `TOOL: …` for the call of a tool: `edit: src/a.rs`, `read: a`, `web: https://…`, `tool: NAME`.
fn example_request(example: &str) -> Request {
    let call = |tool: &str, wish| Request {
        tool: tool.to_owned(),
        wish,
        directory: Some(EXAMPLE_WORKTREE.into()),
    };
    let files = |files: &str| files.split_whitespace().map(str::to_owned).collect();
    match example.split_once(": ") {
        Some(("edit", rest)) => call("edit", Wish::Edit(files(rest))),
        Some(("read", rest)) => call("read", Wish::Read(files(rest))),
        Some(("web", rest)) => call("web", Wish::Web(rest.to_owned())),
        Some(("tool", rest)) => call(rest, Wish::Other),
        _ => call("shell", Wish::Shell(example.to_owned())),
    }
}

fn extended(text: &str, name: &Spanned<String>) -> Result<Vec<Rule>, Error> {
    let Some(preset) = preset::text_of(name.get_ref()) else {
        let known: Vec<&str> = preset::PRESETS.iter().map(|(name, _)| *name).collect();
        return Err(Error::NoPreset {
            line: position(text, name.span().start).0,
            name: name.get_ref().clone(),
            known: known.join(", "),
        });
    };
    let mut rules = Policy::parse_unchecked(preset)?.rules;
    for rule in &mut rules {
        rule.name = format!("{}/{}", name.get_ref(), rule.name);
    }
    Ok(rules)
}

fn rule(text: &str, at: usize, entry: Spanned<Entry>) -> Result<Rule, Error> {
    let start = entry.span().start;
    let (line, _) = position(text, start);
    let entry = entry.into_inner();
    let name = entry.name.unwrap_or_else(|| format!("rule {}", at + 1));
    if let Some(message) = entry
        .message
        .as_ref()
        .filter(|_| entry.action != Action::Deny)
    {
        let why = "`message` is the word for the agent of a \"deny\"";
        return Err(format_error(text, message.span().start, why));
    }
    if let Some(empty) = entry
        .command
        .iter()
        .find(|command| command.get_ref().trim().is_empty())
    {
        let why = "a command has at least the name of a program";
        return Err(format_error(text, empty.span().start, why));
    }
    let examples = entry.matching.len() + entry.not_matching.len();
    if examples > EXAMPLES_LIMIT {
        let message = format!("the rule \"{name}\" has more than {EXAMPLES_LIMIT} examples");
        return Err(Error::TooLarge(message));
    }
    Ok(Rule {
        name,
        line,
        action: entry.action,
        message: entry.message.map(Spanned::into_inner),
        tools: entry.tool,
        commands: entry.command.into_iter().map(Spanned::into_inner).collect(),
        without: entry.without,
        effects: entry.effect,
        paths: entry.paths,
        matching: entry.matching,
        not_matching: entry.not_matching,
    })
}

fn format_error(text: &str, at: usize, message: &str) -> Error {
    let (line, column) = position(text, at);
    Error::Format {
        line,
        column,
        message: message.trim().replace('\n', "; "),
    }
}

/// Line and column of a byte, from 1.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_right() {
        for (name, text) in preset::PRESETS {
            let policy = Policy::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            for rule in policy.rules() {
                let examples = rule.matching.len() + rule.not_matching.len();
                assert!(examples > 0, "{name}: {} has no example", rule.name);
            }
        }
    }

    #[test]
    fn a_mistake_has_its_place() {
        let place = |text: &str| match Policy::parse(text) {
            Err(Error::Format { line, column, .. }) => (line, column),
            other => panic!("{other:?}"),
        };
        assert_eq!(place("[[rule]]\naction = \"allow\"\ncolour = 1"), (3, 1));
        assert_eq!(place("\n[[rule]]\naction = \"yes\""), (3, 10));
        assert_eq!(place("[[rule]]\naction = \"deny\"\ntool = \"x\""), (3, 8));
        assert_eq!(place("default = \"allow\""), (1, 11));
        assert_eq!(
            place("[[rule]]\naction = \"ask\"\nmessage = \"x\""),
            (3, 11)
        );
        assert_eq!(
            place("[[rule]]\naction = \"ask\"\ncommand = [\" \"]"),
            (3, 12)
        );
        assert_eq!(place("rule = ["), (1, 9));
    }

    #[test]
    fn a_wrong_example_names_its_rule() {
        let text = "\n[[rule]]\nname = \"x\"\naction = \"deny\"\ncommand = [\"git push\"]\nmatch = [\"git pull\"]";
        let error = Policy::parse(text).expect_err("a wrong example");
        let said = "line 2: the rule \"x\" is not about its example `git pull`";
        assert_eq!(error.to_string(), said);
        let text = text.replace("match = [\"git pull\"]", "not_match = [\"a && git push\"]");
        let error = Policy::parse(&text).expect_err("a wrong example");
        assert!(
            error.to_string().contains("is about its example"),
            "{error}"
        );
    }

    #[test]
    fn what_is_extended_can_only_become_stricter() {
        let text = "extends = \"read-only\"\n[[rule]]\naction = \"allow\"\neffect = [\"write\"]";
        let policy = Policy::parse(text).expect("a policy");
        let verdict = policy.judge(&example_request("touch x"), &example_ground());
        assert_eq!(verdict.action, Action::Deny);
        assert!(verdict.rule.starts_with("read-only/"), "{}", verdict.rule);
        assert!(Policy::parse("extends = \"none\"").is_err());
    }
}
