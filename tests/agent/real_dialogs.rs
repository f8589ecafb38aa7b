//! The dialogs of the real codex, provoked all at once and answered by the engine alone, in a tmux server of the test's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use testkit::agents;

use cx_operator::agent::codex::screen::{
    self, Dialog, DialogKind, DialogPolicy, Move, Reason, View,
};
use cx_operator::agent::executor::TrustPolicy;
use testkit::mock_model::{MockModel, write_codex_home};
use testkit::wait::{LIMIT, wait_or};
use testkit::world::World;

/// After what time without any effect a key is taken for lost.
const KEY_LIMIT: Duration = Duration::from_millis(500);

/// How long a composer that is called ready is watched for a late dialog.
const WATCH: Duration = Duration::from_secs(2);

/// A codex in a pane, with a repository, a home and a tmux server that end with it.
struct Pane {
    world: World,
}

impl Pane {
    /// Prepares a world; [`Pane::start`] starts codex in it.
    fn prepare() -> Pane {
        let world = World::bare();
        world.git(&["init", "-q"]);
        for name in ["bin", "state"] {
            fs::create_dir(world.path(name)).expect("a directory");
        }
        Pane { world }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.world.path(name)
    }

    /// Makes every dialog of a start due: trust, hooks, update and, where the version has one, the model offer.
    fn make_all_due(&self, model: &MockModel) {
        use std::os::unix::fs::PermissionsExt;
        let home = self.path("codex");
        write_codex_home(&home, model.port()).expect("the config is written");
        let config = fs::read_to_string(home.join("config.toml")).expect("it was written");
        let config = config.replace("startup = false", "startup = true");
        fs::write(home.join("config.toml"), config).expect("the config is written");
        let hooks = r#"{"hooks":{"Stop":[{"hooks":[{"type":"command","command":"true"}]}]}}"#;
        fs::write(home.join("hooks.json"), hooks).expect("the hooks are written");
        let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now());
        let version = format!(
            r#"{{"latest_version":"0.999.0","last_checked_at":"{now}","dismissed_version":null}}"#
        );
        fs::write(home.join("version.json"), version).expect("the version is written");
        // What "Update now" would run.
        let npm = self.path("bin/npm");
        let script = format!("#!/bin/sh\ntouch {}\n", self.path("npm-was-run").display());
        fs::write(&npm, script).expect("a script");
        fs::set_permissions(npm, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }

    fn tmux(&self, args: &[&str]) -> String {
        self.world.tmux(args)
    }

    fn start(&self, codex: &Path, version: &str, key: bool) {
        let path = std::env::var("PATH").expect("a PATH");
        let mut words = vec![
            "env".to_owned(),
            "-u".to_owned(),
            "OPENAI_API_KEY".to_owned(),
            format!("PATH={}:{path}", self.path("bin").display()),
            format!("HOME={}", self.path("home").display()),
            format!("CODEX_HOME={}", self.path("codex").display()),
        ];
        if key {
            words.push("OPENAI_API_KEY=none".to_owned());
        }
        words.push(codex.display().to_string());
        if version == agents::PINNED {
            // It would leave a daemon behind.
            words.push("--no-daemon".to_owned());
        }
        let repo = self.path("repo").display().to_string();
        let mut args = vec![
            "new-session",
            "-d",
            "-x",
            "200",
            "-y",
            "50",
            "-c",
            &repo,
            "--",
        ];
        args.extend(words.iter().map(String::as_str));
        self.tmux(&args);
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    fn paste(&self, text: &str) {
        let file = self.path("prompt");
        fs::write(&file, text).expect("the prompt is written");
        let file = file.display().to_string();
        let paste = [
            "load-buffer",
            "-b",
            "p",
            &file,
            ";",
            "paste-buffer",
            "-p",
            "-d",
            "-b",
            "p",
        ];
        self.tmux(&paste);
    }

    /// Waits for a screen of which that is true.
    fn wait_until(&self, what: &str, is_there: impl Fn(&str) -> bool) -> String {
        let found = wait_or(LIMIT, || {
            Some(self.screen()).filter(|screen| is_there(screen))
        });
        found.unwrap_or_else(|| panic!("no {what}:\n{}", self.screen()))
    }

    /// The next dialog or composer, without pressing anything.
    fn wait_for_view(&self) -> View {
        let is_there = |view: &View| matches!(view, View::Dialog(_) | View::Composer(_));
        let screen = self.wait_until("dialog or composer", |screen| {
            is_there(&screen::read(screen))
        });
        screen::read(&screen)
    }

    /// Waits until the screen is no longer that; a key sent before codex reads keys is lost, so not for long.
    fn wait_for_effect(&self, before: &View) {
        let _lost = wait_or(KEY_LIMIT, || {
            (screen::read(&self.screen()) != *before).then_some(())
        });
    }

    /// Answers dialogs until the composer is there, or nobody may answer: what was met, and how it ended.
    fn answer_all(&self, policy: &DialogPolicy) -> (Vec<DialogKind>, Result<(), Move>) {
        let mut met: Vec<DialogKind> = Vec::new();
        let mut keys = 0;
        loop {
            let dialog: Dialog = match self.wait_for_view() {
                View::Dialog(dialog) => dialog,
                _ => return (met, Ok(())),
            };
            if met.last() != Some(&dialog.kind) {
                met.push(dialog.kind);
            }
            assert!(met.len() < 8, "the dialogs do not end: {met:?}");
            match screen::answer(&dialog, policy) {
                Move::Press(key) => {
                    self.press(key.name());
                    keys += 1;
                    assert!(keys < 40, "no key has an effect: {met:?}");
                    self.wait_for_effect(&View::Dialog(dialog));
                }
                Move::Wait => {}
                end => return (met, Err(end)),
            }
        }
    }
}

fn start_with_all_dialogs(version: &str, expected: &[DialogKind]) {
    let Some(codex) = agents::real_codex(version) else {
        return;
    };
    let model = MockModel::start().expect("a port");
    let pane = Pane::prepare();
    pane.make_all_due(&model);
    pane.start(&codex, version, true);
    let (met, end) = pane.answer_all(&DialogPolicy::default());
    assert_eq!((met.as_slice(), end), (expected, Ok(())), "{version}");

    let begun = Instant::now();
    while begun.elapsed() < WATCH {
        let screen = pane.screen();
        let view = screen::read(&screen);
        assert!(
            matches!(view, View::Composer(_)),
            "{version}: a ready composer went:\n{screen}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }

    let prompt = "[[say All is\nwell.]] Look at the build";
    pane.paste(prompt);
    pane.wait_until("text in the composer", |screen| {
        screen::composer_holds(screen, prompt)
    });
    pane.press("Enter");
    let sent = pane.wait_until("answer", |screen| screen.contains("• All is"));
    assert!(!screen::composer_holds(&sent, prompt));
    assert!(
        model
            .requests()
            .iter()
            .any(|request| request.text == prompt)
    );

    let home = pane.path("codex");
    let config = fs::read_to_string(home.join("config.toml")).expect("the config is there");
    assert!(config.starts_with("model = \"gpt-5.5\"\n"), "{config}");
    assert!(
        !config.contains("trusted_hash"),
        "no hook was trusted: {config}"
    );
    let trusted = config.parse::<toml::Table>().expect("the config is TOML");
    assert!(
        trusted.contains_key("projects"),
        "the directory was trusted: {config}"
    );
    let version_file = fs::read_to_string(home.join("version.json")).expect("it is there");
    assert!(
        version_file.contains(r#""dismissed_version":null"#),
        "{version_file}"
    );
    assert!(!pane.path("npm-was-run").exists(), "the update was run");
}

#[test]
fn all_dialogs_of_0_169() {
    let expected = [
        DialogKind::Update,
        DialogKind::DirectoryTrust,
        DialogKind::HookReview,
        DialogKind::ModelOffer,
    ];
    start_with_all_dialogs(agents::PINNED, &expected);
}

#[test]
fn all_dialogs_of_0_150() {
    let expected = [
        DialogKind::Update,
        DialogKind::DirectoryTrust,
        DialogKind::HookReview,
    ];
    start_with_all_dialogs(agents::OLDER[0], &expected);
}

#[test]
fn all_dialogs_of_0_130() {
    start_with_all_dialogs(
        agents::OLDER[1],
        &[DialogKind::Update, DialogKind::DirectoryTrust],
    );
}

#[test]
fn sign_in_and_a_trust_that_is_to_be_asked_get_no_key() {
    for version in [agents::PINNED, agents::OLDER[0], agents::OLDER[1]] {
        let Some(codex) = agents::real_codex(version) else {
            continue;
        };
        let signed_out = Pane::prepare();
        signed_out.start(&codex, version, false);
        let (met, end) = signed_out.answer_all(&DialogPolicy::default());
        assert_eq!(
            (met.as_slice(), end),
            (&[DialogKind::SignIn][..], Err(Move::SignIn))
        );

        let model = MockModel::start().expect("a port");
        let untrusted = Pane::prepare();
        write_codex_home(&untrusted.path("codex"), model.port()).expect("the config is written");
        untrusted.start(&codex, version, true);
        let policy = DialogPolicy {
            trust: TrustPolicy::Ask,
        };
        let end = untrusted.answer_all(&policy);
        let asked = Err(Move::Surface(Reason::TrustIsAsked));
        assert_eq!(end, (vec![DialogKind::DirectoryTrust], asked), "{version}");
    }
}
