//! The programs in which the user has git show and edit text, as git itself finds them: by their variables and settings.

use super::git::Git;
use crate::os::given;

/// The pager of a user who has chosen none.
const PAGER: &str = "less";

/// The pager that git would pipe a command's output through, a command line for a shell; `None` where it would have none.
#[must_use]
pub fn query_pager(command: &str) -> Option<String> {
    let variable =
        |name: &str| given::variable(name).map(|value| value.to_string_lossy().into_owned());
    let setting = |name: &str| ask("config", &["--get", name]);
    choose_pager(command, variable, setting).filter(|pager| !pager.is_empty() && pager != "cat")
}

/// By the order of git's manual (`git var GIT_PAGER`), which git itself can't be asked for: `--no-pager`, with which it is run
/// here, is its `GIT_PAGER`.
fn choose_pager(
    command: &str,
    variable: impl Fn(&str) -> Option<String>,
    setting: impl Fn(&str) -> Option<String>,
) -> Option<String> {
    if let Some(pager) = variable("GIT_PAGER") {
        return Some(pager);
    }
    match setting(&format!("pager.{command}")).as_deref() {
        Some("false" | "no" | "off" | "0") => None,
        Some("true" | "yes" | "on" | "1") | None => setting("core.pager")
            .or_else(|| variable("PAGER"))
            .or_else(|| Some(PAGER.to_owned())),
        Some(own) => Some(own.to_owned()),
    }
}

/// The editor that git would open, a command line for a shell; `None` where git finds none.
#[must_use]
pub fn query_editor() -> Option<String> {
    ask("var", &["GIT_EDITOR"]).filter(|editor| !editor.is_empty())
}

/// What git answers; `None` where it has no answer.
fn ask(verb: &'static str, arguments: &[&str]) -> Option<String> {
    let directory = given::working_directory().ok()?;
    let mut git = Git::searching(&directory, verb).args(arguments);
    if let Some(editor) = given::variable("GIT_EDITOR") {
        git = git.env("GIT_EDITOR", editor);
    }
    let answer = git.query_output(Vec::new()).ok()?;
    Some(String::from_utf8(answer).ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pager_is_the_one_that_git_would_take() {
        for (variables, settings, expected) in [
            (&[][..], &[][..], Some("less")),
            (&[("PAGER", "most")], &[], Some("most")),
            (
                &[("PAGER", "most")],
                &[("core.pager", "delta")],
                Some("delta"),
            ),
            (
                &[],
                &[("core.pager", "less"), ("pager.diff", "delta -s")],
                Some("delta -s"),
            ),
            (
                &[],
                &[("core.pager", "delta"), ("pager.log", "false")],
                Some("delta"),
            ),
            (&[], &[("pager.diff", "false")], None),
            (
                &[],
                &[("core.pager", "delta"), ("pager.diff", "true")],
                Some("delta"),
            ),
            (
                &[("GIT_PAGER", "cat")],
                &[("pager.diff", "delta")],
                Some("cat"),
            ),
        ] {
            let of = |set: &[(&str, &str)], name: &str| {
                let found = set.iter().find(|(other, _)| *other == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            let chosen = choose_pager(
                "diff",
                |name| of(variables, name),
                |name| of(settings, name),
            );
            assert_eq!(chosen.as_deref(), expected, "{variables:?} {settings:?}");
        }
    }
}
