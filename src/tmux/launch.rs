//! How an agent is started in a pane: as argv, with an environment from a file of ours.

use std::borrow::Cow;

use super::SessionSpec;
use crate::os::launcher::LauncherStart;

/// The launcher's command line.
pub(super) fn launcher_argv(spec: &SessionSpec<'_>) -> Vec<String> {
    let start = LauncherStart {
        run_id: spec.run_id,
        launcher: spec.launcher,
        cwd: spec.cwd,
        environment: spec.environment,
        exit_status: spec.exit_status,
        cgroup: spec.cgroup,
        argv: spec.argv,
    };
    start.argv()
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
