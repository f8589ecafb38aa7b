//! Finds entries of a work tree that git doesn't report: repositories, pipes, directories that can't be read.
//!
//! Only names and kinds are read. Ignored directories are left alone, as git leaves them.
//!
//! Owns the walk of a work tree. Imported by `capture` and `nested`.
//!
//! Invariants: no file is opened but a pipe that git would wait for; no directory is entered that git would not enter.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, FileType};
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use super::ground::Ground;
use super::pipes::EmptyPipes;
use crate::worktree::error::Error;

/// git holds a directory open for each level: from this many levels on it is started again below.
const LEVELS: usize = 48;

/// The findings. Paths are relative to the work tree.
#[derive(Default)]
pub(super) struct Survey {
    /// Directories with something named `.git` in them.
    pub(super) repositories: Vec<Vec<u8>>,
    /// Pipes, sockets and devices.
    pub(super) odd: Vec<Vec<u8>>,
    /// Directories that can't be listed.
    pub(super) unreadable: Vec<Vec<u8>>,
    /// Directories below which git has to start again.
    pub(super) deep: Vec<Vec<u8>>,
    /// Those pipes that git would read from, kept empty as long as this lives.
    pipes: EmptyPipes,
    /// How many files and links there are.
    pub(super) files: usize,
}

/// Where to look, besides the directories that aren't ignored.
#[derive(Default)]
pub(super) struct Scope {
    /// Directories with a tracked file below them: never ignored as a whole.
    tracked: HashSet<Vec<u8>>,
    /// Directories that are submodules: not entered.
    closed: HashSet<Vec<u8>>,
    /// Whether the directories of repositories below are looked at.
    into_repositories: bool,
}

impl Scope {
    /// In the repositories below, too, but not in those that are `closed`.
    pub(super) fn into_repositories(tracked: HashSet<Vec<u8>>, closed: HashSet<Vec<u8>>) -> Self {
        Self {
            tracked,
            closed,
            into_repositories: true,
        }
    }
}

impl Survey {
    /// Looks at all directories that git would look at.
    ///
    /// # Errors
    /// [`Error::Unreadable`] for a device in the place of ignore rules or attributes, from which git would read for
    /// ever.
    pub(super) fn take(ground: &Ground<'_>, scope: &Scope) -> Result<Self, Error> {
        let mut survey = Self::default();
        let mut rules = None;
        let mut pending = vec![(Vec::new(), 1)];
        while let Some((dir, level)) = pending.pop() {
            if ground.stop.is_cancelled() {
                return Err(Error::Stopped);
            }
            let below = match survey.list(ground, scope, &dir) {
                Ok(below) => below,
                Err(Error::Io { .. }) => {
                    survey.unreadable.push(dir);
                    continue;
                }
                Err(error) => return Err(error),
            };
            for path in below {
                let known = scope.tracked.contains(&path);
                if scope.closed.contains(&path) || !known && ignores(&mut rules, ground, &path)? {
                    continue;
                }
                if level % LEVELS == 0 {
                    survey.deep.push(path.clone());
                }
                pending.push((path, level + 1));
            }
        }
        Ok(survey)
    }

    /// Notes the entries of a directory and returns the directories among them.
    fn list(
        &mut self,
        ground: &Ground<'_>,
        scope: &Scope,
        dir: &[u8],
    ) -> Result<Vec<Vec<u8>>, Error> {
        let full = ground.full(dir);
        let failed = |source| Error::io("list", &full)(source);
        let mut below = Vec::new();
        if !scope.into_repositories && !dir.is_empty() && full.join(".git").exists() {
            self.repositories.push(dir.to_vec());
            return Ok(below);
        }
        for entry in fs::read_dir(&full).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let (name, kind) = (entry.file_name(), entry.file_type().map_err(failed)?);
            let path = match dir {
                [] => name.as_bytes().to_vec(),
                dir => [dir, b"/", name.as_bytes()].concat(),
            };
            if name == ".git" {
                if !dir.is_empty() {
                    self.repositories.push(dir.to_vec());
                }
            } else if kind.is_dir() {
                below.push(path);
            } else if kind.is_file() || kind.is_symlink() {
                self.files += 1;
            } else {
                if is_read_by_git(&name) {
                    self.feed(&path, kind, ground)?;
                }
                self.odd.push(path);
            }
        }
        Ok(below)
    }

    /// Sees to it that no git waits at a pipe.
    fn feed(&mut self, path: &[u8], kind: FileType, ground: &Ground<'_>) -> Result<(), Error> {
        let unreadable = |source| Error::Unreadable {
            path: Path::new(OsStr::from_bytes(path)).to_owned(),
            source,
        };
        if kind.is_fifo() {
            return self.pipes.add(ground.full(path)).map_err(unreadable);
        }
        // A socket can't be opened.
        if kind.is_socket() {
            return Ok(());
        }
        Err(unreadable(io::Error::other(
            "it is a device, whose content has no end",
        )))
    }
}

/// Returns whether git reads a file of that name in any directory, or at the top.
fn is_read_by_git(name: &OsStr) -> bool {
    [".gitignore", ".gitattributes", ".gitmodules"]
        .iter()
        .any(|read| name == *read)
}

/// A `git check-ignore` that is asked path by path: about a directory whose rules, and those above, were seen to be
/// files.
struct Rules {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Rules {
    fn start(ground: &Ground<'_>) -> io::Result<Self> {
        let mut child = ground
            .git("check-ignore")
            .args(["--no-index", "--stdin", "-z", "--verbose", "--non-matching"])
            .into_command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let questions = child.stdin.take().expect("stdin was piped");
        let answers = BufReader::new(child.stdout.take().expect("stdout was piped"));
        Ok(Self {
            child,
            questions,
            answers,
        })
    }

    /// An answer has four fields: the file of the rule, its line, the rule, the path; the first three may be empty.
    fn ask(&mut self, path: &[u8]) -> io::Result<bool> {
        self.questions.write_all(&[path, b"\0"].concat())?;
        let mut fields = [const { Vec::new() }; 4];
        for field in &mut fields {
            if self.answers.read_until(0, field)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        let rule = &fields[2];
        Ok(rule.len() > 1 && rule[0] != b'!')
    }
}

impl Drop for Rules {
    fn drop(&mut self) {
        // It holds nothing, and may have ended by itself.
        let _has_ended = self.child.kill();
        let _status_is_not_asked = self.child.wait();
    }
}

/// Returns whether a directory is ignored; the rules are started with the first question.
fn ignores(rules: &mut Option<Rules>, ground: &Ground<'_>, path: &[u8]) -> Result<bool, Error> {
    let failed = |source| Error::GitNotStarted {
        verb: "check-ignore",
        source,
    };
    let rules = match rules {
        Some(rules) => rules,
        None => rules.insert(Rules::start(ground).map_err(failed)?),
    };
    rules.ask(path).map_err(failed)
}
