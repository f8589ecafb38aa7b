//! Redirections, and the files that a command touches.

use std::path::PathBuf;

use brush_parser::ast::{IoFileRedirectKind as Kind, IoFileRedirectTarget as Target, IoRedirect};

use super::Stdin;
use super::walk::Walk;
use crate::policy::act::{Act, Effect, EffectKind, Word};
use crate::policy::ground::Place;

impl Walk<'_> {
    /// The acts of redirections, and what the command reads afterwards.
    pub(super) fn redirects<'r>(
        &mut self,
        redirects: impl IntoIterator<Item = &'r IoRedirect>,
        stdin: Stdin,
    ) -> Stdin {
        let mut stdin = stdin;
        for redirect in redirects {
            match redirect {
                IoRedirect::File(_, kind, target) => {
                    if matches!(kind, Kind::Read | Kind::ReadAndWrite | Kind::DuplicateInput) {
                        stdin = Stdin::Unknown;
                    }
                    self.redirect(kind, target);
                }
                IoRedirect::OutputAndError(word, _) => {
                    self.redirect_to(EffectKind::Write, &word.value)
                }
                IoRedirect::HereString(_, word) => {
                    stdin = match self.expand(&word.value) {
                        Word::Known(text) => Stdin::Text(text),
                        _ => Stdin::Unknown,
                    };
                }
                IoRedirect::HereDocument(_, here) => {
                    let body = if here.requires_expansion {
                        self.expand_heredoc(&here.doc.value)
                    } else {
                        Some(here.doc.value.clone())
                    };
                    stdin = body.map_or(Stdin::Unknown, Stdin::Text);
                }
            }
        }
        stdin
    }

    fn redirect(&mut self, kind: &Kind, target: &Target) {
        match target {
            Target::Fd(_) => {}
            Target::ProcessSubstitution(_, subshell) => {
                let directories = self.directories.clone();
                self.list(&subshell.list);
                self.directories = directories;
            }
            Target::Filename(word) if matches!(kind, Kind::Read) => {
                self.redirect_to(EffectKind::Read, &word.value);
            }
            Target::Filename(word) => self.redirect_to(EffectKind::Write, &word.value),
            Target::Duplicate(word) => {
                let is_number = word
                    .value
                    .trim_end_matches('-')
                    .bytes()
                    .all(|byte| byte.is_ascii_digit());
                if !is_number {
                    self.redirect_to(EffectKind::Write, &word.value);
                }
            }
        }
    }

    fn redirect_to(&mut self, kind: EffectKind, raw: &str) {
        let sign = if kind == EffectKind::Read { '<' } else { '>' };
        let word = self.expand(raw);
        let mut act = Act::new(format!("{sign} {}", word.shown()));
        let address = ["/dev/tcp/", "/dev/udp/"];
        match &word {
            Word::Known(path) if address.iter().any(|start| path.starts_with(start)) => {
                act.add(EffectKind::Network);
            }
            word => self.touch(kind, word, &mut act),
        }
        self.push(act);
    }

    /// Adds an effect on a file for each directory that the command may be in.
    pub(crate) fn touch(&mut self, kind: EffectKind, word: &Word, act: &mut Act) {
        if word.known().is_some_and(is_device) {
            return act.add(EffectKind::Nothing);
        }
        let spelled = match word {
            Word::Known(path) => Some(path.as_str()),
            // Up to the first name that is a pattern. What it stands for may be a link: it may be read, not written to.
            Word::Pattern(path) if kind == EffectKind::Read => {
                let fixed = path.find(['*', '?', '[']).unwrap_or(path.len());
                Some(path[..fixed].rfind('/').map_or(".", |end| &path[..=end]))
            }
            Word::Pattern(_) | Word::Unknown => None,
        };
        let parents = matches!(word, Word::Pattern(path) if path.contains(".."));
        let (Some(spelled), false) = (spelled, parents) else {
            act.effects.push(Effect::at(kind, Place::Unsure));
            return act.doubt("it can't be told which file that is");
        };
        if self.has_links {
            act.doubt("a link made before may lead elsewhere");
        }
        let directories = match (&self.directories, spelled.starts_with('/')) {
            (_, true) => vec![PathBuf::from("/")],
            (Some(directories), false) => directories.clone(),
            (None, false) => {
                act.effects.push(Effect::at(kind, Place::Unsure));
                return act.doubt("it can't be told in which directory it runs");
            }
        };
        for directory in directories {
            let place = self.ground.place(&directory, spelled);
            act.effects.push(Effect::at(kind, place));
        }
    }
}

/// Files that keep nothing.
fn is_device(path: &str) -> bool {
    let known = [
        "/dev/null",
        "/dev/stdin",
        "/dev/stdout",
        "/dev/stderr",
        "/dev/zero",
    ];
    known.contains(&path)
}
