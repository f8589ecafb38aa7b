//! The real hook binaries, run as the agent runs them: one payload on stdin, one directory.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use cx_operator::agent::signals::{
    self, Decision, Kind, MALFORMED, POLICY_NAME, Policy, SESSION_ID_NAME, SignalFile, done_name,
    sentinel_name,
};
use tempfile::TempDir;
use testkit::wait::on_this_machine;

mod decisions;

const UUID: &str = "019a5b2c-1f00-7abc-8def-0123456789ab";

const HELPER: &str = env!("CARGO_BIN_EXE_cx-helper");

fn hook(kind: Kind) -> Command {
    let mut command = Command::new(HELPER);
    command.arg(kind.name());
    command
}

fn payload() -> String {
    format!(r#"{{"hook_event_name":"Any","session_id":"{UUID}","prompt":"naïve\n\u0000"}}"#)
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn spawn(command: &mut Command) -> Child {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the hook starts")
}

/// Feeds a payload, closes stdin and waits for the end.
fn feed(mut child: Child, payload: &[u8]) -> Output {
    let mut stdin = child.stdin.take().expect("a pipe");
    // A hook that has read enough may be gone before the rest is written.
    let _ = stdin.write_all(payload);
    drop(stdin);
    child.wait_with_output().expect("the hook ends")
}

fn start(kind: Kind, dir: &Path) -> Child {
    spawn(hook(kind).arg(dir))
}

fn run(kind: Kind, dir: &Path, payload: &[u8]) -> Output {
    feed(start(kind, dir), payload)
}

#[track_caller]
fn assert_silent_success(output: &Output) {
    assert!(output.status.success(), "{}", output.status);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .expect("a readable directory")
        .map(|entry| entry.expect("an entry").file_name())
        .map(|name| name.into_string().expect("our names are ASCII"))
        .collect();
    names.sort();
    names
}

fn only_signal(dir: &Path) -> SignalFile {
    let mut signals = signals::list(dir).expect("a readable directory");
    let signal = signals.pop().expect("one event");
    assert_eq!(signals, [], "one event only");
    signal
}

/// The files beside the one with the payload.
fn companions(kind: Kind, session: Option<&str>) -> Vec<String> {
    match kind {
        Kind::SessionStart => vec![SESSION_ID_NAME.to_owned()],
        Kind::Stop => vec![done_name(session), sentinel_name(session)],
        Kind::Prompt | Kind::Permission => vec![],
    }
}

#[track_caller]
fn assert_recorded(kind: Kind, dir: &Path, session: Option<&str>, payload: &[u8]) {
    let signal = only_signal(dir);
    assert_eq!(signal.kind, kind);
    assert_eq!(signal.session.as_deref(), session);
    let read = |name: &str| fs::read(dir.join(name)).expect("a file");
    assert!(read(&signal.name()) == payload, "the payload verbatim");

    let mut expected = companions(kind, session);
    expected.push(signal.name());
    expected.sort();
    assert_eq!(names(dir), expected, "nothing else");
    for name in &expected {
        let mode = fs::metadata(dir.join(name)).expect("a file").mode();
        assert_eq!(mode & 0o7777, 0o600, "{name}");
    }
    match kind {
        Kind::SessionStart => {
            let id = session.map_or_else(|| MALFORMED.to_owned(), |uuid| format!("{uuid}\n"));
            assert_eq!(read(SESSION_ID_NAME), id.as_bytes());
        }
        Kind::Stop => {
            assert!(read(&sentinel_name(session)) == payload);
            assert_eq!(read(&done_name(session)), b"");
        }
        Kind::Prompt | Kind::Permission => {}
    }
}

#[test]
fn each_event_is_recorded_verbatim_and_silently() {
    for kind in Kind::ALL {
        let dir = directory();
        let output = run(kind, dir.path(), payload().as_bytes());
        assert_silent_success(&output);
        assert_recorded(kind, dir.path(), Some(UUID), payload().as_bytes());
    }
}

#[test]
fn a_helper_that_is_not_known_is_refused() {
    for arguments in [&[][..], &["stopp"], &["--help"]] {
        let output = Command::new(HELPER).args(arguments).output();
        let output = output.expect("it runs");
        // 2 would keep the agent at work.
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("no helper is called"), "{said}");
    }
}

#[test]
fn another_name_needs_a_first_argument() {
    let dir = directory();
    let program = dir.path().join("program");
    symlink(HELPER, &program).expect("a link");
    let signals = dir.path().join("signals");
    fs::create_dir(&signals).expect("a directory");
    let mut named = Command::new(&program);
    named.args(["cx-helper", "stop"]).arg(&signals);
    assert_silent_success(&feed(spawn(&mut named), payload().as_bytes()));
    assert_recorded(Kind::Stop, &signals, Some(UUID), payload().as_bytes());

    let mut other = Command::new(&program);
    let output = other.arg("stop").arg(&signals).output();
    assert_silent_success(&output.expect("it runs"));
    assert_eq!(signals::list(&signals).expect("readable").len(), 1);
}

#[test]
fn a_permission_is_answered_in_the_words_of_its_executor() {
    let answer = |executor: &str| {
        let dir = directory();
        signals::write_policy(dir.path(), &Policy::Allow).expect("written");
        let mut command = hook(Kind::Permission);
        command.arg(dir.path()).arg(executor);
        feed(spawn(&mut command), payload().as_bytes()).stdout
    };
    let codex = cx_operator::agent::EXECUTORS[0].decision(b"", &Decision::Allow);
    assert_eq!(answer("codex"), codex.expect("a line").into_bytes());
    assert_eq!(answer("nobody"), b"");
}

#[test]
fn the_directory_defaults_to_the_current_one() {
    let dir = directory();
    // Installed for all sessions: what each turn writes, the next one replaces.
    for _turn in 0..3 {
        for kind in Kind::ALL {
            let child = spawn(hook(kind).current_dir(dir.path()));
            assert_silent_success(&feed(child, payload().as_bytes()));
        }
        let session = Some(UUID);
        let mut expected = [
            SESSION_ID_NAME.to_owned(),
            done_name(session),
            sentinel_name(session),
        ];
        expected.sort();
        assert_eq!(names(dir.path()), expected);
        let sentinel = fs::read(dir.path().join(sentinel_name(session))).expect("a sentinel");
        assert!(sentinel == payload().as_bytes(), "the payload verbatim");
    }
    let child = spawn(hook(Kind::Stop).current_dir(dir.path()));
    assert_silent_success(&feed(child, b"{}"));
    let malformed = [done_name(None), sentinel_name(None)];
    assert!(malformed.iter().all(|name| dir.path().join(name).exists()));
    assert_eq!(names(dir.path()).len(), 5);
}

#[test]
fn every_argument_is_a_directory_name() {
    for name in ["-", "--", "--help", "-v", "a b'c\"", "ünï"] {
        let parent = directory();
        let dir = parent.path().join(name);
        fs::create_dir(&dir).expect("a directory");
        let child = spawn(hook(Kind::Prompt).arg(name).current_dir(parent.path()));
        assert_silent_success(&feed(child, payload().as_bytes()));
        assert_recorded(Kind::Prompt, &dir, Some(UUID), payload().as_bytes());
    }
}

#[test]
fn a_directory_name_need_not_be_utf8() {
    let parent = directory();
    let dir = parent.path().join(OsStr::from_bytes(b"not\xffutf8"));
    fs::create_dir(&dir).expect("a directory");
    assert_silent_success(&run(Kind::SessionStart, &dir, payload().as_bytes()));
    assert_recorded(Kind::SessionStart, &dir, Some(UUID), payload().as_bytes());
}

#[test]
fn a_payload_without_a_usable_id_is_malformed() {
    let payloads: &[&[u8]] = &[
        b"",
        b"\0\x01garbage",
        b"{}",
        b"null",
        br#"{"session_id":"not-a-uuid"}"#,
        br#"{"session_id":"../../../../../../../../../../x-x-x-x"}"#,
        br#"{"session_id":null}"#,
        br#"{"a":{"session_id":"019a5b2c-1f00-7abc-8def-0123456789ab"}}"#,
        br#"{"session_id":"019a5b2c-1f00-7abc-8def-0123456789ab"}{}"#,
        br#"{"session_id":"019a5b2c-1f00-7abc-8def-0123456789ab""#,
        b"\xef\xbb\xbf{\"session_id\":\"019a5b2c-1f00-7abc-8def-0123456789ab\"}",
        b"{\"session_id\":\"019a5b2c-1f00-7abc-8def-0123456789ab\",\"a\":\"\xff\"}",
    ];
    for payload in payloads {
        for kind in Kind::ALL {
            let dir = directory();
            assert_silent_success(&run(kind, dir.path(), payload));
            assert_recorded(kind, dir.path(), None, payload);
        }
    }
}

#[test]
fn an_escaped_key_is_the_key() {
    let payload = format!(r#"{{"session\u005fid":"{UUID}"}}"#);
    let dir = directory();
    assert_silent_success(&run(Kind::Stop, dir.path(), payload.as_bytes()));
    assert_recorded(Kind::Stop, dir.path(), Some(UUID), payload.as_bytes());
}

#[test]
fn sixteen_mebibytes_are_read_and_not_one_byte_more() {
    const LIMIT: usize = 16 * 1024 * 1024;
    let mut payload = payload().into_bytes();
    payload.resize(LIMIT, b' ');
    let dir = directory();
    assert_silent_success(&run(Kind::Stop, dir.path(), &payload));
    assert_recorded(Kind::Stop, dir.path(), Some(UUID), &payload);

    payload.push(b' ');
    let dir = directory();
    assert_silent_success(&run(Kind::Stop, dir.path(), &payload));
    assert_recorded(Kind::Stop, dir.path(), None, &payload[..LIMIT]);
}

#[test]
fn a_writer_that_never_closes_costs_five_seconds() {
    let dir = directory();
    let started = Instant::now();
    let mut child = start(Kind::Stop, dir.path());
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin
        .write_all(payload().as_bytes())
        .expect("the hook reads");
    let output = child.wait_with_output().expect("the hook ends");
    let took = started.elapsed();
    drop(stdin);
    assert_silent_success(&output);
    assert!(took >= Duration::from_secs(5), "{took:?}");
    assert!(took < on_this_machine(Duration::from_secs(8)), "{took:?}");
    assert_recorded(Kind::Stop, dir.path(), None, payload().as_bytes());
}

#[test]
fn a_closed_or_unreadable_stdin_is_malformed() {
    let dir = directory();
    let stdins = [
        Stdio::null(),
        Stdio::from(fs::File::open(dir.path()).expect("a directory opens for reading")),
    ];
    for stdin in stdins {
        let dir = directory();
        let output = hook(Kind::Prompt)
            .arg(dir.path())
            .stdin(stdin)
            .output()
            .expect("the hook runs");
        assert_silent_success(&output);
        assert_recorded(Kind::Prompt, dir.path(), None, b"");
    }
}

#[test]
fn a_bad_directory_costs_nothing() {
    let parent = directory();
    let file = parent.path().join("file");
    fs::write(&file, "kept").expect("a file");
    let dangling = parent.path().join("dangling");
    symlink(parent.path().join("nowhere"), &dangling).expect("a link");
    let before = names(parent.path());
    for kind in Kind::ALL {
        for dir in [&parent.path().join("missing"), &file, &dangling] {
            assert_silent_success(&run(kind, dir, payload().as_bytes()));
        }
        let child = spawn(hook(kind).arg("").current_dir(parent.path()));
        assert_silent_success(&feed(child, payload().as_bytes()));
    }
    assert_eq!(names(parent.path()), before);
    assert_eq!(fs::read(&file).expect("a file"), b"kept");
}

#[test]
fn an_unwritable_directory_costs_nothing() {
    let dir = directory();
    let mode = |mode| fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode));
    mode(0o500).expect("ours");
    // For root a directory's mode is no obstacle, /proc is one.
    let target = match fs::write(dir.path().join("probe"), "") {
        Ok(()) => Path::new("/proc"),
        Err(_) => dir.path(),
    };
    for kind in Kind::ALL {
        assert_silent_success(&run(kind, target, payload().as_bytes()));
    }
    mode(0o700).expect("ours");
    assert_eq!(signals::list(dir.path()).expect("readable"), []);
}

#[test]
fn a_full_disk_costs_nothing() {
    for kind in Kind::ALL {
        let dir = directory();
        // A limit of no bytes per file, its signal ignored, fails a write as a full disk does: after the creation.
        let child = spawn(
            Command::new("sh")
                .args(["-c", r#"trap '' XFSZ; ulimit -f 0; exec "$0" "$@""#])
                .args([HELPER, kind.name()])
                .arg(dir.path()),
        );
        assert_silent_success(&feed(child, payload().as_bytes()));
        assert_eq!(names(dir.path()), [""; 0]);
    }
}

#[test]
fn a_name_that_cannot_be_replaced_leaves_no_temporary_file() {
    let dir = directory();
    let obstacle = dir.path().join(sentinel_name(Some(UUID)));
    fs::create_dir(&obstacle).expect("a directory in the sentinel's place");
    assert_silent_success(&run(Kind::Stop, dir.path(), payload().as_bytes()));
    assert_eq!(
        names(dir.path()),
        [sentinel_name(Some(UUID)), only_signal(dir.path()).name()],
        "the stop itself, but neither a temporary file nor a claim that the sentinel is done"
    );
}

#[test]
fn a_symbolic_link_is_replaced_and_not_followed() {
    let victim_dir = directory();
    let victim = victim_dir.path().join("victim");
    fs::write(&victim, "kept").expect("a file");
    for kind in [Kind::SessionStart, Kind::Stop] {
        let dir = directory();
        for name in companions(kind, Some(UUID)) {
            symlink(&victim, dir.path().join(name)).expect("a link");
        }
        assert_silent_success(&run(kind, dir.path(), payload().as_bytes()));
        for name in names(dir.path()) {
            let metadata = fs::symlink_metadata(dir.path().join(&name)).expect("a file");
            assert!(metadata.is_file(), "{name}");
        }
        assert_recorded(kind, dir.path(), Some(UUID), payload().as_bytes());
    }
    assert_eq!(fs::read(&victim).expect("a file"), b"kept");
}

#[test]
fn each_turn_keeps_its_own_stop() {
    let dir = directory();
    let turn = |n: usize| format!(r#"{{"session_id":"{UUID}","turn_id":"{n}"}}"#);
    for n in 0..3 {
        assert_silent_success(&run(Kind::Stop, dir.path(), turn(n).as_bytes()));
    }
    let kept: Vec<String> = signals::list(dir.path())
        .expect("readable")
        .iter()
        .map(|signal| fs::read_to_string(dir.path().join(signal.name())).expect("a payload"))
        .collect();
    assert_eq!(kept, [turn(0), turn(1), turn(2)]);
    let sentinel = fs::read_to_string(dir.path().join(sentinel_name(Some(UUID))));
    assert_eq!(sentinel.expect("a payload"), turn(2));
}

#[test]
fn fifty_stops_at_once_lose_nothing() {
    let dir = directory();
    let turn = |n: usize| format!(r#"{{"session_id":"{UUID}","turn_id":"{n:02}"}}"#);
    let children: Vec<Child> = (0..50).map(|_| start(Kind::Stop, dir.path())).collect();
    // The stdins stay open until each hook runs: then all of them write at once.
    let hooks: Vec<_> = (children.into_iter().enumerate())
        .map(|(n, child)| thread::spawn(move || feed(child, turn(n).as_bytes())))
        .collect();
    for hook in hooks {
        assert_silent_success(&hook.join().expect("fed"));
    }
    let mut kept: Vec<String> = signals::list(dir.path())
        .expect("readable")
        .iter()
        .map(|signal| fs::read_to_string(dir.path().join(signal.name())).expect("a payload"))
        .collect();
    assert_eq!(
        names(dir.path()).len(),
        52,
        "50 stops, a sentinel, its mark"
    );
    kept.sort();
    assert_eq!(kept, (0..50).map(turn).collect::<Vec<_>>());
}

/// The hook that judges by a policy is there for that alone: where the policy is gone or damaged, nothing passes.
#[test]
fn without_its_policy_nothing_passes() {
    for executor in ["codex", "claude", "codex-exec", "claude-print"] {
        for damage in [None, Some("{"), Some("{}")] {
            let dir = directory();
            if let Some(text) = damage {
                fs::write(dir.path().join("policy.json"), text).expect("written");
            }
            let mut command = Command::new(HELPER);
            command.arg("policy").arg(dir.path()).arg(executor);
            let payload = format!(
                r#"{{"hook_event_name":"PreToolUse","session_id":"{UUID}","tool_name":"Bash","tool_input":{{"command":"ls"}}}}"#
            );
            let said = feed(spawn(&mut command), payload.as_bytes());
            let said = String::from_utf8(said.stdout).expect("text");
            let answer: serde_json::Value = serde_json::from_str(&said).expect("an answer");
            let decision = &answer["hookSpecificOutput"]["permissionDecision"];
            assert_eq!(decision, "deny", "{executor}, {damage:?}: {said}");
            assert!(said.contains("can't be read"), "{said}");
        }
    }
}
