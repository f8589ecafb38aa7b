//! How an agent is started in a pane: as argv, with an environment that stands in a file of ours.

use std::borrow::Cow;

use super::SessionSpec;

/// Runs the agent as argv, with exactly the environment that a file of ours holds, and writes its exit
/// status into a file.
///
/// Arguments: the working directory, the environment file, the status file, the program, its arguments.
/// `env -i` because a tmux server hands on the environment of whoever started it first. The directory is
/// entered here since tmux would expand `#` in it and, where it can't be entered, start the agent somewhere
/// else. The environment file is removed before it is obeyed, which may change PATH or end the shell, and
/// no variable of the shell hides one of the agent's.
const LAUNCHER: &str = r#"cd -- "$1" && exec 9<"$2" || exit 126
rm -f -- "$2"
. /dev/fd/9 || exit 126
exec 9<&-
cx_operator_status=$3
shift 3
"$@"
set -- "$?" "$cx_operator_status"
(umask 077; printf '%s\n' "$1" >"$2")
exit "$1""#;

/// Variables that a shell keeps to itself or checks: to set one can end it.
///
/// Source: bash 5.2 in its POSIX mode (the first six), dash 0.5.12 (the last).
const SHELL_OWN: [&str; 7] = [
    "UID",
    "EUID",
    "PPID",
    "BASHOPTS",
    "SHELLOPTS",
    "BASH_VERSINFO",
    "OPTIND",
];

/// The text of an environment file: one `export NAME='value'` a line, for [`SessionSpec::environment`].
///
/// Names that are no shell names, or those of a shell's own variables, are left out: a shell can't set them.
#[must_use]
pub fn environment_file(variables: &[(String, String)]) -> String {
    let is_name = |name: &str| {
        !name.is_empty()
            && !SHELL_OWN.contains(&name)
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    let mut text = String::new();
    for (name, value) in variables.iter().filter(|(name, _)| is_name(name)) {
        text.push_str(&format!("export {name}={}\n", shell_quote(value)));
    }
    text
}

/// A word as one argument of a POSIX shell.
pub(crate) fn shell_quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

pub(super) fn launcher_argv(spec: &SessionSpec<'_>) -> Vec<String> {
    // The absolute paths: `env -i` leaves no PATH to look in.
    let mut argv: Vec<String> = [
        "/usr/bin/env",
        "-i",
        "/bin/sh",
        "-c",
        LAUNCHER,
        "cx-operator",
    ]
    .map(str::to_owned)
    .into();
    argv.push(spec.cwd.to_string_lossy().into_owned());
    argv.push(spec.environment.to_string_lossy().into_owned());
    argv.push(spec.exit_status.to_string_lossy().into_owned());
    argv.extend_from_slice(spec.argv);
    argv
}

/// tmux takes a `;` at the end of an argument for the end of the command.
pub(super) fn escape_separator(arg: &str) -> Cow<'_, str> {
    match arg.strip_suffix(';') {
        Some(rest) => Cow::Owned(format!("{rest}\\;")),
        None => Cow::Borrowed(arg),
    }
}

/// A text that tmux's formats leave as it is, where tmux expands them: `#{…}`, `#(command)`, and the `%H` of
/// strftime.
///
/// Source: tmux 3.3a, `pipe-pane`; a run of `#` before `[` is kept as it is written, and every other `##` is one `#`.
pub(super) fn escape_format(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['#', '%']) {
        let (plain, special) = rest.split_at(at);
        escaped.push_str(plain);
        if let Some(after) = special.strip_prefix('%') {
            escaped.push_str("%%");
            rest = after;
            continue;
        }
        let count = special.bytes().take_while(|&byte| byte == b'#').count();
        rest = special.trim_start_matches('#');
        let copies = if rest.starts_with('[') {
            count
        } else {
            2 * count
        };
        escaped.extend(std::iter::repeat_n('#', copies));
    }
    escaped.push_str(rest);
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_file_is_shell_and_nothing_else() {
        let variables = [
            ("A", "it's"),
            ("1X", "no"),
            ("B C", "no"),
            ("UID", "no"),
            ("D", "a\nb $(x)"),
        ];
        let text =
            environment_file(&variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(text, "export A='it'\\''s'\nexport D='a\nb $(x)'\n");
    }

    #[test]
    fn formats_are_escaped() {
        for (text, escaped) in [
            ("/a b", "/a b"),
            ("/#{pid}/%H", "/##{pid}/%%H"),
            ("##x#", "####x##"),
            ("#[a]##[b]", "#[a]##[b]"),
        ] {
            assert_eq!(escape_format(text), escaped);
        }
    }

    #[test]
    fn a_trailing_separator_is_escaped() {
        assert_eq!(escape_separator("a;"), "a\\;");
        assert_eq!(escape_separator("a;b"), "a;b");
    }
}
