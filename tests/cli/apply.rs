//! `apply`: a result on a branch of the user's, or everything as it was.

mod killed;

use std::fs;

use serde_json::{Value, json};

use crate::place::Place;

const RUN: &str = "20260101-000000-fix-it-0001";

/// A run that began at HEAD and left `files` (path and content; `None`: deleted), the first `committed` of them in a commit each.
fn run(place: &Place, files: &[(&str, Option<&str>)], committed: usize) -> String {
    place.git(&["config", "user.name", "Ada"]);
    place.git(&["config", "user.email", "ada@example.com"]);
    let base = place.git(&["rev-parse", "HEAD"]);
    let agents = place.path("agents");
    let at = agents.display().to_string();
    place.git(&["worktree", "add", "-q", "--detach", &at, "HEAD"]);
    let git = |arguments: &[&str]| testkit::git::git(&agents, arguments);
    let mut commits = Vec::new();
    for (n, (path, content)) in files.iter().enumerate() {
        let file = agents.join(path);
        fs::create_dir_all(file.parent().expect("a directory")).expect("made");
        match content {
            Some(content) => fs::write(&file, content).expect("written"),
            None => fs::remove_file(&file).expect("removed"),
        }
        git(&["add", "-A"]);
        if n < committed {
            let message = format!("Change {path}");
            git(&[
                "-c",
                "user.name=Bo",
                "commit",
                "-q",
                "-m",
                &message,
                "--author=Bo <bo@x>",
            ]);
            let id = git(&["rev-parse", "HEAD"]);
            commits.push(json!({
                "id": id, "summary": message, "author": "Bo <bo@x>", "time": "2026-01-01T00:00:00Z",
            }));
        }
    }
    if committed < files.len() {
        let author = "--author=cx-operator <cx-operator@localhost>";
        git(&["commit", "-q", "-m", "cx-operator: fix-it", author]);
    }
    let result = git(&["rev-parse", "HEAD"]);
    place.git(&["update-ref", &format!("refs/cx-operator/{RUN}"), &result]);
    place.git(&["worktree", "remove", "--force", &at]);
    let repository = place.repo().canonicalize().expect("it exists");
    place.record(RUN, "fix-it", |record| {
        record["base_commit"] = json!(base);
        record["result_commit"] = json!(result);
        record["repository"] = json!(repository);
        record["checkout"] = json!(repository);
        record["common_dir"] = json!(repository.join(".git"));
        record["run_dir"] = json!(place.path("state/runs").join(RUN));
        record["commits"] = Value::Array(commits);
    });
    place.put(RUN, "task.md", b"# Fix it\n\nand more\n");
    result
}

/// Everything of the user's that an apply could change.
fn state(place: &Place) -> String {
    let all = ["for-each-ref", "refs/heads", "refs/tags", "refs/remotes"];
    let status = ["status", "--porcelain=v1", "-b", "--untracked-files=all"];
    let worktrees = ["worktree", "list", "--porcelain"];
    [
        &all[..],
        &status,
        &["ls-files", "-s"],
        &["rev-parse", "HEAD"],
        &worktrees,
    ]
    .map(|arguments| place.git(arguments))
    .join("\n")
}

fn apply(place: &Place, arguments: &[&str]) -> Value {
    let ran = place.cli(&[&["apply", "fix-it", "--json"], arguments].concat());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    ran.document()
}

fn refused(place: &Place, arguments: &[&str], code: &str, exit: i32) -> String {
    let before = state(place);
    let ran = place.cli(&[&["apply", "fix-it", "--json"], arguments].concat());
    assert_eq!(
        (ran.code, &ran.document()["error"]["code"]),
        (exit, &json!(code)),
        "{}",
        ran.stderr
    );
    assert_eq!(state(place), before, "something changed");
    ran.stderr
}

fn log(place: &Place, branch: &str, format: &str) -> String {
    place.git(&["log", "--reverse", &format!("--format={format}"), branch])
}

#[test]
fn one_commit_of_the_users_has_everything_and_names_the_run() {
    let place = Place::with(&[("a.txt", "a\n"), ("gone.txt", "")]);
    run(
        &place,
        &[
            ("a.txt", Some("b\n")),
            ("new/b.txt", Some("b\n")),
            ("gone.txt", None),
        ],
        1,
    );
    let document = apply(&place, &[]);
    assert_eq!(document["status"], "applied");
    assert_eq!(
        (&document["branch"], &document["is_new_branch"]),
        (&json!("main"), &json!(false))
    );
    assert_eq!(
        (&document["files_changed"], &document["insertions"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(place.git(&["status", "--porcelain"]), "");
    assert_eq!(
        fs::read_to_string(place.repo().join("new/b.txt")).expect("there"),
        "b\n"
    );
    assert!(!place.repo().join("gone.txt").exists());
    let message = place.git(&["log", "-1", "--format=%an: %B"]);
    let expected = format!(
        "Ada: Change a.txt\n\nDelegated-by: cx-operator (codex 0.169.0)\nDelegated-run: {RUN}"
    );
    assert_eq!(message.trim_end(), expected);
    assert_eq!(
        document["commits"],
        json!([place.git(&["rev-parse", "HEAD"])])
    );
    // A second time there is nothing to do.
    let before = state(&place);
    assert_eq!(apply(&place, &[])["status"], "nothing_to_apply");
    assert_eq!(state(&place), before);
}

#[test]
fn the_agents_commits_keep_their_authors_on_a_branch_that_moved_on() {
    let place = Place::with(&[("a.txt", "a\n")]);
    run(
        &place,
        &[
            ("b.txt", Some("b\n")),
            ("c.txt", Some("c\n")),
            ("d.txt", Some("d\n")),
        ],
        2,
    );
    fs::write(place.repo().join("mine.txt"), "mine\n").expect("written");
    place.git(&["add", "-A"]);
    place.git(&["commit", "-q", "-m", "Mine"]);
    let document = apply(&place, &["--commits"]);
    assert_eq!(document["commits"].as_array().map(Vec::len), Some(3));
    assert_eq!(
        log(&place, "main", "%an %s"),
        "Ada base\nAda Mine\nBo Change b.txt\nBo Change c.txt\nAda Fix it"
    );
    let trailers = log(&place, "main", "%(trailers:key=Delegated-run,valueonly)");
    assert_eq!(trailers.matches(RUN).count(), 3, "{trailers}");
    assert_eq!(place.git(&["status", "--porcelain"]), "");
}

#[test]
fn a_patch_leaves_changes_and_no_commit() {
    let place = Place::with(&[("a.txt", "a\n")]);
    run(&place, &[("b.txt", Some("b\n"))], 0);
    let head = place.git(&["rev-parse", "HEAD"]);
    let document = apply(&place, &["--patch"]);
    assert_eq!(document["commits"], json!([]));
    assert_eq!(place.git(&["status", "--porcelain"]), "A  b.txt");
    assert_eq!(place.git(&["rev-parse", "HEAD"]), head);
    place.git(&["checkout", "-q", "--detach"]);
    place.git(&["reset", "-q", "--hard"]);
    assert_eq!(apply(&place, &["--patch"])["branch"], "HEAD");
    assert_eq!(place.git(&["status", "--porcelain"]), "A  b.txt");
}

/// The run began with the user's uncommitted changes, and went on in the same file.
#[test]
fn a_patch_goes_onto_the_changes_that_the_run_began_with() {
    let lines: Vec<String> = (1..=40).map(|n| format!("{n}\n")).collect();
    let place = Place::with(&[("a.txt", &lines.concat())]);
    let mine = lines.concat().replace("20\n", "twenty\n");
    let agents = mine.replace("1\n2\n", "one\n2\n");
    fs::write(place.repo().join("a.txt"), &mine).expect("written");
    fs::write(place.repo().join("new.txt"), "mine\n").expect("written");
    place.git(&["add", "-A"]);
    let tree = place.git(&["write-tree"]);
    let dirty = place.git(&["commit-tree", &tree, "-p", "HEAD", "-m", "dirty"]);
    place.git(&["reset", "-q"]);
    place.git(&["update-ref", "refs/keep", &dirty]);
    run(
        &place,
        &[
            ("a.txt", Some(&agents)),
            ("new.txt", Some("mine\nand more\n")),
        ],
        0,
    );
    let at = place.path("state/runs").join(RUN).join("run.json");
    let record = fs::read_to_string(&at).expect("a record");
    let mut record: Value = serde_json::from_str(&record).expect("JSON");
    // What the run began with: the helper took HEAD.
    record["base_dirty"] = json!(true);
    record["base_commit"] = json!(dirty);
    let result = record["result_commit"].as_str().expect("an id").to_owned();
    let tree = place.git(&["rev-parse", &format!("{result}^{{tree}}")]);
    let result = place.git(&["commit-tree", &tree, "-p", &dirty, "-m", "result"]);
    place.git(&["update-ref", "refs/keep2", &result]);
    record["result_commit"] = json!(result);
    fs::write(&at, record.to_string()).expect("written");
    // No commit has the user's file that the agent changed.
    for arguments in [&[][..], &["--branch", "clean"]] {
        let said = refused(&place, arguments, "apply_conflict", 8);
        assert!(said.contains("new.txt"), "{said}");
    }
    // Something was changed since.
    let since = mine.replace("40\n", "forty\n");
    fs::write(place.repo().join("a.txt"), &since).expect("written");
    assert_eq!(apply(&place, &["--patch"])["files_changed"], 2);
    let now = fs::read_to_string(place.repo().join("a.txt")).expect("there");
    assert_eq!(now, since.replace("1\n2\n", "one\n2\n"));
    let new = fs::read_to_string(place.repo().join("new.txt")).expect("there");
    assert_eq!(new, "mine\nand more\n");
    assert_eq!(apply(&place, &["--patch"])["status"], "nothing_to_apply");
    // Both changed the same line.
    fs::write(
        place.repo().join("a.txt"),
        mine.replace("1\n2\n", "eins\n2\n"),
    )
    .expect("written");
    refused(&place, &["--patch"], "apply_conflict", 8);
}

#[test]
fn a_branch_is_made_where_the_run_began_and_nothing_else_changes() {
    let place = Place::with(&[("a.txt", "a\n")]);
    let base = place.git(&["rev-parse", "HEAD"]);
    run(&place, &[("b.txt", Some("b\n"))], 0);
    fs::write(place.repo().join("a.txt"), "dirty\n").expect("written");
    let document = apply(&place, &["--branch", "feature/x", "-m", "My words"]);
    assert_eq!(
        (&document["is_new_branch"], &document["checkout"]),
        (&json!(true), &json!(null))
    );
    assert_eq!(place.git(&["rev-parse", "feature/x^"]), base);
    assert_eq!(
        place.git(&["log", "-1", "--format=%s", "feature/x"]),
        "My words"
    );
    assert_eq!(place.git(&["status", "--porcelain"]).trim(), "M a.txt");
    // It is there now, and in no checkout.
    assert_eq!(
        apply(&place, &["--branch", "feature/x"])["status"],
        "nothing_to_apply"
    );
    place.git(&["branch", "other"]);
    assert_eq!(
        apply(&place, &["--branch", "refs/heads/other"])["branch"],
        "other"
    );
    assert_eq!(place.git(&["show", "other:b.txt"]), "b");
}

#[test]
fn a_branch_of_another_checkout_moves_with_its_files() {
    let place = Place::with(&[("a.txt", "a\n")]);
    run(&place, &[("b.txt", Some("b\n"))], 0);
    let other = place.path("other place");
    let at = other.display().to_string();
    place.git(&["worktree", "add", "-q", "-b", "theirs", &at]);
    let document = apply(&place, &["--branch", "theirs"]);
    assert_eq!(
        document["checkout"],
        json!(other.canonicalize().expect("there"))
    );
    assert_eq!(testkit::git::git(&other, &["status", "--porcelain"]), "");
    assert!(other.join("b.txt").exists() && !place.repo().join("b.txt").exists());
}

#[test]
fn a_conflict_changes_nothing_and_names_the_files() {
    let place = Place::with(&[("a.txt", "a\n"), ("ü b.txt", "a\n")]);
    run(
        &place,
        &[
            ("a.txt", Some("b\n")),
            ("ü b.txt", Some("b\n")),
            ("c.txt", Some("")),
        ],
        1,
    );
    fs::write(place.repo().join("a.txt"), "c\n").expect("written");
    fs::write(place.repo().join("ü b.txt"), "c\n").expect("written");
    place.git(&["commit", "-q", "-a", "-m", "Mine"]);
    for form in ["--squash", "--commits", "--patch"] {
        let said = refused(&place, &[form], "apply_conflict", 8);
        assert!(said.contains("conflicts with main in a.txt"), "{said}");
    }
    assert!(refused(&place, &[], "apply_conflict", 8).contains("ü b.txt"));
    // Where the run began there is none.
    assert_eq!(apply(&place, &["--branch", "clean"])["status"], "applied");
}

#[test]
fn changes_in_the_same_files_are_refused_and_others_stay() {
    let place = Place::with(&[("a.txt", "a\n"), ("mine.txt", "")]);
    run(
        &place,
        &[("a.txt", Some("b\n")), ("new.txt", Some("b\n"))],
        0,
    );
    let file = |name: &str, content: &str| {
        fs::write(place.repo().join(name), content).expect("written");
    };
    file("mine.txt", "staged\n");
    place.git(&["add", "-A"]);
    file("mine.txt", "more\n");
    file("untracked.txt", "");
    for (name, back) in [("a.txt", Some("a\n")), ("new.txt", None)] {
        file(name, "dirty\n");
        for form in ["--squash", "--patch"] {
            let said = refused(&place, &[form], "local_changes", 8);
            assert!(said.contains(name), "{said}");
        }
        match back {
            Some(content) => file(name, content),
            None => fs::remove_file(place.repo().join(name)).expect("removed"),
        }
    }
    apply(&place, &[]);
    let status = place.git(&["status", "--porcelain"]);
    assert_eq!(status, "MM mine.txt\n?? untracked.txt");
}

#[test]
fn a_check_sees_the_new_state_and_stops_what_it_refuses() {
    let place = Place::with(&[("a.txt", "a\n")]);
    run(&place, &[("b.txt", Some("b\n"))], 0);
    let said = refused(
        &place,
        &["--check", "echo seen; cat b.txt; exit 3"],
        "check_failed",
        1,
    );
    assert!(
        said.contains("seen\nb\n") && said.contains("exit status: 3"),
        "{said}"
    );
    for arguments in [&["--patch"][..], &["--branch", "x"], &[]] {
        let check = [
            "--check",
            "test -f b.txt && git rev-parse HEAD && sleep 600 & true",
        ];
        assert_eq!(
            apply(&place, &[arguments, &check].concat())["status"],
            "applied"
        );
        place.git(&["reset", "-q", "--hard"]);
    }
    assert!(!killed::check(&place).exists());
    assert_eq!(place.git(&["worktree", "list"]).lines().count(), 1);
}

#[test]
fn where_a_branch_can_not_take_it_nothing_changes() {
    let place = Place::with(&[("a.txt", "a\n")]);
    run(&place, &[("a.txt", Some("b\n"))], 0);
    place.git(&["config", "--unset", "user.name"]);
    place.git(&["config", "user.useConfigOnly", "true"]);
    assert!(refused(&place, &[], "repository", 8).contains("set user.name and user.email"));
    place.git(&["config", "user.name", "Ada"]);
    place.git(&["branch", "taken"]);
    assert!(refused(&place, &["--branch", "taken/x"], "repository", 8).contains("taken"));
    refused(&place, &["--branch=-x"], "repository", 8);
    refused(&place, &["--branch", "a..b"], "repository", 8);
    refused(&place, &["--branch="], "repository", 8);
    refused(&place, &["--message", " "], "usage", 2);
    let nowhere = place.path("").display().to_string();
    refused(&place, &["--repo", &nowhere], "repository", 8);
    place.git(&["checkout", "-q", "--detach"]);
    assert!(refused(&place, &[], "repository", 8).contains("--branch"));
    place.git(&["checkout", "-q", "main"]);
    fs::write(
        place.repo().join(".git/MERGE_HEAD"),
        place.git(&["rev-parse", "HEAD"]) + "\n",
    )
    .expect("written");
    assert!(refused(&place, &[], "repository", 8).contains("a merge is under way"));
    fs::remove_file(place.repo().join(".git/MERGE_HEAD")).expect("removed");
    let rebasing = place.repo().join(".git/rebase-merge");
    fs::create_dir(&rebasing).expect("made");
    fs::write(rebasing.join("head-name"), "refs/heads/taken\n").expect("written");
    assert!(
        refused(&place, &["--branch", "taken"], "repository", 8).contains("a rebase is under way")
    );
}

#[test]
fn what_is_not_there_is_named() {
    let place = Place::with(&[("a.txt", "a\n")]);
    let result = run(&place, &[("a.txt", Some("b\n"))], 0);
    place.git(&["update-ref", "-d", &format!("refs/cx-operator/{RUN}")]);
    place.git(&[
        "-c",
        "gc.pruneExpire=now",
        "-c",
        "gc.reflogExpire=now",
        "gc",
        "-q",
        "--prune=now",
    ]);
    let said = refused(&place, &[], "repository", 8);
    assert!(said.contains(&result), "{said}");
    place.record("20260102-000000-none-0002", "none", |_| {});
    let ran = place.cli(&["apply", "none", "--json"]);
    assert_eq!(
        (ran.code, &ran.document()["status"]),
        (0, &json!("nothing_to_apply"))
    );
    assert_eq!(place.cli(&["apply", "unknown"]).code, 2);
}

#[test]
fn settings_and_hooks_of_the_users_change_nothing_but_signatures() {
    let place = Place::with(&[
        ("a.txt", "a\n"),
        (".gitattributes", "*.txt text eol=crlf\n"),
    ]);
    run(&place, &[("b.txt", Some("b\n"))], 0);
    for (key, value) in [
        ("merge.autoStash", "true"),
        ("merge.ff", "false"),
        ("merge.verifySignatures", "true"),
        ("core.autocrlf", "true"),
        ("merge.conflictStyle", "zdiff3"),
        ("trailer.separators", "#"),
        ("color.ui", "always"),
        ("i18n.commitEncoding", "ISO-8859-1"),
        ("merge.log", "true"),
    ] {
        place.git(&["config", key, value]);
    }
    let hooks = place.repo().join(".git/hooks");
    fs::create_dir_all(&hooks).expect("made");
    for hook in [
        "post-merge",
        "reference-transaction",
        "pre-merge-commit",
        "post-checkout",
    ] {
        let path = hooks.join(hook);
        fs::write(
            &path,
            "#!/bin/sh\ntouch \"$(git rev-parse --show-toplevel)/ran\"\nexit 1\n",
        )
        .expect("written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&path, mode).expect("executable");
    }
    assert_eq!(apply(&place, &["--check", "true"])["status"], "applied");
    assert_eq!(place.git(&["status", "--porcelain"]), "");
    assert!(!place.repo().join("ran").exists());
    place.git(&["config", "commit.gpgSign", "true"]);
    place.git(&["config", "gpg.program", "false"]);
    fs::remove_dir_all(hooks).expect("removed");
    place.git(&["reset", "-q", "--hard", "HEAD^"]);
    refused(&place, &[], "repository", 8);
}
