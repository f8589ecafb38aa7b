//! Finds entries of a work tree that git doesn't report: repositories, pipes, directories that can't be read.
//!
//! Only names and kinds are read. Ignored directories are left alone, as git leaves them.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, FileType};
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use tokio_util::sync::CancellationToken;

use super::pipes::EmptyPipes;
use crate::worktree::error::Error;
use crate::worktree::git::Git;

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

/// Where to look.
pub(super) struct Ground<'a> {
    pub(super) git_dir: &'a Path,
    pub(super) work_tree: &'a Path,
    /// Directories with a tracked file below them: never ignored as a whole.
    pub(super) tracked: &'a HashSet<Vec<u8>>,
    /// Directories that are submodules: not entered.
    pub(super) closed: &'a HashSet<Vec<u8>>,
    /// Whether the directories of repositories below are looked at.
    pub(super) into_repositories: bool,
    pub(super) stop: &'a CancellationToken,
}

impl Survey {
    /// Looks at all directories that git would look at.
    ///
    /// # Errors
    /// [`Error::Unreadable`] for a device in the place of ignore rules or attributes, from which git would read for ever.
    pub(super) fn take(ground: &Ground<'_>) -> Result<Self, Error> {
        let mut survey = Self::default();
        let mut rules = None;
        let mut pending = vec![(Vec::new(), 1)];
        while let Some((dir, level)) = pending.pop() {
            if ground.stop.is_cancelled() {
                return Err(Error::Stopped);
            }
            let below = match survey.list(ground, &dir) {
                Ok(below) => below,
                Err(Error::Io { .. }) => {
                    survey.unreadable.push(dir);
                    continue;
                }
                Err(error) => return Err(error),
            };
            for path in below {
                if ground.closed.contains(&path)
                    || !ground.tracked.contains(&path)
                        && Rules::of(&mut rules, ground)?.ignore(&path)?
                {
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

    /// Takes in the entries of a directory and returns the directories among them.
    fn list(&mut self, ground: &Ground<'_>, dir: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        let full = ground.work_tree.join(OsStr::from_bytes(dir));
        let failed = |source| Error::io("list", &full)(source);
        let mut below = Vec::new();
        if !ground.into_repositories && !dir.is_empty() && full.join(".git").exists() {
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
        let relative = Path::new(OsStr::from_bytes(path));
        let unreadable = |source| Error::Unreadable {
            path: relative.to_owned(),
            source,
        };
        if kind.is_fifo() {
            let full = ground.work_tree.join(relative);
            return self.pipes.add(full).map_err(unreadable);
        }
        // A socket can't be opened. What a device says has no end.
        match kind.is_socket() {
            true => Ok(()),
            false => Err(unreadable(io::Error::other("it is a device"))),
        }
    }
}

/// Whether git reads a file of that name in any directory, or at the top.
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
    /// Starts it with the first question.
    fn of<'r>(rules: &'r mut Option<Self>, ground: &Ground<'_>) -> Result<&'r mut Self, Error> {
        match rules {
            Some(rules) => Ok(rules),
            None => Ok(rules.insert(Self::start(ground).map_err(not_asked)?)),
        }
    }

    fn start(ground: &Ground<'_>) -> io::Result<Self> {
        let mut child = Git::new(ground.git_dir, ground.work_tree, "check-ignore")
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

    fn ignore(&mut self, path: &[u8]) -> Result<bool, Error> {
        self.ask(path).map_err(not_asked)
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
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn not_asked(source: io::Error) -> Error {
    Error::GitNotStarted {
        verb: "check-ignore",
        source,
    }
}
