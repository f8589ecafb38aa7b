//! A pane of a private tmux server with an agent in it, and everything that a test asks about.

use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};
use testkit::git;
use testkit::wait::{LIMIT, wait_or};
use testkit::world::World;

pub(crate) const EVENTS: [&str; 5] = [
    "SessionStart",
    "UserPromptSubmit",
    "PermissionRequest",
    "Stop",
    "SessionEnd",
];

/// A home, a repository with a linked worktree, a tmux server; all gone when dropped.
pub(crate) struct Pane {
    world: World,
    program: PathBuf,
    pub(crate) arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

/// Asks again and again until there is an answer.
pub(crate) fn await_some<T>(
    what: &str,
    detail: impl Fn() -> String,
    look: impl Fn() -> Option<T>,
) -> T {
    wait_or(LIMIT, look).unwrap_or_else(|| panic!("waited in vain for {what}\n{}", detail()))
}

impl Pane {
    /// Prepares an agent whose hooks and directory are trusted.
    pub(crate) fn new() -> Self {
        let mut pane = Self::untrusting();
        let root = pane.path("repository");
        pane.arguments = vec![
            "-c".to_owned(),
            format!(
                "projects={{\"{}\"={{trust_level=\"trusted\"}}}}",
                root.display()
            ),
            "-c".to_owned(),
            pane.hooks(),
        ];
        pane
    }

    /// Prepares an agent with no arguments.
    pub(crate) fn untrusting() -> Self {
        let pane = Self {
            world: World::bare(),
            program: env!("CARGO_BIN_EXE_scripted-agent").into(),
            arguments: Vec::new(),
            environment: Vec::new(),
        };
        for name in ["signals", "state"] {
            std::fs::create_dir(pane.path(name)).expect("a directory of ours");
        }
        let config = "model = \"gpt-5.5\"\nmodel_provider = \"mock\"\ncheck_for_update_on_startup = false\n[model_providers.mock]\n\
            name = \"mock\"\nbase_url = \"http://127.0.0.1:1/v1\"\nwire_api = \"responses\"\nenv_key = \"OPENAI_API_KEY\"\n\
            request_max_retries = 1\nstream_max_retries = 1\n[notice.model_migrations]\n\"gpt-5.5\" = \"gpt-6-sol\"\n";
        pane.write("home/config.toml", config);
        let repository = pane.path("repository");
        std::fs::create_dir(&repository).expect("a directory of ours");
        git::init(&repository).expect("a repository");
        git::git(&repository, &["worktree", "add", "-q", "../linked"]);
        pane
    }

    /// Uses another program than the scripted agent.
    pub(crate) fn with_program(mut self, program: &str) -> Self {
        self.program = program.into();
        self
    }

    /// Gives the agent a script.
    pub(crate) fn with_script(mut self, script: &str) -> Self {
        self.write(
            "script",
            &script.replace("$DIR", &self.world.dir().to_string_lossy()),
        );
        self.environment.push((
            "CX_SCRIPT".to_owned(),
            self.path("script").display().to_string(),
        ));
        self
    }

    /// Adds arguments.
    pub(crate) fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// A path below the temporary directory, with no symbolic link in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.world.path(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a file of ours");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// The command of a hook: stores the payload as `signals/<event>.<random>.json`, prints `decision-<event>` if that exists.
    fn hook_command(&self, event: &str) -> String {
        let signals = self.path("signals");
        let signals = signals.display();
        format!(
            "f=$(mktemp {signals}/{event}.XXXXXX); cat > $f; mv $f $f.json; cat {signals}/decision-{event} 2>/dev/null; true"
        )
    }

    /// The value of `-c` for our hooks and their trust.
    pub(crate) fn hooks(&self) -> String {
        let (mut state, mut hooks) = (Vec::new(), Vec::new());
        for event in EVENTS {
            let (name, seconds) = match event {
                "SessionStart" => ("session_start", 600),
                "UserPromptSubmit" => ("user_prompt_submit", 600),
                "PermissionRequest" => ("permission_request", 600),
                "SessionEnd" => ("session_end", 1),
                _ => ("stop", 600),
            };
            let command = serde_json::json!(self.hook_command(event));
            let definition = format!(
                "{{\"event_name\":\"{name}\",\"hooks\":[{{\"async\":false,\"command\":{command},\"timeout\":{seconds},\"type\":\"command\"}}]}}"
            );
            let hash: String = Sha256::digest(definition)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            state.push(format!(
                "\"/<session-flags>/config.toml:{name}:0:0\"={{trusted_hash=\"sha256:{hash}\"}}"
            ));
            hooks.push(format!(
                "{event}=[{{hooks=[{{type=\"command\",command={command}}}]}}]"
            ));
        }
        format!(
            "hooks={{state={{{}}},{}}}",
            state.join(","),
            hooks.join(",")
        )
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        self.world.tmux(arguments)
    }

    /// Starts the agent in the linked worktree, with an environment that holds nothing else.
    pub(crate) fn start(self) -> Self {
        let environment = [
            format!("PATH={}", std::env::var("PATH").unwrap_or_default()),
            format!("HOME={}", self.path("home").display()),
            format!("CODEX_HOME={}", self.path("home").display()),
            format!("CX_SCRIPT_LOG={}", self.path("log").display()),
            "SHELL=/bin/sh".to_owned(),
            "TERM=tmux-256color".to_owned(),
            "LANG=C.UTF-8".to_owned(),
            "OPENAI_API_KEY=none".to_owned(),
        ];
        let more: Vec<String> = self
            .environment
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let (cwd, program) = (self.path("linked"), self.program.to_string_lossy());
        let cwd = cwd.to_string_lossy();
        let mut arguments = vec![
            "new-session",
            "-d",
            "-x",
            "120",
            "-y",
            "50",
            "-c",
            &cwd,
            "--",
            "env",
            "-i",
        ];
        arguments.extend(environment.iter().chain(&more).map(String::as_str));
        // tmux 3.3a loses some exit statuses: a shell writes it to a file.
        let status = self.path("status");
        let line = format!("\"$0\" \"$@\"; echo $? > {}", status.display());
        arguments.extend(["/bin/sh", "-c", &line, &program]);
        arguments.extend(self.arguments.iter().map(String::as_str));
        arguments.extend([";", "set-option", "remain-on-exit", "on"]);
        self.tmux(&arguments);
        self
    }

    /// Starts the agent and waits until it is ready.
    pub(crate) fn ready(self) -> Self {
        let pane = self.start();
        pane.await_screen("GPT-5.5 default ·");
        pane
    }

    /// The screen, and above it what a dead pane has scrolled away.
    pub(crate) fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-S", "-9"])
    }

    pub(crate) fn await_screen(&self, text: &str) -> String {
        await_some(
            text,
            || self.screen() + &self.read("log"),
            || Some(self.screen()).filter(|screen| screen.contains(text)),
        )
    }

    /// Pastes a text in brackets and, with `enter`, presses Enter in the same call.
    pub(crate) fn paste(&self, text: &str, enter: bool) {
        self.write("paste", text);
        let file = self.path("paste");
        let file = file.to_string_lossy();
        let mut arguments = vec![
            "load-buffer",
            "-b",
            "text",
            &file,
            ";",
            "paste-buffer",
            "-p",
            "-d",
            "-b",
            "text",
        ];
        if enter {
            arguments.extend([";", "send-keys", "Enter"]);
        }
        self.tmux(&arguments);
    }

    pub(crate) fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// The payloads that a hook has stored, in no order.
    pub(crate) fn payloads(&self, event: &str) -> Vec<Value> {
        let files = std::fs::read_dir(self.path("signals"))
            .expect("the signals")
            .filter_map(Result::ok);
        files
            .filter(|file| {
                let name = file.file_name();
                let name = name.to_string_lossy();
                name.starts_with(event) && name.ends_with(".json")
            })
            .map(|file| {
                let text = std::fs::read(file.path()).expect("a payload");
                serde_json::from_slice(&text)
                    .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&text)))
            })
            .collect()
    }

    /// The payload of an event, when so many have come; the one with the given text in it.
    pub(crate) fn await_payload(&self, event: &str, text: &str) -> Value {
        await_some(
            event,
            || self.screen() + &self.read("log"),
            || {
                self.payloads(event)
                    .into_iter()
                    .find(|payload| payload.to_string().contains(text))
            },
        )
    }

    /// The lines of the transcript, or of another file of JSON lines.
    pub(crate) fn lines(&self, path: &Path) -> Vec<Value> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// A line of the log that fits.
    pub(crate) fn await_log(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        await_some(
            what,
            || self.screen() + &self.read("log"),
            || {
                self.lines(&self.path("log"))
                    .into_iter()
                    .find(|line| fits(line))
            },
        )
    }

    /// The exit status, 128 + n after signal n.
    pub(crate) fn await_exit(&self) -> i32 {
        await_some(
            "the exit",
            || self.screen() + &self.read("log"),
            || self.read("status").strip_suffix('\n')?.parse().ok(),
        )
    }

    /// The transcript's event of a kind.
    pub(crate) fn await_event(&self, kind: &str) -> Value {
        await_some(
            kind,
            || self.screen(),
            || {
                let path = self.payloads("UserPromptSubmit").first()?["transcript_path"]
                    .as_str()?
                    .to_owned();
                self.lines(Path::new(&path))
                    .into_iter()
                    .map(|line| line["payload"].clone())
                    .rfind(|payload| payload["type"] == kind)
            },
        )
    }
}
