//! The user's hooks: what installing and removing our entries does to their file, and what the agents make of it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use cx_operator::agent::ExecutorId;
use cx_operator::agent::global_hooks::{self, Action, Error, GlobalHooks, Report};
use cx_operator::agent::helper::Helper;
use cx_operator::agent::signals::Kind;
use serde_json::{Value, json};
use tempfile::TempDir;

mod app_server;
mod claude;

const FOREIGN: &str = r#"{
    "description": "mine",
    "hooks": {
        "Stop": [
            {"matcher": "", "hooks": [{"type": "command", "command": "/usr/bin/say done", "timeout": 5}]}
        ],
        "PreToolUse": [
            {"matcher": "Bash", "hooks": [{"type": "command", "command": "/opt/cx-stop-hook /elsewhere"}]}
        ],
        "FutureEvent": [{"note": 1}]
    }
}
"#;

struct Home {
    dir: TempDir,
}

impl Home {
    fn new() -> Home {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir(dir.path().join("home")).expect("a directory");
        Home { dir }
    }

    fn with(text: &str) -> Home {
        let home = Home::new();
        fs::write(home.file(), text).expect("writable");
        home
    }

    /// `$CODEX_HOME`.
    fn path(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    fn file(&self) -> PathBuf {
        self.path().join("hooks.json")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).expect("readable")
    }

    fn value(&self) -> Value {
        serde_json::from_str(&self.text()).expect("JSON")
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path())
            .expect("readable")
            .map(|entry| entry.expect("an entry").file_name())
            .map(|name| name.into_string().expect("ASCII"))
            .collect();
        names.sort();
        names
    }

    /// The helper in a directory of this name.
    fn helper(&self, name: &str) -> Helper {
        let dir = self.dir.path().join(name);
        fs::create_dir(&dir).expect("a directory");
        symlink(BUILT, dir.join("cx-helper")).expect("a link");
        Helper::find(Some(&dir)).expect("a helper")
    }

    fn install(&self, helper: &Helper) -> Report {
        global_hooks::install(codex(), &self.path(), helper).expect("installable")
    }

    fn uninstall(&self) -> Report {
        global_hooks::uninstall(codex(), &self.path()).expect("removable")
    }
}

const BUILT: &str = env!("CARGO_BIN_EXE_cx-helper");

/// The helper that cargo has built.
fn built() -> Helper {
    Helper::find(Path::new(BUILT).parent()).expect("a helper")
}

fn hooks_of(executor: &str) -> &'static dyn GlobalHooks {
    let executor = ExecutorId::parse(executor).expect("an executor");
    executor.global_hooks().expect("it has hooks")
}

fn codex() -> &'static dyn GlobalHooks {
    hooks_of("codex")
}

fn command(kind: Kind) -> String {
    format!("{BUILT} {}", kind.name())
}

fn actions(report: &Report) -> Vec<Action> {
    report
        .changes
        .iter()
        .map(|change| change.action.clone())
        .collect()
}

fn command_entry(command: &str) -> Value {
    json!({"hooks": [{"type": "command", "command": command}]})
}

#[test]
fn without_a_file_one_is_made_and_removed() {
    let home = Home::new();
    let report = home.install(&built());
    assert_eq!(actions(&report), vec![Action::Added; 4]);
    assert_eq!(report.backup, None);
    assert_eq!(
        home.value(),
        json!({"hooks": {
            "SessionStart": [command_entry(&command(Kind::SessionStart))],
            "UserPromptSubmit": [command_entry(&command(Kind::Prompt))],
            "PermissionRequest": [command_entry(&command(Kind::Permission))],
            "Stop": [command_entry(&command(Kind::Stop))],
        }})
    );
    assert_eq!(home.names(), ["hooks.json"], "no temporary file");
    let mode = fs::metadata(home.file()).expect("a file").mode();
    assert_eq!(mode & 0o7777, 0o600);

    assert_eq!(
        actions(&home.uninstall()),
        vec![Action::Removed { displaced: 0 }; 4]
    );
    assert!(home.names().is_empty());
}

#[test]
fn the_entries_of_others_keep_order_and_content() {
    let home = Home::with(FOREIGN);
    fs::set_permissions(home.file(), fs::Permissions::from_mode(0o644)).expect("ours");
    let before = home.value();
    let report = home.install(&built());

    let after = home.value();
    let keys: Vec<_> = after["hooks"]
        .as_object()
        .expect("an object")
        .keys()
        .collect();
    assert_eq!(
        keys,
        [
            "Stop",
            "PreToolUse",
            "FutureEvent",
            "SessionStart",
            "UserPromptSubmit",
            "PermissionRequest"
        ]
    );
    assert_eq!(after["description"], "mine");
    assert_eq!(after["hooks"]["Stop"][0], before["hooks"]["Stop"][0]);
    assert_eq!(
        after["hooks"]["Stop"][1],
        command_entry(&command(Kind::Stop)),
        "behind the others, whose trust hangs on their position"
    );
    assert_eq!(after["hooks"]["PreToolUse"], before["hooks"]["PreToolUse"]);
    assert!(
        home.text().contains("\n    \"description\""),
        "indented as before"
    );
    let mode = fs::metadata(home.file()).expect("a file").mode();
    assert_eq!(mode & 0o7777, 0o644);

    let backup = report.backup.expect("a backup");
    assert_eq!(backup, home.path().join("hooks.json.cx-operator-backup-1"));
    assert_eq!(fs::read_to_string(&backup).expect("readable"), FOREIGN);

    home.uninstall();
    assert_eq!(
        home.value().to_string(),
        before.to_string(),
        "in the same order"
    );
    assert!(backup.exists());
}

#[test]
fn a_second_install_changes_and_writes_nothing() {
    let home = Home::with(FOREIGN);
    home.install(&built());
    let (text, names) = (home.text(), home.names());
    let inode = fs::metadata(home.file()).expect("a file").ino();
    let report = home.install(&built());
    assert_eq!(actions(&report), vec![Action::Kept; 4]);
    assert_eq!(report.backup, None);
    assert_eq!((home.text(), home.names()), (text, names));
    assert_eq!(fs::metadata(home.file()).expect("a file").ino(), inode);
}

#[test]
fn a_moved_binary_updates_our_entry_where_it_stands() {
    let home = Home::with(FOREIGN);
    let (old, new) = (home.helper("old"), home.helper("new"));
    home.install(&old);
    // What the user made of our entry stays: its place, its timeout.
    let mut value = home.value();
    let ours = value["hooks"]["Stop"].as_array_mut().expect("groups").pop();
    let mut ours = ours.expect("our group");
    ours["hooks"][0]["timeout"] = json!(30);
    value["hooks"]["Stop"]
        .as_array_mut()
        .expect("groups")
        .insert(0, ours);
    fs::write(home.file(), value.to_string()).expect("writable");

    let report = home.install(&new);
    assert_eq!(
        report.backup, None,
        "the untouched file is backed up already"
    );
    for change in &report.changes {
        let from = old.hook_of_any_session(change.kind);
        assert_eq!(change.action, Action::Updated { from });
    }
    let stop = &home.value()["hooks"]["Stop"];
    assert_eq!(
        stop[0]["hooks"],
        json!([{"type": "command", "command": new.hook_of_any_session(Kind::Stop), "timeout": 30}])
    );
    assert_eq!(stop.as_array().map(Vec::len), Some(2));
}

/// Of a version whose hooks were a program each.
#[test]
fn entries_of_an_older_version_are_ours() {
    let old = |kind: Kind| format!("/opt/old/cx-{}-hook", kind.name());
    let events = [
        "SessionStart",
        "UserPromptSubmit",
        "PermissionRequest",
        "Stop",
    ];
    let entries: serde_json::Map<String, Value> = (events.into_iter().zip(Kind::ALL))
        .map(|(event, kind)| (event.to_owned(), json!([command_entry(&old(kind))])))
        .collect();
    let home = Home::with(&json!({"hooks": entries}).to_string());
    for change in home.install(&built()).changes {
        assert_eq!(change.command, command(change.kind));
        let from = old(change.kind);
        assert_eq!(change.action, Action::Updated { from });
    }
    let home = Home::with(&json!({"hooks": entries}).to_string());
    let removed = vec![Action::Removed { displaced: 0 }; 4];
    assert_eq!(actions(&home.uninstall()), removed);
    assert!(home.names().is_empty());
}

#[test]
fn a_missing_entry_is_added_again() {
    let home = Home::with(FOREIGN);
    home.install(&built());
    let mut value = home.value();
    value["hooks"]
        .as_object_mut()
        .expect("events")
        .remove("PermissionRequest");
    fs::write(home.file(), value.to_string()).expect("writable");
    let report = home.install(&built());
    for change in &report.changes {
        let expected = match change.kind {
            Kind::Permission => Action::Added,
            _ => Action::Kept,
        };
        assert_eq!(change.action, expected, "{:?}", change.kind);
    }
    assert_eq!(report.backup, None);
}

#[test]
fn a_path_that_a_shell_would_take_apart_is_quoted() {
    let home = Home::new();
    let helper = home.helper("it's \"a\" $HOME; dir");
    home.install(&helper);
    let command = home.value()["hooks"]["Stop"][0]["hooks"][0]["command"].clone();
    let output = std::process::Command::new("sh")
        .args(["-c", command.as_str().expect("a command")])
        .current_dir(home.dir.path())
        .stdin(std::process::Stdio::null())
        .output()
        .expect("a shell");
    assert!(output.status.success(), "{output:?}");
    let recorded = home.dir.path().join("sentinel-malformed.json");
    assert!(recorded.exists(), "the shell ran our binary");

    assert_eq!(actions(&home.install(&helper)), vec![Action::Kept; 4]);
    home.uninstall();
    assert!(home.names().is_empty());
}

#[test]
fn uninstall_restores_the_value_of_every_file() {
    for text in [
        "{}",
        r#"{"hooks":{}}"#,
        r#"{"hooks":{"Stop":[]}}"#,
        r#"{"hooks":{"Stop":[{"hooks":[]},{"matcher":"x"}],"SessionStart":[]},"description":""}"#,
        FOREIGN,
    ] {
        let home = Home::with(text);
        let before = home.value();
        home.install(&built());
        home.uninstall();
        assert_eq!(home.value().to_string(), before.to_string());

        // Once more, now with a backup of an earlier time there.
        let report = home.install(&built());
        let second = home.path().join("hooks.json.cx-operator-backup-2");
        assert_eq!(report.backup, Some(second));
        home.uninstall();
        assert_eq!(home.value().to_string(), before.to_string());
    }
}

#[test]
fn uninstall_leaves_what_is_not_ours() {
    let home = Home::with(FOREIGN);
    let text = home.text();
    let report = home.uninstall();
    assert!(report.changes.is_empty());
    assert_eq!(home.text(), text, "not even reformatted");

    let ours = command(Kind::Stop);
    let text = json!({"hooks": {"Stop": [
        {"hooks": [{"type": "command", "command": ours}, {"type": "command", "command": "/x/a"}]},
        {"matcher": "m", "hooks": [{"type": "command", "command": ours}]},
        {"hooks": [{"type": "command", "command": ours}]},
        {"hooks": [{"type": "command", "command": "/x/b"}, {"type": "prompt", "command": ours}]},
    ]}});
    let home = Home::with(&text.to_string());
    let report = home.uninstall();
    assert_eq!(actions(&report), [Action::Removed { displaced: 3 }]);
    assert_eq!(
        home.value(),
        json!({"hooks": {"Stop": [
            {"hooks": [{"type": "command", "command": "/x/a"}]},
            {"matcher": "m", "hooks": []},
            {"hooks": [{"type": "command", "command": "/x/b"}, {"type": "prompt", "command": ours}]},
        ]}})
    );
}

#[test]
fn a_link_is_written_through() {
    let home = Home::new();
    let real = home.dir.path().join("dotfiles.json");
    fs::write(&real, FOREIGN).expect("writable");
    symlink("../dotfiles.json", home.file()).expect("a link");
    let report = home.install(&built());
    assert!(
        fs::symlink_metadata(home.file())
            .expect("a link")
            .is_symlink()
    );
    assert!(
        fs::read_to_string(&real)
            .expect("readable")
            .contains(&command(Kind::Stop))
    );
    assert_eq!(
        fs::canonicalize(&report.file).expect("a file"),
        fs::canonicalize(&real).expect("a file")
    );
    assert_eq!(
        home.names(),
        ["hooks.json", "hooks.json.cx-operator-backup-1"]
    );
    home.uninstall();
    assert!(
        fs::symlink_metadata(home.file())
            .expect("a link")
            .is_symlink()
    );
}

#[test]
fn a_link_to_nothing_is_written_through() {
    let home = Home::new();
    let real = home.dir.path().join("dotfiles.json");
    symlink(&real, home.file()).expect("a link");
    home.install(&built());
    assert!(
        fs::symlink_metadata(home.file())
            .expect("a link")
            .is_symlink()
    );
    assert!(real.is_file());

    let home = Home::new();
    symlink("hooks.json", home.file()).expect("a link to itself");
    let error = global_hooks::install(codex(), &home.path(), &built()).expect_err("no file");
    assert!(matches!(error, Error::Read { .. }), "{error:?}");
}

#[test]
fn a_file_that_is_not_understood_is_left_and_located() {
    for (text, line, column) in [
        ("{\n  // mine\n  \"hooks\": {}\n}", 2, 3),
        ("{\"hooks\": {},}", 1, 14),
        ("{\"hooks\": {}} x", 1, 15),
        ("\u{feff}{}", 1, 1),
        ("", 1, 0),
        ("{\"hooks\": {\n  \"Stop\": {}}}", 2, 10),
        ("{\"hooks\": {\"Stop\": [],\n \"Stop\": []}}", 2, 7),
    ] {
        let home = Home::with(text);
        let errors = [
            global_hooks::install(codex(), &home.path(), &built()).expect_err("refused"),
            global_hooks::uninstall(codex(), &home.path()).expect_err("refused"),
        ];
        for error in errors {
            let expected = format!(
                "{} is invalid, line {line}, column {column}",
                home.file().display()
            );
            assert_eq!(error.to_string(), expected, "{text:?}: {error:?}");
        }
        assert_eq!(home.text(), text);
        assert_eq!(home.names(), ["hooks.json"]);
    }
}

#[test]
fn what_is_missing_is_named() {
    let home = Home::with(FOREIGN);
    let elsewhere = home.dir.path().join("elsewhere");
    let error =
        global_hooks::install(codex(), &elsewhere, &built()).expect_err("no such directory");
    assert!(matches!(error, Error::HomeMissing { path, .. } if path == elsewhere));

    let dir = home.dir.path();
    assert_eq!(Helper::find(Some(dir)), None);
    let program = dir.join("cx-helper");
    fs::write(&program, "").expect("writable");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o644)).expect("ours");
    assert_eq!(Helper::find(Some(dir)), None);
}

/// A crash must find the user's old file or its backup on the disk, so the order of the system calls counts.
#[test]
#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
fn the_backup_is_on_the_disk_before_the_file_is_replaced() {
    let home = Home::with(FOREIGN);
    let trace = home.dir.path().join("trace");
    let _absent = std::process::Command::new("strace")
        .args([
            "-f",
            "-y",
            "-e",
            "trace=fsync,rename,renameat,renameat2",
            "-o",
        ])
        .arg(&trace)
        .arg(env!("CARGO_BIN_EXE_cx-operator"))
        .args(["hooks", "install", "--codex-home"])
        .arg(home.path())
        .output();
    let calls = fs::read_to_string(&trace).unwrap_or_default();
    if !calls.contains("+++ exited") {
        eprintln!("SKIPPED: strace is not installed, or may trace nothing");
        return;
    }
    let synced = |name: &str| format!("<{}/{name}", home.path().display());
    let backup = synced("hooks.json.cx-operator-backup-1");
    let directory = format!("<{}>", home.path().display());
    let at = |is: &dyn Fn(&str) -> bool| {
        let found = calls.lines().position(is);
        found.unwrap_or_else(|| panic!("it is missing: {calls}"))
    };
    let content = at(&|call| call.contains("fsync(") && call.contains(&backup));
    let name = at(&|call| call.contains("fsync(") && call.contains(&directory));
    let replaced = at(&|call| call.contains("rename") && call.contains("/hooks.json\")"));
    assert!(content < name && name < replaced, "{calls}");
}
