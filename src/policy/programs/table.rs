//! Programs whose effects their options and operands tell.
//!
//! A line has the name, then what the operands are, the short options and the long ones. An option that is not listed is a
//! doubt. `v` is a word, `r` a file that is read, `w` one that is written; `*` repeats the last, `.` too, and means
//! the working directory where there is none. `p` is a word, unless one of
//! the options before `^` has it; `a` takes all known words as they are, `e` whatever it is; `#` is a number as an option. An option with a value is
//! followed by `=` and the kind of value, a long one by `?` where the value may be missing.

use super::super::act::{Act, EffectKind, Word};
use super::super::shell::Walk;
use super::touch_directory;

/// Listed programs, and commands of git.
const TABLE: &str = include_str!("table.txt");

/// The line of a program.
struct Line<'t> {
    operands: Vec<&'t str>,
    short: Vec<&'t str>,
    long: Vec<&'t str>,
}

fn find(name: &str) -> Option<Line<'static>> {
    let line = TABLE
        .lines()
        .find(|line| line.split('|').next().unwrap_or_default().trim() == name)?;
    let mut parts = line
        .split('|')
        .skip(1)
        .map(|part| part.split_whitespace().collect::<Vec<_>>());
    Some(Line {
        operands: parts.next()?,
        short: parts.next().unwrap_or_default(),
        long: parts.next().unwrap_or_default(),
    })
}

pub(super) fn is_listed(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('#') && find(name).is_some()
}

/// A walk over the arguments of a command.
struct Reading<'r, 'w, 'g> {
    line: &'r Line<'static>,
    walk: &'r mut Walk<'w>,
    act: &'g mut Act,
    operands: Vec<Word>,
    /// Whether an option has what else the first operand is.
    has_pattern: bool,
}

/// Adds the effects of a listed program; of another one a doubt.
pub(super) fn describe(walk: &mut Walk<'_>, name: &str, arguments: &[Word], act: &mut Act) {
    let Some(line) = find(name).filter(|_| !name.is_empty()) else {
        act.add(EffectKind::Unknown);
        return act.doubt(format!("nothing is known of {name}"));
    };
    match line.operands.first() {
        Some(&"e") => return,
        Some(&"a") => return take_all(arguments, act),
        _ => {}
    }
    let mut reading = Reading {
        line: &line,
        walk,
        act,
        operands: Vec::new(),
        has_pattern: false,
    };
    reading.options(arguments);
    reading.operands();
}

/// Words that are only words. An index in one might be evaluated.
fn take_all(arguments: &[Word], act: &mut Act) {
    for word in arguments {
        let is_evaluated = |text: &str| text.contains('[') && text.contains(['$', '`']);
        if word
            .known()
            .is_none_or(|text| is_evaluated(text) || text == "-v" || text == "-R")
        {
            act.doubt(format!("it can't be told what `{}` is", word.shown()));
        }
    }
}

impl Reading<'_, '_, '_> {
    fn options(&mut self, arguments: &[Word]) {
        let mut arguments = arguments.iter();
        while let Some(word) = arguments.next() {
            let Some(text) = word.known() else {
                if *word == Word::Unknown {
                    self.act.doubt("it can't be told what an argument is");
                }
                self.operands.push(word.clone());
                continue;
            };
            if text == "--" {
                self.operands.extend(arguments.cloned());
                return;
            }
            if let Some(long) = text.strip_prefix("--") {
                self.long(long, &mut arguments);
            } else if text.len() > 1 && text.starts_with('-') {
                self.short(&text[1..], &mut arguments);
            } else {
                self.operands.push(word.clone());
            }
        }
    }

    fn long(&mut self, text: &str, arguments: &mut std::slice::Iter<'_, Word>) {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(Word::Known(value.to_owned()))),
            None => (text, None),
        };
        let known =
            |listed: &&&str| listed.trim_start_matches('^').split(['=', '?']).next() == Some(name);
        let Some(listed) = self.line.long.iter().find(known).copied() else {
            return self.act.doubt(format!("nothing is known of --{name}"));
        };
        self.has_pattern |= listed.starts_with('^');
        match (listed.split_once('='), listed.ends_with('?'), value) {
            (Some((_, kind)), _, Some(value)) => self.take(kind, &value),
            (Some((_, kind)), _, None) => {
                let value = arguments.next().cloned();
                self.take(kind, &value.unwrap_or(Word::Unknown));
            }
            (None, true, _) | (None, false, None) => {}
            (None, false, Some(_)) => self.act.doubt(format!("nothing is known of --{text}")),
        }
    }

    fn short(&mut self, letters: &str, arguments: &mut std::slice::Iter<'_, Word>) {
        let is_number = letters.bytes().all(|byte| byte.is_ascii_digit());
        if is_number && self.line.short.contains(&"#") {
            return;
        }
        for (at, letter) in letters.char_indices() {
            let rest = &letters[at + letter.len_utf8()..];
            let flags = |listed: &&&str| !listed.contains('=') && listed.contains(letter);
            let valued = |listed: &&&str| {
                let name = listed
                    .trim_start_matches('^')
                    .split_once('=')
                    .map(|(name, _)| name);
                name.is_some_and(|name| name.chars().eq([letter]))
            };
            if let Some(listed) = self.line.short.iter().find(valued).copied() {
                self.has_pattern |= listed.starts_with('^');
                let kind = listed.split_once('=').map_or("v", |(_, kind)| kind);
                let value = match rest {
                    "" => arguments.next().cloned().unwrap_or(Word::Unknown),
                    rest => Word::Known(rest.to_owned()),
                };
                return self.take(kind, &value);
            }
            if self.line.short.iter().find(flags).is_none() {
                return self.act.doubt(format!("nothing is known of -{letter}"));
            }
        }
    }

    fn operands(&mut self) {
        let operands = std::mem::take(&mut self.operands);
        let has_pattern = self.has_pattern;
        let kinds = self.line.operands.iter().copied();
        let kinds: Vec<&str> = kinds.filter(|kind| *kind != "p" || !has_pattern).collect();
        let repeats = kinds.last().is_some_and(|last| last.ends_with(['*', '.']));
        for (at, word) in operands.iter().enumerate() {
            let last = kinds.last().filter(|_| repeats);
            let Some(kind) = kinds.get(at).or(last) else {
                let shown = word.shown();
                self.act
                    .doubt(format!("nothing is known of its argument `{shown}`"));
                continue;
            };
            self.take(kind.trim_end_matches(['*', '.']), word);
        }
        let is_here = kinds.last().is_some_and(|last| last.ends_with('.'));
        if is_here && operands.len() < kinds.len() {
            touch_directory(self.walk, EffectKind::Read, self.act);
        }
    }

    fn take(&mut self, kind: &str, word: &Word) {
        match kind {
            "r" if word.known() == Some("-") => {}
            "r" => self.walk.touch(EffectKind::Read, word, self.act),
            "w" => self.walk.touch(EffectKind::Write, word, self.act),
            _ if *word == Word::Unknown => self.act.doubt("it can't be told what an argument is"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_well_formed() {
        let mut names: Vec<&str> = Vec::new();
        for line in TABLE
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
        {
            let parts: Vec<&str> = line.split('|').collect();
            assert_eq!(parts.len(), 4, "{line}");
            for kind in parts[1].split_whitespace() {
                assert!(
                    ["v", "r", "w", "p", "a", "e", "v*", "r*", "w*", "r."].contains(&kind),
                    "{line}"
                );
            }
            for option in parts[2]
                .split_whitespace()
                .chain(parts[3].split_whitespace())
            {
                let kind = option.split_once('=').map_or("v", |(_, kind)| kind);
                assert!(["v", "r", "w"].contains(&kind), "{line}: {option}");
            }
            names.push(parts[0].trim());
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "a name is there once");
        assert!(count > 70, "{count}");
    }
}
