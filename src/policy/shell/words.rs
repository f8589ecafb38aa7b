//! The expansion of words, as far as it is certain.

use brush_parser::word::{Parameter, ParameterExpr, TildeExpr, WordPiece, WordPieceWithSource};

use super::parse;
use super::walk::Walk;
use crate::policy::act::{Act, Word};
use crate::policy::programs;

/// Variables that are no secret.
const PUBLIC: [&str; 12] = [
    "PWD", "OLDPWD", "USER", "LOGNAME", "SHELL", "PATH", "HOSTNAME", "RANDOM", "SECONDS", "LINENO",
    "UID", "PPID",
];

/// A word while it is put together.
#[derive(Default)]
struct Draft {
    text: String,
    is_pattern: bool,
    is_unknown: bool,
}

impl Walk<'_> {
    /// Expands a word. Commands in it are walked.
    pub(super) fn expand(&mut self, raw: &str) -> Word {
        // Alone they are no pattern, and one of them is a program.
        if ["[", "]"].contains(&raw) {
            return Word::Known(raw.to_owned());
        }
        let Some(pieces) = parse::pieces(raw) else {
            self.unread(raw);
            return Word::Unknown;
        };
        let mut draft = Draft::default();
        // What zsh takes for the path of a program.
        draft.is_unknown |= raw.starts_with('=') && raw.len() > 1;
        for piece in &pieces {
            self.expand_piece(piece, false, &mut draft);
        }
        let starts_plain = draft
            .text
            .starts_with(|c: char| c.is_ascii_alphanumeric() || "./_".contains(c));
        match draft {
            Draft {
                is_unknown: true, ..
            } => Word::Unknown,
            // One that begins with the pattern may stand for a file whose name is an option.
            Draft {
                is_pattern: true,
                text,
                ..
            } if starts_plain => Word::Pattern(text),
            Draft {
                is_pattern: true, ..
            } => Word::Unknown,
            Draft { text, .. } => Word::Known(text),
        }
    }

    /// The body of a heredoc: its text, if nothing in it is expanded.
    pub(super) fn expand_heredoc(&mut self, body: &str) -> Option<String> {
        let Some(pieces) = parse::heredoc_pieces(body) else {
            self.unread(body);
            return None;
        };
        let mut draft = Draft::default();
        for piece in &pieces {
            self.expand_piece(piece, true, &mut draft);
        }
        (!draft.is_unknown).then_some(draft.text)
    }

    fn expand_piece(&mut self, piece: &WordPieceWithSource, quoted: bool, draft: &mut Draft) {
        match &piece.piece {
            WordPiece::Text(text) if quoted => draft.text.push_str(text),
            WordPiece::Text(text) => add_plain(text, draft),
            WordPiece::SingleQuotedText(text) => draft.text.push_str(text),
            WordPiece::AnsiCQuotedText(text) => match ansi_c(text) {
                Some(text) => draft.text.push_str(&text),
                None => draft.is_unknown = true,
            },
            WordPiece::DoubleQuotedSequence(inner) => {
                for piece in inner {
                    self.expand_piece(piece, true, draft);
                }
            }
            WordPiece::GettextDoubleQuotedSequence(inner) => {
                for piece in inner {
                    self.expand_piece(piece, true, draft);
                }
                draft.is_unknown = true;
            }
            WordPiece::EscapeSequence(sequence) => add_escaped(sequence, quoted, draft),
            WordPiece::TildeExpansion(TildeExpr::Home) => match self.home() {
                Some(home) => draft.text.push_str(&home),
                None => draft.is_unknown = true,
            },
            WordPiece::TildeExpansion(_) => draft.is_unknown = true,
            WordPiece::CommandSubstitution(script) => {
                draft.is_unknown = true;
                self.substitution(script);
            }
            WordPiece::BackquotedCommandSubstitution(script) => {
                draft.is_unknown = true;
                self.substitution(&unescape_backquoted(script));
            }
            WordPiece::ParameterExpansion(parameter) => {
                self.expand_parameter(parameter, quoted, draft)
            }
            WordPiece::ArithmeticExpression(expression) => {
                draft.is_unknown = true;
                let is_plain = |c: char| c.is_ascii_digit() || " +-*/%()<>=&|".contains(c);
                if !expression.value.chars().all(is_plain) {
                    self.unread(&expression.value);
                }
            }
        }
    }

    /// `$HOME` is known as long as nobody sets it; of others it is only known whether a command may hide in them.
    fn expand_parameter(&mut self, parameter: &ParameterExpr, quoted: bool, draft: &mut Draft) {
        let ParameterExpr::Parameter {
            parameter,
            indirect: false,
        } = parameter
        else {
            draft.is_unknown = true;
            return self.unread("${…}");
        };
        match parameter {
            Parameter::Named(name) if name == "HOME" => match self.home() {
                Some(home) if quoted || home.bytes().all(is_word_byte) => {
                    draft.text.push_str(&home)
                }
                _ => draft.is_unknown = true,
            },
            Parameter::Named(name) => {
                draft.is_unknown = true;
                if !programs::is_private_variable(name) && !PUBLIC.contains(&name.as_str()) {
                    let why = "it shows a variable of the environment, which may be a key";
                    self.push(Act::doubtful(format!("${name}"), why));
                }
            }
            Parameter::Positional(_) | Parameter::Special(_) => draft.is_unknown = true,
            Parameter::NamedWithIndex { .. } | Parameter::NamedWithAllIndices { .. } => {
                draft.is_unknown = true;
                self.unread("${…[…]}");
            }
        }
    }
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/._-".contains(&byte)
}

/// Text without quotes.
fn add_plain(text: &str, draft: &mut Draft) {
    for c in text.chars() {
        match c {
            '*' | '?' | '[' | ']' => draft.is_pattern = true,
            // Words are made of a brace, a list of files of a bracket; a tilde may be one, too.
            '{' | '}' if text != "{}" => draft.is_unknown = true,
            '(' | ')' | '|' | '<' | '>' | '`' | '$' | '"' | '\'' | '\\' => draft.is_unknown = true,
            '~' => draft.is_unknown |= !draft.text.ends_with(|c: char| c.is_ascii_alphanumeric()),
            _ => {}
        }
        draft.text.push(c);
    }
}

/// `\c`: in double quotes only some characters lose the backslash.
fn add_escaped(sequence: &str, quoted: bool, draft: &mut Draft) {
    let mut chars = sequence.chars();
    match (chars.next(), chars.next(), chars.next()) {
        (Some('\\'), Some('\n'), None) => {}
        (Some('\\'), Some(c), None) if !quoted || "$`\"\\".contains(c) => draft.text.push(c),
        (Some('\\'), Some(c), None) => draft.text.extend(['\\', c]),
        _ => draft.is_unknown = true,
    }
}

/// The text of `$'…'`, if it has only escapes that are the same everywhere.
fn ansi_c(text: &str) -> Option<String> {
    let mut said = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            said.push(c);
            continue;
        }
        let digits = match chars.next()? {
            'n' => '\n',
            't' => '\t',
            '\\' => '\\',
            '\'' => '\'',
            '"' => '"',
            'x' => {
                let hex: String = std::iter::from_fn(|| chars.next_if(char::is_ascii_hexdigit))
                    .take(2)
                    .collect();
                char::from(u8::from_str_radix(&hex, 16).ok().filter(u8::is_ascii)?)
            }
            first @ '0'..='7' => {
                let more =
                    std::iter::from_fn(|| chars.next_if(|c| ('0'..='7').contains(c))).take(2);
                let octal: String = std::iter::once(first).chain(more).collect();
                char::from(u8::from_str_radix(&octal, 8).ok().filter(u8::is_ascii)?)
            }
            _ => return None,
        };
        if digits == '\0' {
            return None;
        }
        said.push(digits);
    }
    Some(said)
}

/// Within backquotes a backslash before these is taken off first.
fn unescape_backquoted(script: &str) -> String {
    let mut said = String::new();
    let mut chars = script.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some('`' | '\\' | '$')) => said.extend(chars.next()),
            _ => said.push(c),
        }
    }
    said
}
