//! What people get at a terminal and beside it: colours, names that may be left out, questions, completions, pages, the skill.

use std::fs;
use std::process::Command;

use serde_json::json;
use testkit::built;
use testkit::terminal::Terminal;
use testkit::world::Ran;

use crate::place::Place;

const ONE: &str = "20260101-000000-one-0001";
const TWO: &str = "20260102-000000-two-0002";

#[test]
fn without_a_name_the_newest_run_is_meant() {
    let place = Place::new();
    for command in ["show", "diff", "log"] {
        let ran = place.cli(&[command]);
        assert_eq!(ran.code, 2, "{command}");
        assert!(
            ran.stderr.contains("there are no runs yet"),
            "{}",
            ran.stderr
        );
    }
    place.record(ONE, "one", |_| {});
    place.record(TWO, "two", |_| {});
    let shown = place.cli(&["show", "--json"]).document();
    assert_eq!(shown["run_id"], TWO);
    let ran = place.cli(&["diff"]);
    assert!(
        ran.stderr.contains("-two-0002 has no diff"),
        "{}",
        ran.stderr
    );
}

#[test]
fn the_environment_and_the_command_line_say_whether_there_are_colours() {
    let place = Place::new();
    place.record(ONE, "one", |_| {});
    let has_colours = |set: &[(&str, &str)], words: &[&str]| {
        let mut command = place.operator(words);
        command.envs(set.iter().copied());
        let ran = Ran::of(&mut command, b"");
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stdout.contains('\u{1b}')
    };
    for (set, words, expected) in [
        (&[][..], &["list"][..], false),
        (&[("CLICOLOR_FORCE", "1")], &["list"], true),
        (
            &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")],
            &["list"],
            false,
        ),
        (&[("NO_COLOR", "1")], &["list", "--color", "always"], true),
        (
            &[("CLICOLOR_FORCE", "1")],
            &["--color=never", "list"],
            false,
        ),
        (&[("CLICOLOR_FORCE", "1")], &["list", "--json"], false),
        (&[], &["show", "--color=always"], true),
    ] {
        assert_eq!(has_colours(set, words), expected, "{set:?} {words:?}");
    }
}

#[test]
fn a_typing_mistake_never_suggests_what_ends_or_removes_something() {
    let place = Place::new();
    let said = |words: &[&str]| {
        let ran = place.cli(words);
        assert_eq!(ran.code, 2, "{words:?}");
        ran.stderr
    };
    for words in [
        &["prun"][..],
        &["clenup"],
        &["abrt"],
        &["hooks", "uninstal"],
    ] {
        let said = said(words);
        assert!(!said.contains("similar"), "{said}");
    }
    assert!(said(&["lst"]).contains("'list'"));
    assert!(said(&["hooks", "instal"]).contains("'install'"));
}

#[test]
fn a_shell_completes_tasks_and_runs() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        let ran = place.cli(&["completions", shell]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(ran.stdout.contains("COMPLETE"), "{}", ran.stdout);
    }
    let offered = |words: &[&str]| {
        let mut command = place.operator(&[&["--", "cx-operator"], words].concat());
        command
            .env("COMPLETE", "bash")
            .env("_CLAP_IFS", "\n")
            .env("_CLAP_COMPLETE_INDEX", words.len().to_string())
            .env("_CLAP_COMPLETE_COMP_TYPE", "9")
            .env("_CLAP_COMPLETE_SPACE", "true");
        let ran = Ran::of(&mut command, b"");
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stdout.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(offered(&["show", "o"]), [""; 0], "no records yet");
    assert!(!place.state().exists(), "a look makes no directory");
    place.record(ONE, "one", |_| {});
    place.record("20260103-000000-one-0003", "one", |_| {});
    place.record(TWO, "two", |_| {});
    assert_eq!(offered(&["show", "o"]), ["one"]);
    assert_eq!(offered(&["diff", "20260102"]), [TWO]);
    assert!(offered(&["wait", ""]).starts_with(&["one".to_owned(), "two".to_owned()]));
    assert_eq!(offered(&["pru"]), ["prune"]);
}

/// The shells themselves take the scripts, and offer tasks.
#[test]
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn zsh_and_fish_complete() {
    let place = Place::new();
    place.record(ONE, "one", |_| {});
    let bin = built::operator().parent().expect("a directory").to_owned();
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let ask = |shell: &str, script: &str| {
        let found = Command::new(shell).arg("--version").output();
        if found.is_err() {
            eprintln!("SKIPPED: {shell} is missing");
            return None;
        }
        let mut command = place.command(shell);
        command.args(["-c", script]).env("PATH", &path);
        command.env("CX_OPERATOR_STATE", place.state());
        let ran = Ran::of(&mut command, b"");
        assert_eq!(ran.code, 0, "{shell}: {}", ran.stderr);
        Some(ran.stdout)
    };
    let fish = "cx-operator completions fish | source; complete -C 'cx-operator show o'; complete -C 'cx-operator pru'";
    if let Some(offered) = ask("fish", fish) {
        let words = offered.lines().filter_map(|line| line.split('\t').next());
        assert_eq!(words.collect::<Vec<_>>(), ["one", "prune"], "{offered}");
    }
    // Its widgets need a line editor; they are given what the function puts into `_describe`.
    let zsh = "autoload -U compinit; compinit -D -u; eval \"$(cx-operator completions zsh)\"; \
        print -r -- $_comps[cx-operator]; \
        _describe() { print -rl -- \"${(@P)3}\" }; \
        words=(cx-operator show o); CURRENT=3; $_comps[cx-operator]";
    if let Some(offered) = ask("zsh", zsh) {
        assert!(offered.starts_with("_"), "it is not registered: {offered}");
        assert!(
            offered.lines().skip(1).any(|word| word.starts_with("one")),
            "{offered}"
        );
    }
}

#[test]
fn each_command_has_a_manual_page() {
    let place = Place::new();
    let page = place.cli(&["man"]).stdout;
    assert!(page.contains(".TH cx-operator 1"), "{page}");
    let dir = place.path("man");
    fs::create_dir(&dir).expect("made");
    let ran = place.cli(&["man", "--dir", &dir.display().to_string()]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let page = fs::read_to_string(dir.join("cx-operator-delegate.1")).expect("a page");
    assert!(page.contains("max\\-turns"), "{page}");
    let missing = place.path("nowhere").display().to_string();
    let ran = place.cli(&["man", "--dir", &missing]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("nowhere"), "{}", ran.stderr);
}

#[test]
fn the_skill_is_installed_on_request_and_only_then() {
    let place = Place::new();
    let home = place.path("home-of-skills");
    let skill = |words: &[&str]| {
        let mut command = place.operator(&[&["skill"], words].concat());
        command.env("HOME", &home).env_remove("CODEX_HOME");
        Ran::of(command.env_remove("CLAUDE_CONFIG_DIR"), b"")
    };
    let printed = skill(&[]).stdout;
    assert!(printed.starts_with("---\nname: cx-operator\n"), "{printed}");
    assert!(!home.exists(), "printing installs nothing");
    for (agent, below) in [("claude", ".claude"), ("codex", ".codex")] {
        assert_eq!(skill(&["--install", agent]).code, 0);
        let file = home.join(below).join("skills/cx-operator/SKILL.md");
        assert_eq!(fs::read_to_string(&file).expect("installed"), printed);
        assert!(skill(&["--install", agent]).stderr.contains("already"));
        let list = file.with_file_name(".installed.sha256");
        assert!(list.exists(), "an update knows it by that");
        fs::write(&file, "mine").expect("changed");
        let refused = skill(&["--install", agent]);
        assert_eq!(refused.code, 2);
        assert!(refused.stderr.contains("SKILL.md"), "{}", refused.stderr);
        assert_eq!(fs::read_to_string(&file).expect("there"), "mine");
    }
}

#[test]
fn at_a_terminal_a_person_looks_writes_and_answers() {
    let place = Place::new();
    let mut command = place.delegate("t");
    command
        .args(["--no-preamble", "--prompt"])
        .arg("[[question]]")
        .env("GIT_EDITOR", "printf '%s' '[[shell echo edited >b.txt]]' >");
    let mut tmux = place.command("tmux");
    let set = command.get_envs();
    tmux.envs(set.filter_map(|(name, value)| Some((name, value?))));
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let socket = place.path("person.sock");
    let terminal = Terminal::open(tmux, (&socket, true), (80, 60), words);
    let asked = terminal.wait_for("/leave");
    assert!(!asked.contains("/allow"), "it is no approval: {asked}");
    terminal.type_line("/diff");
    terminal.wait_for("nothing has changed so far");
    fs::write(place.worktrees().join("cx-t/hello.txt"), "hello\n").expect("written");
    terminal.type_line("/diff");
    terminal.wait_for("+hello");
    // Beside it, from anywhere.
    let shown = place.cli(&["show", "t"]).stdout;
    assert!(
        shown.contains("WAITING  t (") && shown.contains("so far: 1 file, +1 -0"),
        "{shown}"
    );
    let peeked = place.cli(&["peek", "t"]).stdout;
    assert!(peeked.contains("tabs or spaces"), "{peeked}");
    let refused = place.cli(&["diff", "t"]);
    assert_eq!(
        (refused.code, refused.stdout.as_str()),
        (2, ""),
        "for `git apply`"
    );
    assert!(
        place
            .cli(&["diff", "t", "--live"])
            .stdout
            .contains("\n+hello\n")
    );
    terminal.type_line("/edit");
    let end = terminal.wait_for("next:");
    assert!(end.contains("COMPLETED  t ("), "{end}");
    assert!(end.contains("cx-operator diff t\n"), "{end}");
    assert_eq!(place.cli(&["peek", "t"]).code, 2, "its screen is gone");
    let followed = place.cli(&["log", "-f", "t"]).stdout;
    assert!(followed.ends_with(" done: completed\n"), "{followed}");
    let record = place.cli(&["show", "t", "--json"]).document();
    assert_eq!(
        (&record["replies"][0]["reply"], &record["turns"]),
        (&json!("[[shell echo edited >b.txt]]"), &json!(2))
    );
}
