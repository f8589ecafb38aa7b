//! The command lines that documents show, and what `--help` has to say of them.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use regex::Regex;

/// A command or a subcommand, as its `--help` describes it.
#[derive(Debug, Default)]
pub(crate) struct Help {
    /// For each long flag whether it takes a value, and which values if they are named.
    flags: BTreeMap<String, Option<BTreeSet<String>>>,
    required_flags: BTreeSet<String>,
    positionals: usize,
    optional_positionals: usize,
    needs_subcommand: bool,
    /// Whether words of another command may follow a `--`.
    passes_on: bool,
    pub(crate) subcommands: BTreeMap<String, Help>,
}

/// A command line as a document has it.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) words: Vec<String>,
    /// It stands in a code block: it can be run as it is. Otherwise it may be a mere name.
    whole: bool,
}

impl Help {
    /// Asks the program, subcommands included.
    pub(crate) fn query(path: &[&str]) -> Self {
        let output = Command::new(env!("CARGO_BIN_EXE_cx-operator"))
            .args(path)
            .arg("--help")
            .output()
            .expect("the program runs");
        assert!(output.status.success(), "{path:?}");
        let text = String::from_utf8(output.stdout).expect("help is UTF-8");
        let mut help = Self::parse(&text);
        let names: Vec<String> = commands(&text)
            .filter_map(|line| {
                let name = line.strip_prefix("  ")?;
                let word = name.split_whitespace().next()?;
                (!name.starts_with(' ') && word != "help").then(|| word.to_owned())
            })
            .collect();
        for name in names {
            let below: Vec<&str> = path.iter().copied().chain([name.as_str()]).collect();
            let below = Self::query(&below);
            help.subcommands.insert(name, below);
        }
        help
    }

    fn parse(text: &str) -> Self {
        let option = Regex::new(r"^ +(?:-\w, )?(--[a-z-]+)(?:\.\.\.)?( <[^>]+>)?(?:  |$)")
            .expect("the pattern is constant");
        let bullet = Regex::new(r"^ +- ([a-z-]+):").expect("the pattern is constant");
        let mut help = Self::default();
        let mut current = String::new();
        for line in text.lines() {
            if let Some(found) = option.captures(line) {
                current = found[1].to_owned();
                let values = found.get(2).map(|_| BTreeSet::new());
                help.flags.insert(current.clone(), values);
            }
            let Some(Some(values)) = help.flags.get_mut(&current) else {
                continue;
            };
            if let Some((_, named)) = line.split_once("[possible values: ") {
                values.extend(named.trim_end_matches(']').split(", ").map(str::to_owned));
            }
            values.extend(bullet.captures(line).map(|found| found[1].to_owned()));
        }
        help.read_aliases(text, &option);
        help.read_usage(text);
        help
    }

    /// Other names of flags, whose list may be broken.
    fn read_aliases(&mut self, text: &str, option: &Regex) {
        let mut current = String::new();
        let mut inside = false;
        for line in text.lines() {
            if let Some(found) = option.captures(line) {
                current = found[1].to_owned();
            }
            let (begins, listed) = match line.split_once("[alias") {
                Some((_, listed)) => (true, listed),
                None => (false, line),
            };
            if !inside && !begins {
                continue;
            }
            inside = !listed.contains(']');
            let words = listed.split([' ', ',', ']']);
            for alias in words.filter(|word| word.starts_with("--")) {
                let values = self.flags.get(&current).cloned().flatten();
                self.flags.insert(alias.to_owned(), values);
            }
        }
    }

    /// What must be given: the flags and the positionals outside of `[…]`.
    fn read_usage(&mut self, text: &str) {
        let usage = text
            .lines()
            .find_map(|line| line.strip_prefix("Usage: "))
            .expect("help has a usage line");
        let (usage, passed_on) = usage.split_once(" [-- ").unwrap_or((usage, ""));
        self.passes_on = !passed_on.is_empty();
        let words: Vec<&str> = usage.split_whitespace().collect();
        self.needs_subcommand = words.contains(&"<COMMAND>");
        for (index, word) in words.iter().enumerate() {
            if word.starts_with("--") {
                self.required_flags.insert((*word).to_owned());
            }
            if word.starts_with('[') && *word != "[OPTIONS]" {
                self.optional_positionals += 1;
            }
            let is_value = index > 0 && words[index - 1].starts_with("--");
            // `<--text <TEXT>|--allow>` is a choice of flags.
            let is_choice = word.starts_with("<--") || word.contains('|') || word.ends_with(">>");
            if word.starts_with('<') && *word != "<COMMAND>" && !is_value && !is_choice {
                self.positionals += 1;
            }
        }
    }

    /// Every long flag of the command and its subcommands.
    pub(crate) fn all_flags(&self) -> BTreeMap<String, Option<BTreeSet<String>>> {
        let mut all = self.flags.clone();
        for below in self.subcommands.values() {
            all.extend(below.all_flags());
        }
        all
    }

    /// What is wrong with a command line; the program's own name is not in it any more.
    pub(crate) fn find_mistake(&self, line: &Line) -> Option<String> {
        let mut words = line.words.iter().peekable();
        let mut help = self;
        while let Some(below) = words.peek().and_then(|word| help.subcommands.get(*word)) {
            help = below;
            words.next();
        }
        let is_name = !line.whole && words.peek().is_none();
        if help.needs_subcommand && !line.words.iter().any(|word| word.starts_with("--")) {
            return Some("no such subcommand".to_owned());
        }
        let (mut given, mut positionals) = (BTreeSet::new(), 0);
        while let Some(word) = words.next() {
            if word == "--" && help.passes_on {
                break;
            }
            if !word.starts_with("--") {
                positionals += 1;
                continue;
            }
            let (flag, value) = match word.split_once('=') {
                Some((flag, value)) => (flag, Some(value)),
                None => (word.as_str(), None),
            };
            given.insert(flag);
            let Some(takes) = help.flags.get(flag) else {
                return Some(format!("no flag {flag}"));
            };
            if let Some(values) = takes {
                let value = value.or_else(|| words.next().map(String::as_str));
                if let Some(mistake) = mistaken_value(flag, value, values) {
                    return Some(mistake);
                }
            }
        }
        if is_name || given.contains("--help") || given.contains("--version") {
            return None;
        }
        let most = help.positionals + help.optional_positionals;
        if !(help.positionals..=most).contains(&positionals) {
            return Some(format!(
                "{positionals} arguments in place of {}",
                help.positionals
            ));
        }
        let missing = help
            .required_flags
            .iter()
            .find(|flag| !given.contains(flag.as_str()));
        missing.map(|flag| format!("{flag} is missing"))
    }
}

/// What is wrong with the value of a flag.
pub(crate) fn mistaken_value(
    flag: &str,
    value: Option<&str>,
    values: &BTreeSet<String>,
) -> Option<String> {
    match value {
        None => Some(format!("{flag} needs a value")),
        Some(value) if !values.is_empty() && !values.contains(value) => {
            Some(format!("{flag} takes no {value}"))
        }
        Some(_) => None,
    }
}

/// The lines in which a help has its commands, in groups or not.
fn commands(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .skip_while(|line| !line.starts_with("Usage:"))
        .skip(1)
        .take_while(|line| !["Options:", "Arguments:"].contains(line))
}

/// Code blocks and code spans of a Markdown text: `(text, is a block's line)`.
pub(crate) fn code(markdown: &str) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    let (mut prose, mut in_block) = (String::new(), false);
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            found.push((line.trim().to_owned(), true));
        } else {
            prose.push_str(line);
            prose.push(if line.trim().is_empty() { '\n' } else { ' ' });
        }
    }
    let span = Regex::new("`([^`\n]+)`").expect("the pattern is constant");
    found.extend(
        span.captures_iter(&prose)
            .map(|span| (span[1].to_owned(), false)),
    );
    found
}

/// The command lines of `cx-operator` in a text, without the program's name.
pub(crate) fn lines(markdown: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    for (text, whole) in code(markdown) {
        for words in commands_of(&text) {
            if words.first().is_some_and(|word| word == "cx-operator") && words.len() > 1 {
                let words = words[1..].to_vec();
                lines.push(Line { words, whole });
            }
        }
    }
    lines
}

/// The commands of a shell line as words: quotes group, `#` begins a comment, `|`, `&&` and `;` separate, and a
/// redirection is no word.
fn commands_of(text: &str) -> Vec<Vec<String>> {
    let word = Regex::new(r#""[^"]*"|'[^']*'|\|\|?|&&|;|[<>]+ *[^ ]+|[^ ;|]+"#)
        .expect("the pattern is constant");
    let mut commands = vec![Vec::new()];
    for found in word.find_iter(text) {
        match found.as_str() {
            "|" | "||" | "&&" | ";" => commands.push(Vec::new()),
            comment if comment.starts_with('#') => break,
            redirection if redirection.starts_with(['<', '>']) => {}
            word => commands
                .last_mut()
                .expect("one is always there")
                .push(word.trim_matches(['"', '\'']).to_owned()),
        }
    }
    commands
}
