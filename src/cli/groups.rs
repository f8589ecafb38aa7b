//! `--help` of the whole: the commands by what people want of them.

use std::collections::BTreeSet;

use clap::Command;
use unicode_width::UnicodeWidthStr;

/// Beyond this many columns lines are hard to read.
const WIDEST: usize = 100;

/// The groups, with their commands in the order of their use.
const GROUPS: [(&str, &[&str]); 6] = [
    (
        "Run a task",
        &["delegate", "continue", "wait", "resume", "abort"],
    ),
    (
        "Look at runs",
        &[
            "watch", "list", "show", "diff", "log", "report", "status", "attach", "peek",
        ],
    ),
    ("Speak with an agent", &["reply", "send"]),
    ("Bring a result home", &["apply"]),
    (
        "Keep order",
        &["doctor", "recover", "cleanup", "prune", "config", "policy"],
    ),
    (
        "For programs and shells",
        &[
            "events",
            "mcp",
            "hooks",
            "classify",
            "capabilities",
            "schema",
            "skill",
            "completions",
            "man",
        ],
    ),
];
/// The heading of those that are in no group.
const OTHERS: &str = "More";

/// The same command line, whose help has the commands in groups. `width`: the columns of the terminal.
pub(super) fn grouped(command: Command, width: Option<usize>) -> Command {
    let list = list(&command, width.unwrap_or(WIDEST).min(WIDEST));
    let template = format!(
        "{{before-help}}{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{list}\nOptions:\n{{options}}{{after-help}}"
    );
    command.help_template(template)
}

fn list(command: &Command, width: usize) -> String {
    let shown = command
        .get_subcommands()
        .filter(|below| !below.is_hide_set());
    let shown: Vec<&Command> = shown.collect();
    let grouped: BTreeSet<&str> = GROUPS
        .iter()
        .flat_map(|(_, names)| *names)
        .copied()
        .collect();
    let others = shown.iter().map(|below| below.get_name());
    let others: Vec<&str> = others.filter(|name| !grouped.contains(name)).collect();
    let longest = shown.iter().map(|below| below.get_name().len()).max();
    let indent = longest.unwrap_or(0) + 4;
    let mut text = String::new();
    for (title, names) in GROUPS.into_iter().chain([(OTHERS, &others[..])]) {
        let commands = names
            .iter()
            .filter_map(|name| shown.iter().find(|below| below.get_name() == *name));
        let lines: String = commands
            .map(|below| {
                let about = below
                    .get_about()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                let head = format!("  {:<1$}", below.get_name(), indent - 2);
                head + &wrapped(&about, indent, width) + "\n"
            })
            .collect();
        if !lines.is_empty() {
            text += &format!("{title}:\n{lines}\n");
        }
    }
    text.trim_end().to_owned() + "\n"
}

/// A text in lines that fit, those after the first indented.
fn wrapped(text: &str, indent: usize, width: usize) -> String {
    let (mut lines, mut column) = (String::new(), indent);
    for word in text.split_whitespace() {
        let is_first = column == indent;
        if !is_first && column + 1 + word.width() > width {
            lines += &format!("\n{:indent$}", "");
            column = indent;
        } else if !is_first {
            lines.push(' ');
            column += 1;
        }
        lines += word;
        column += word.width();
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_is_listed_once_and_a_new_one_is_not_lost() {
        let names: Vec<&str> = GROUPS
            .iter()
            .flat_map(|(_, names)| *names)
            .copied()
            .collect();
        let mut command =
            Command::new("x").subcommand(Command::new("brand-new").about("It is new"));
        for name in &names {
            command =
                command.subcommand(Command::new(*name).about("What it does in some more words"));
        }
        let help = list(&command, 40);
        for name in names.into_iter().chain(["brand-new"]) {
            let lines = help
                .lines()
                .filter(|line| line.starts_with(&format!("  {name} ")));
            assert_eq!(lines.count(), 1, "{name}:\n{help}");
        }
        assert!(
            help.ends_with("More:\n  brand-new     It is new\n"),
            "{help}"
        );
        assert!(help.lines().all(|line| line.width() <= 40), "{help}");
    }
}
