//! Policies on commands as agents write them: a table, and what must hold for any spelling.

use std::path::Path;

use cx_operator::policy::{Action, Ground, Policy, Request, Verdict, Wish};

mod spelling;
mod time;

const TABLE: &str = include_str!("policy/table.txt");

fn ground() -> Ground {
    Ground::new(Path::new("/worktree"), Some(Path::new("/home/user")))
}

fn judge(policy: &Policy, command: &str) -> Verdict {
    let request = Request {
        tool: "Bash".to_owned(),
        wish: Wish::Shell(command.to_owned()),
        directory: Some("/worktree".into()),
    };
    policy.judge(&request, &ground())
}

fn preset(name: &str) -> Policy {
    Policy::preset(name).expect("a preset")
}

/// The command of a line, in which `⏎` is a newline and `⟨U+00A0⟩` a character that can't be seen.
fn command(spelled: &str) -> String {
    let mut said = String::new();
    let mut rest = spelled;
    while let Some((before, after)) = rest.split_once("⟨U+") {
        let (hex, after) = after.split_once('⟩').expect("an end");
        let code = u32::from_str_radix(hex, 16).expect("a number");
        said.push_str(before);
        said.push(char::from_u32(code).expect("a character"));
        rest = after;
    }
    said.push_str(rest);
    said.replace('⏎', "\n")
}

#[test]
fn every_command_of_the_table_gets_its_decision() {
    let policies = ["read-only", "edit-and-test", "local-only"].map(preset);
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in TABLE.lines() {
        let (decisions, spelled) = line.split_at(18);
        let command = command(spelled);
        let wanted: Vec<&str> = decisions.split_whitespace().collect();
        let found: Vec<&str> = policies
            .iter()
            .map(|policy| judge(policy, &command).action.as_str())
            .collect();
        if wanted != found {
            wrong.push(format!("{found:?} instead of {line}"));
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 450, "{count} commands");
}

/// A denial says what to do instead, and what decided is named.
#[test]
fn a_verdict_names_its_rule_and_each_act() {
    let verdict = judge(&preset("edit-and-test"), "ls && git push");
    assert_eq!(
        (verdict.action, verdict.rule.as_str()),
        (Action::Deny, "publish")
    );
    assert!(
        verdict
            .message
            .is_some_and(|message| message.contains("Publish nothing"))
    );
    let acts: Vec<(&str, Action)> = verdict
        .acts
        .iter()
        .map(|judged| (judged.act.as_str(), judged.action))
        .collect();
    assert_eq!(acts, [("ls", Action::Allow), ("git push", Action::Deny)]);
}

#[test]
fn tools_are_judged_by_what_they_touch() {
    let policy = preset("edit-and-test");
    let said = |tool: &str, wish: Wish| {
        let request = Request {
            tool: tool.to_owned(),
            wish,
            directory: Some("/worktree/src".into()),
        };
        policy.judge(&request, &ground()).action
    };
    let files = |name: &str| vec![name.to_owned()];
    assert_eq!(said("Edit", Wish::Edit(files("a.rs"))), Action::Allow);
    assert_eq!(said("Edit", Wish::Edit(files("../../x"))), Action::Deny);
    assert_eq!(said("Edit", Wish::Edit(Vec::new())), Action::Ask);
    assert_eq!(said("Read", Wish::Read(files("/etc/passwd"))), Action::Ask);
    assert_eq!(
        said("WebFetch", Wish::Web("https://example.com".into())),
        Action::Ask
    );
    assert_eq!(said("mcp__x__y", Wish::Other), Action::Ask);
    assert_eq!(said("TodoWrite", Wish::Talk), Action::Allow);
}

/// An agent may run a command elsewhere than it says.
#[test]
fn without_a_directory_only_absolute_paths_are_allowed() {
    let policy = preset("edit-and-test");
    let said = |command: &str| {
        let request = Request {
            tool: "Bash".to_owned(),
            wish: Wish::Shell(command.to_owned()),
            directory: None,
        };
        policy.judge(&request, &ground()).action
    };
    for command in ["rm x", "cat x", "ls", "git status", "touch a"] {
        assert_eq!(said(command), Action::Ask, "{command}");
    }
    assert_eq!(said("cat /worktree/x && echo y"), Action::Allow);
    assert_eq!(said("cd /worktree && touch x"), Action::Allow);
    assert_eq!(said("git push"), Action::Deny);
}

#[test]
fn a_rule_can_name_a_tool() {
    let text = "[[rule]]\naction = \"allow\"\ntool = [\"mcp__docs__*\", \"web\"]";
    let policy = Policy::parse(text).expect("a policy");
    let said = |tool: &str, wish: Wish| {
        let request = Request {
            tool: tool.to_owned(),
            wish,
            directory: Some("/worktree".into()),
        };
        policy.judge(&request, &ground()).action
    };
    assert_eq!(said("mcp__docs__find", Wish::Other), Action::Allow);
    assert_eq!(said("mcp__mail__send", Wish::Other), Action::Ask);
    assert_eq!(said("WebFetch", Wish::Web("x".into())), Action::Allow);
}
