//! The parser's place: on a thread of its own, behind limits.
//!
//! Source: brush-parser 0.4.0 overflows an 8 MB stack on 6 kB of `{`; `tests/agent/policy/time.rs` measures the time.

use std::thread;

use brush_parser::ast::Program;
use brush_parser::word::{self, WordPieceWithSource};
use brush_parser::{ParserOptions, parse_tokens, uncached_tokenize_str};

/// The longest script, in bytes.
const LENGTH: usize = 16 * 1024;
/// The most brackets and words that open something.
const OPENERS: usize = 120;
/// How many of them may be open at once.
const DEPTH: usize = 8;
/// The most marks between commands, and lines.
const SEPARATORS: usize = 300;
const LINES: usize = 1_000;

/// Address space, of which only what is used is taken.
const STACK: usize = 256 << 20;

/// Words that open a nesting.
const WORDS: [&str; 12] = [
    "if", "while", "until", "for", "case", "select", "do", "then", "function", "coproc", "!",
    "time",
];

/// A closure's answer from a thread with room for deep recursion; `None` if it panics.
pub(super) fn with_room<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK);
        thread.spawn_scoped(scope, work).ok()?.join().ok()
    })
}

/// Parses a script.
///
/// # Errors
/// Why it can't be told what it means.
pub(super) fn parse(script: &str) -> Result<Program, String> {
    check(script)?;
    let options = options();
    let parsed = uncached_tokenize_str(script, &options.tokenizer_options())
        .map_err(|error| error.to_string())
        .and_then(|tokens| parse_tokens(&tokens, &options).map_err(|error| error.to_string()));
    parsed.map_err(|_| "it can't be parsed".to_owned())
}

/// The pieces of a word.
pub(super) fn pieces(text: &str) -> Option<Vec<WordPieceWithSource>> {
    let pieces = word::parse(text, &options()).ok()?;
    // Each byte belongs to a piece, or the word was not understood.
    let mut end = 0;
    for piece in &pieces {
        if piece.start_index != end {
            return None;
        }
        end = piece.end_index;
    }
    (end == text.len()).then_some(pieces)
}

/// The pieces of a heredoc's body.
pub(super) fn heredoc_pieces(text: &str) -> Option<Vec<WordPieceWithSource>> {
    word::parse_heredoc(text, &options()).ok()
}

fn options() -> ParserOptions {
    ParserOptions {
        enable_extended_globbing: false,
        ..ParserOptions::default()
    }
}

/// Refuses what is too long or too deep, and characters that shells and people read differently.
fn check(script: &str) -> Result<(), String> {
    if script.len() > LENGTH {
        return Err(format!("it is longer than {LENGTH} bytes"));
    }
    if let Some(odd) = script.chars().find(|c| is_odd(*c)) {
        return Err(format!("it has the character U+{:04X}", u32::from(odd)));
    }
    let (mut open, mut count, mut depth) = (0_usize, 0, 0);
    let (mut separators, mut lines) = (0, 0);
    for byte in script.bytes() {
        match byte {
            b'(' | b'{' | b'[' => {
                open += 1;
                count += 1;
                depth = depth.max(open);
            }
            b')' | b'}' | b']' => open = open.saturating_sub(1),
            b'`' => count += 1,
            b';' | b'|' | b'&' => separators += 1,
            b'\n' => lines += 1,
            _ => {}
        }
    }
    let words = script.split(|c: char| !c.is_ascii_alphanumeric() && c != '!');
    count += words.filter(|word| WORDS.contains(word)).count();
    if separators > SEPARATORS || lines > LINES {
        return Err("it has too many commands".to_owned());
    }
    if count > OPENERS || depth > DEPTH {
        return Err("it is nested too deeply".to_owned());
    }
    Ok(())
}

/// Blanks that are none to a shell, control characters, and marks that change how a line is shown.
fn is_odd(c: char) -> bool {
    let is_format = matches!(u32::from(c),
        0xAD | 0x61C | 0x180E | 0x200B..=0x200F | 0x202A..=0x202E | 0x2060..=0x206F | 0xFEFF | 0xFFF9..=0xFFFB);
    c.is_control() && c != '\n' && c != '\t' || !c.is_ascii() && c.is_whitespace() || is_format
}
