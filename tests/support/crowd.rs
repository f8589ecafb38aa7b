//! Many runs at once in one repository, each with a content of its own.
//!
//! A member's latencies and its ending are drawn from a seed, so that a crowd can be had again. Its token stands in its
//! prompt, in its agent's answer and in its agent's file, and must be found in its own record alone.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cx_operator::record::{Outcome, Status};
use cx_operator::task::Task;
use cx_operator::task::name::TaskName;
use cx_operator::task::prompt::Prompt;
use tempfile::TempDir;

/// So long a member may take: a crowd of 200 on two cores takes a quarter of it.
const LIMIT: Duration = Duration::from_secs(240);
/// The longest of the latencies that are drawn, in milliseconds.
const LATENCY: u64 = 400;

/// How a member ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Result,
    Question,
    HttpError,
    Exit,
    Killed,
}

impl Ending {
    /// The last lines of its script.
    fn script(self, token: &str) -> String {
        match self {
            Self::Result => format!("say Wrote {token}.\\nSTATUS: DONE\ndefault\n"),
            Self::Question => format!("say Should {token} be in capitals?\ndefault\n"),
            Self::HttpError => "fail 500\ndefault\n".to_owned(),
            Self::Exit => "exit 3\n".to_owned(),
            Self::Killed => "die 9\n".to_owned(),
        }
    }

    fn status(self) -> Status {
        match self {
            Self::Result => Status::Completed,
            Self::Question => Status::NeedsInput,
            Self::HttpError => Status::AgentFailed,
            Self::Exit | Self::Killed => Status::AgentDied,
        }
    }
}

/// One run of a crowd.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    name: String,
    token: String,
    latencies: [u64; 3],
    ending: Ending,
}

// Each includer uses a part of this interface; naming the rest keeps it from counting as dead code.
const _: fn(Crowd, &Member) = |crowd, member| {
    let mut crowd = crowd.without_latencies();
    crowd.hold();
    crowd.release();
    drop(crowd.command(member).spawn().map(|_| crowd.printed(member)));
    crowd.assert_own(&[]);
    crowd.members.clear();
    assert!(crowd.cleanup() && crowd.said(member).is_empty());
};

/// Draws numbers: the same ones for the same seed.
struct Dice(u64);

impl Dice {
    /// The next number. Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators".
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Members that run in one repository with one state directory.
pub(crate) struct Crowd {
    pub(crate) members: Vec<Member>,
    dir: PathBuf,
    _temp: TempDir,
}

impl Crowd {
    /// A crowd of `size`, drawn from `seed`. One member in four fails in some way.
    pub(crate) fn new(size: usize, seed: u64) -> Self {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let dir = temp.path().canonicalize().expect("it is there");
        for name in ["home", "codex", "worktrees", "repo", "scripts", "out"] {
            fs::create_dir(dir.join(name)).expect("a directory");
        }
        fs::write(dir.join("codex/config.toml"), "model = \"gpt-5.5\"\n").expect("written");
        let key = r#"{"OPENAI_API_KEY":"no-secret","tokens":null,"last_refresh":null}"#;
        fs::write(dir.join("codex/auth.json"), key).expect("written");
        let mut dice = Dice(seed);
        let members = (0..size)
            .map(|number| Member {
                name: format!("m{number}"),
                token: format!("token-{number}-{:08x}", dice.roll() as u32),
                latencies: [(); 3].map(|()| dice.roll() % LATENCY),
                ending: match dice.roll() % 16 {
                    0 => Ending::Question,
                    1 => Ending::HttpError,
                    2 => Ending::Exit,
                    3 => Ending::Killed,
                    _ => Ending::Result,
                },
            })
            .collect();
        let crowd = Self {
            members,
            dir,
            _temp: temp,
        };
        crowd.git(&["init", "-q", "-b", "main"]);
        fs::write(crowd.repo().join("README"), "one\n").expect("written");
        crowd.git(&["add", "-A"]);
        crowd.git(&["commit", "-q", "-m", "base"]);
        crowd.release();
        crowd
    }

    /// The same crowd, of agents that do all at once and succeed.
    pub(crate) fn without_latencies(mut self) -> Self {
        for member in &mut self.members {
            member.latencies = [0; 3];
            member.ending = Ending::Result;
        }
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(crate) fn repo(&self) -> PathBuf {
        self.path("repo")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// Has every turn of the crowd last until [`Crowd::release`].
    pub(crate) fn hold(&self) {
        fs::remove_file(self.path("gate")).expect("it was there");
    }

    /// Lets all turns go on.
    pub(crate) fn release(&self) {
        fs::write(self.path("gate"), "").expect("written");
    }

    fn prompt(member: &Member) -> String {
        format!("Write {} into work-{}.", member.token, member.name)
    }

    fn write_script(&self, member: &Member) -> PathBuf {
        let path = self.path("scripts").join(&member.name);
        let (name, token) = (&member.name, &member.token);
        let [start, think, work] = member.latencies;
        let prompt = Self::prompt(member);
        let gate = self.path("gate").display().to_string();
        let text = format!(
            "sleep {start}\nexpect-prompt {prompt}\nwork-until {gate}\nsleep {think}\nwrite work-{name} {token}\\n\nsleep {work}\n{}",
            member.ending.script(token)
        );
        fs::write(&path, text).expect("written");
        path
    }

    fn environment(&self, member: &Member) -> Vec<(String, String)> {
        let path = |name: &str| self.path(name).display().to_string();
        let script = self.write_script(member).display().to_string();
        let variables = [
            ("HOME", path("home")),
            ("CODEX_HOME", path("codex")),
            ("SHELL", "/bin/sh".to_owned()),
            ("CX_SCRIPT", script),
        ];
        variables
            .map(|(name, value)| (name.to_owned(), value))
            .into()
    }

    /// The member as a task of the library.
    pub(crate) fn task(&self, member: &Member) -> Task {
        let prompt = Prompt::parse(Self::prompt(member).as_bytes()).expect("a prompt");
        let name = TaskName::parse(&member.name).expect("a name");
        let mut task = Task::new(name, self.repo(), prompt);
        task.preamble = false;
        task.codex.program = Some(env!("CARGO_BIN_EXE_scripted-agent").into());
        task.worktree_root = self.path("worktrees");
        task.environment = self.environment(member);
        task.limits.startup = LIMIT;
        task.limits.submit = LIMIT;
        task
    }

    /// The member as a process of its own, which prints its record into `out/<name>`.
    pub(crate) fn command(&self, member: &Member) -> Command {
        let out = self.path("out").join(&member.name);
        let file = fs::File::create(&out).expect("a file");
        let errors = fs::File::create(out.with_extension("err")).expect("a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_cx-operator"));
        command
            .args([
                "delegate",
                "--json",
                "--no-preamble",
                "--task",
                &member.name,
            ])
            .args(["--prompt", &Self::prompt(member)])
            .args(["--startup-timeout", "240s"])
            .args(["--codex", env!("CARGO_BIN_EXE_scripted-agent")])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(self.environment(member))
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors);
        for (flag, path) in [
            ("--repo", "repo"),
            ("--state-dir", "state"),
            ("--worktree-root", "worktrees"),
        ] {
            command.arg(flag).arg(self.path(path));
        }
        command
    }

    /// What the member's own process has said so far.
    pub(crate) fn said(&self, member: &Member) -> String {
        let path = self.path("out").join(&member.name).with_extension("err");
        fs::read_to_string(path).unwrap_or_default()
    }

    /// What the member's own process printed.
    pub(crate) fn printed(&self, member: &Member) -> Outcome {
        let path = self.path("out").join(&member.name);
        let text = fs::read_to_string(&path).expect("it printed");
        serde_json::from_str(&text).unwrap_or_else(|error| {
            panic!("{}: {error}\n{text}\n{}", member.name, self.said(member))
        })
    }

    /// Runs `cx-operator cleanup`; whether it could do all.
    pub(crate) fn cleanup(&self) -> bool {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cx-operator"));
        command.arg("cleanup").arg("--repo").arg(self.repo());
        command.arg("--state-dir").arg(self.state());
        command.output().expect("cx-operator runs").status.success()
    }

    /// Every run has its own prompt, answer, file, patch and record, and nothing of the others'.
    pub(crate) fn assert_own(&self, outcomes: &[(Member, Outcome)]) {
        let mut sessions = BTreeSet::new();
        for (member, outcome) in outcomes {
            let (name, token) = (&member.name, &member.token);
            assert_eq!(outcome.status, member.ending.status(), "{outcome:#?}");
            assert_eq!((outcome.turns, outcome.files_changed), (1, 1), "{name}");
            let dir = outcome.run_dir.as_ref().expect("it came to be");
            let record = fs::read(dir.join("run.json")).expect("the record");
            let mut record: Outcome = serde_json::from_slice(&record).expect("a record");
            record.duration_ms = outcome.duration_ms;
            assert_eq!(&record, outcome);
            let task = fs::read_to_string(dir.join("task.md")).expect("the brief");
            assert_eq!(task, Self::prompt(member));
            if matches!(member.ending, Ending::Result | Ending::Question) {
                let message = outcome.last_message.as_deref().unwrap_or_default();
                assert!(message.contains(token), "{name}: {message}");
            }
            let result = outcome.result_commit.as_ref().expect("a snapshot");
            let file = self.git(&["show", &format!("{result}:work-{name}")]);
            assert_eq!(&file, token, "{name}");
            let patch = outcome.patch.as_ref().expect("a patch");
            let patch = fs::read_to_string(patch).expect("the patch");
            assert!(patch.contains(&format!("\n+{token}\n")), "{name}: {patch}");
            for (what, text) in [("patch", patch), ("all of it", everything_of(dir))] {
                assert_eq!(
                    tokens(&text),
                    BTreeSet::from([token.as_str()]),
                    "{name}'s {what}"
                );
            }
            assert!(
                sessions.insert(outcome.session_id.clone()),
                "{name}: a session twice"
            );
        }
    }

    /// Nothing of the runs is left but their records and refs.
    pub(crate) fn assert_nothing_left(&self, outcomes: &[(Member, Outcome)]) {
        assert!(
            !self.path("state/tmux.sock").exists(),
            "the tmux server is left"
        );
        let worktrees = fs::read_dir(self.path("worktrees")).expect("listed");
        assert_eq!(worktrees.count(), 0, "worktrees are left");
        let git = self.repo().join(".git");
        assert!(!git.join("worktrees").exists(), "registrations are left");
        assert_eq!(self.git(&["branch", "--format=%(refname:short)"]), "main");
        assert_eq!(self.git(&["status", "--porcelain"]), "");
        self.git(&["fsck", "--strict", "--no-dangling"]);
        let refs = self.git(&["for-each-ref", "--format=%(refname)", "refs/cx-operator"]);
        let refs: BTreeSet<&str> = refs.lines().collect();
        let expected = outcomes
            .iter()
            .filter_map(|(_, outcome)| outcome.result_ref.as_deref());
        assert_eq!(refs, expected.collect());
        let runs = fs::read_dir(self.path("state/runs")).expect("listed");
        assert_eq!(runs.count(), outcomes.len(), "one record for each run");
        // What copies a pane's output ends a moment after the server.
        let limit = Instant::now() + Duration::from_secs(20);
        while let Some(process) = self.find_process() {
            assert!(Instant::now() < limit, "a process is left: {process}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A process, other than this one, that names something of the crowd's.
    pub(crate) fn find_process(&self) -> Option<String> {
        let own = std::process::id().to_string();
        let name = self.dir.as_os_str().as_bytes();
        let pids = fs::read_dir("/proc").expect("/proc").flatten();
        let pids = pids.filter_map(|entry| entry.file_name().into_string().ok());
        pids.filter(|pid| pid.bytes().all(|byte| byte.is_ascii_digit()) && *pid != own)
            .find(|pid| {
                ["cmdline", "environ"].iter().any(|file| {
                    let text = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
                    text.windows(name.len()).any(|part| part == name)
                })
            })
    }

    /// Runs git on the repository, in an environment without any configuration; returns what it printed, trimmed.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let output = self.git_command(arguments).output().expect("git runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {stderr}");
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned()
    }

    /// git on the repository.
    pub(crate) fn git_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command
            .current_dir(self.repo())
            .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"])
            .args(arguments)
            .env("HOME", "/nonexistent")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .stdin(Stdio::null());
        command
    }
}

impl Drop for Crowd {
    /// Ends the server of a crowd that failed, and with it its agents.
    fn drop(&mut self) {
        if self.path("state/tmux.sock").exists() {
            let mut tmux = Command::new("tmux");
            tmux.args(["-f", "/dev/null", "-S"])
                .arg(self.path("state/tmux.sock"));
            drop(tmux.arg("kill-server").output());
        }
    }
}

/// The text of all files of a run, signals included.
fn everything_of(dir: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(dir).expect("listed").flatten() {
        let path = entry.path();
        if path.is_dir() {
            text += &everything_of(&path);
        } else {
            text += &String::from_utf8_lossy(&fs::read(&path).unwrap_or_default());
        }
    }
    text
}

fn tokens(text: &str) -> BTreeSet<&str> {
    let starts = text.match_indices("token-");
    starts
        .map(|(at, _)| {
            let rest = &text[at..];
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-');
            &rest[..end.unwrap_or(rest.len())]
        })
        .collect()
}
