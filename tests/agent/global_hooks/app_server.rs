//! What codex says about its hooks: the real one, and programs that behave worse.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cx_operator::agent::codex::app_server::{
    self, DEADLINE, Error, GRACE, TrustStatus, query_hooks,
};
use cx_operator::agent::codex::trust::{DEFAULT_TIMEOUT_SECS, event_names, trusted_hash};

use cx_operator::agent::global_hooks::Verification;

use super::*;
use testkit::agents::{PINNED, native_codex};
use testkit::processes::has_ended;
use testkit::wait::{on_this_machine, wait_for};

/// Writes a program by another process: a file that this one has open for writing, or a child of another test, can't be run.
fn script(home: &Home, text: &str) -> PathBuf {
    let path = home.dir.path().join("codex");
    let mut child = Command::new("sh")
        .args(["-c", r#"cat >"$0" && chmod 755 "$0""#])
        .arg(&path)
        .stdin(Stdio::piped())
        .spawn()
        .expect("a shell");
    let mut stdin = child.stdin.take().expect("a pipe");
    write!(stdin, "#!/bin/sh\n{text}\n").expect("the shell reads");
    drop(stdin);
    assert!(child.wait().expect("an end").success());
    path
}

fn query(home: &Home, codex: &Path) -> Result<app_server::HookList, Error> {
    query_hooks(codex, &home.path(), Path::new("/"))
}

impl Home {
    fn verify(&self, codex: &Path) -> Verification {
        global_hooks::verify(super::codex(), Some(codex), &self.path()).expect("an answer")
    }
}

fn is_alive(pid: &str) -> bool {
    !has_ended(pid.trim().parse().expect("a pid"))
}

#[track_caller]
fn assert_ends(home: &Home) {
    for name in ["pid", "child-pid"] {
        let pid = fs::read_to_string(home.dir.path().join(name)).expect("it ran");
        wait_for("the end of a process", || (!is_alive(&pid)).then_some(()));
    }
}

#[test]
fn one_that_never_answers_is_ended_with_its_children() {
    let home = Home::new();
    let codex = script(
        &home,
        r#"cd "$CODEX_HOME/.."; trap '' TERM INT HUP; echo $$ >pid; sleep 300 & echo $! >child-pid; wait; sleep 300"#,
    );
    let started = Instant::now();
    let error = query(&home, &codex).expect_err("no answer");
    let took = started.elapsed();
    assert!(matches!(error, Error::Deadline { .. }), "{error:?}");
    assert!(
        took >= DEADLINE && took < on_this_machine(DEADLINE + GRACE + Duration::from_secs(3)),
        "{took:?}"
    );
    assert_ends(&home);
}

#[test]
fn one_that_stays_after_its_answer_is_ended_too() {
    let home = Home::new();
    let codex = script(
        &home,
        r#"cd "$CODEX_HOME/.."; echo $$ >pid; echo noise; echo '{"method":"note"}'; echo '{"id":0,"result":{}}'
echo '{"id":1,"result":{"data":[{"hooks":[],"warnings":["w"]}]}}'; sleep 300 & echo $! >child-pid; wait"#,
    );
    let started = Instant::now();
    let list = query(&home, &codex).expect("an answer");
    assert_eq!(list.warnings, ["w"]);
    assert!(started.elapsed() < DEADLINE, "the grace only");
    assert_ends(&home);
}

#[test]
fn each_way_to_fail_has_its_error() {
    let home = Home::new();
    let failure = |text: &str| query(&home, &script(&home, text)).expect_err("a failure");
    assert!(matches!(failure("exit 3"), Error::Ended { .. }));
    let error = failure(
        r#"echo '{"id":1,"error":{"code":-32600,"message":"unknown variant `hooks/list`"}}'"#,
    );
    assert!(
        matches!(&error, Error::Refused { message, .. } if message == "unknown variant `hooks/list`"),
        "{error:?}"
    );
    assert!(matches!(
        failure(r#"echo '{"id":1,"result":{}}'"#),
        Error::Shape { .. }
    ));
    let error = query(&home, &home.dir.path().join("missing")).expect_err("no program");
    assert!(matches!(error, Error::Start { .. }), "{error:?}");
}

/// The real codex of this test run, if there is one, with a home directory of its own.
fn real_codex(home: &Home) -> Option<PathBuf> {
    let codex = native_codex(PINNED)?;
    let program = codex.display();
    Some(script(
        home,
        &format!(r#"HOME="$CODEX_HOME/.." exec '{program}' "$@""#),
    ))
}

#[test]
fn the_real_codex_sees_our_hooks_and_hashes_them_alike() {
    let home = Home::with(FOREIGN);
    let Some(codex) = real_codex(&home) else {
        return;
    };
    let report = home.install(&home.helper("it's \"a\" $HOME; dir, é"));
    let verification = home.verify(&codex);
    let list = query(&home, &codex).expect("an answer");
    assert_eq!(verification.complaints, [""; 0]);
    assert_eq!(verification.hooks.len(), 4);
    for hook in &verification.hooks {
        let installed = report
            .changes
            .iter()
            .find(|change| change.kind == hook.kind);
        let command = installed.map(|change| change.command.clone());
        assert_eq!(hook.command, command);
        assert!(hook.runnable);
        let listed = list.hooks.iter().find(|listed| {
            listed.command == command && listed.event_name == event_names(hook.kind).listed
        });
        let listed = listed.expect("codex sees it");
        let review = hook.review.as_ref().expect("codex tells");
        assert_eq!(
            (&*review.trust, hook.works),
            ("untrusted", false),
            "{hook:?}"
        );
        assert_eq!(review.hash, listed.current_hash);
        assert!(listed.enabled);
        assert_eq!(listed.trust_status, TrustStatus::Untrusted);
        assert_eq!(listed.timeout_sec, DEFAULT_TIMEOUT_SECS);
        let event = event_names(hook.kind).trusted;
        assert_eq!(
            listed.current_hash,
            trusted_hash(event, &command.expect("installed"), DEFAULT_TIMEOUT_SECS)
        );
        let position = if hook.kind == Kind::Stop {
            "1:0"
        } else {
            "0:0"
        };
        assert!(
            listed
                .key
                .ends_with(&format!("hooks.json:{event}:{position}")),
            "{}",
            listed.key
        );
    }
}

#[test]
fn the_real_codex_trusts_by_position_and_hash() {
    let home = Home::new();
    let Some(codex) = real_codex(&home) else {
        return;
    };
    home.install(&built());
    let hash = trusted_hash("stop", &command(Kind::Stop), DEFAULT_TIMEOUT_SECS);
    let key = format!("{}:stop:0:0", home.file().display());
    fs::write(
        home.path().join("config.toml"),
        format!("[hooks.state.\"{key}\"]\ntrusted_hash = \"{hash}\"\n"),
    )
    .expect("writable");
    let trust = |kind: Kind| {
        let verification = home.verify(&codex);
        let state = verification
            .hooks
            .into_iter()
            .find(|hook| hook.kind == kind);
        state.and_then(|hook| Some((hook.review?.trust, hook.works)))
    };
    assert_eq!(trust(Kind::Stop), Some(("trusted".to_owned(), true)));
    let untrusted = Some(("untrusted".to_owned(), false));
    assert_eq!(trust(Kind::Prompt), untrusted);

    // An entry that moves up takes the place of the trusted one, and is not it.
    let mut value = home.value();
    let groups = value["hooks"]["Stop"].as_array_mut().expect("groups");
    groups.insert(0, command_entry("/usr/bin/true"));
    fs::write(home.file(), value.to_string()).expect("writable");
    assert_eq!(trust(Kind::Stop), untrusted);
}

#[test]
fn the_real_codex_refuses_what_we_refuse() {
    for text in [
        "// mine\n{}",
        "\u{feff}{}",
        "",
        r#"{"hooks":null}"#,
        r#"{"hooks":{"Stop":null}}"#,
        r#"{"hooks":{"Stop":[],"Stop":[]}}"#,
        r#"{"hooks":{"Stop":[{"hooks":[{}]}]}}"#,
        r#"{"hooks":{"Stop":[{"hooks":["x"]}]}}"#,
    ] {
        let home = Home::with(text);
        let Some(codex) = real_codex(&home) else {
            return;
        };
        global_hooks::install(super::codex(), &home.path(), &built()).expect_err("refused by us");
        let list = query(&home, &codex).expect("an answer");
        assert_eq!(list.warnings.len(), 1, "refused by codex: {text}");
        assert!(list.hooks.is_empty());
    }
}
