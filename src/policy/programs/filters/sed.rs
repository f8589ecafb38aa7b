//! `sed`: a script of substitutions, deletions and prints is only that; another one may run commands or write files.

use super::super::super::act::{Act, EffectKind, Word};
use super::super::super::shell::Walk;

pub(super) fn describe(walk: &mut Walk<'_>, arguments: &[Word], act: &mut Act) {
    let (mut scripts, mut files) = (Vec::new(), Vec::new());
    let (mut has_script, mut in_place) = (false, false);
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        match word.known() {
            Some("-e" | "--expression") => {
                has_script = true;
                scripts.extend(rest.next());
            }
            Some("--") => files.extend(rest.by_ref()),
            Some("--in-place") => in_place = true,
            Some(
                "--quiet" | "--silent" | "--regexp-extended" | "--separate" | "--null-data"
                | "--posix",
            ) => {}
            // A suffix names another file.
            Some("-i.bak" | "-i.orig" | "--in-place=.bak") => in_place = true,
            Some(text) if text.len() > 1 && text.starts_with('-') => {
                let letters = &text[1..];
                in_place |= letters.contains('i');
                let is_mild = letters.chars().all(|c| "nErsuz".contains(c))
                    || letters.ends_with('i')
                        && letters[..letters.len() - 1]
                            .chars()
                            .all(|c| "nErsuz".contains(c));
                if !is_mild {
                    act.doubt(format!("nothing is known of sed's {text}"));
                }
            }
            _ => files.push(word),
        }
    }
    if !has_script && !files.is_empty() {
        scripts.push(files.remove(0));
    }
    for script in scripts {
        if !script.known().is_some_and(is_plain) {
            act.add(EffectKind::Unknown);
            act.doubt("its script may do more than to replace and to print");
        }
    }
    for file in files {
        let kind = if in_place {
            EffectKind::Write
        } else {
            EffectKind::Read
        };
        walk.touch(kind, file, act);
    }
}

/// Whether a script has nothing but addresses, substitutions, and commands that neither read nor write nor run anything.
fn is_plain(script: &str) -> bool {
    let mut reader = Reader {
        left: script.trim(),
    };
    while !reader.left.is_empty() {
        if reader.command().is_none() {
            return false;
        }
    }
    true
}

struct Reader<'s> {
    left: &'s str,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let mut chars = self.left.chars();
        let next = chars.next();
        self.left = chars.as_str();
        next
    }

    fn skip(&mut self, of: &str) {
        self.left = self.left.trim_start_matches(|c| of.contains(c));
    }

    /// One command with its addresses, and what separates it from the next.
    fn command(&mut self) -> Option<()> {
        self.skip(" \t\n;{}");
        if self.left.is_empty() {
            return Some(());
        }
        self.address()?;
        self.skip(" \t");
        if self.left.starts_with(',') {
            self.next();
            self.skip(" \t+~");
            self.address()?;
        }
        self.skip(" \t!");
        match self.next()? {
            's' => {
                self.delimited(2)?;
                self.skip("gpiImM0123456789");
            }
            'y' => self.delimited(2)?,
            // The next command follows.
            '{' => return Some(()),
            'p' | 'd' | 'D' | 'P' | 'n' | 'N' | 'g' | 'G' | 'h' | 'H' | 'x' | '=' => {
                if self.left.starts_with(|c: char| c.is_ascii_alphanumeric()) {
                    return None;
                }
            }
            'q' | 'Q' => self.skip("0123456789"),
            _ => return None,
        }
        self.skip(" \t");
        let is_end = self.left.is_empty() || self.left.starts_with([';', '\n', '}', '{']);
        is_end.then_some(())
    }

    fn address(&mut self) -> Option<()> {
        match self.left.chars().next()? {
            '0'..='9' => self.skip("0123456789~"),
            '$' => {
                self.next();
            }
            '/' => {
                self.delimited(1)?;
                self.skip("I");
            }
            _ => {}
        }
        Some(())
    }

    /// That many parts, each ended by the character that comes first. A bracket that has it is read differently by some.
    fn delimited(&mut self, parts: usize) -> Option<()> {
        let end = self
            .next()
            .filter(|c| c.is_ascii_punctuation() && !"\\;[]{}".contains(*c))?;
        for _ in 0..parts {
            let mut in_brackets = false;
            loop {
                match self.next()? {
                    '\\' => {
                        self.next()?;
                    }
                    '\n' => return None,
                    '[' => in_brackets = true,
                    ']' => in_brackets = false,
                    c if c == end && in_brackets => return None,
                    c if c == end => break,
                    _ => {}
                }
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::is_plain;

    #[test]
    fn only_plain_scripts_are_plain() {
        for script in [
            "s/a/b/",
            "s|a|b|g",
            "1,5p",
            "$d",
            "/x/d",
            "/a/,/b/p",
            "s/a/b/;s/c/d/gI",
            "10q",
            "/x/!d",
            "2{p}",
            "s/a\\/b/c/",
            "1~2p",
        ] {
            assert!(is_plain(script), "{script}");
        }
        for script in [
            "e",
            "1e ls",
            "s/a/b/e",
            "s/a/b/w x",
            "w x",
            "r /etc/passwd",
            "s/a/ls/e;p",
            "/x/e",
            "$!{e ls\n}",
            "p;e",
            "s/[/]/e/",
            "a\\ntext",
            "F",
            "s/a/b/;w y",
            "R x",
            "s/x/y/ge",
        ] {
            assert!(!is_plain(script), "{script}");
        }
    }
}
