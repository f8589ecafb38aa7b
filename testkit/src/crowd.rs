//! Many runs at once in one repository, each with a content of its own.
//!
//! A member's latencies and its ending are drawn from a seed, so that a crowd can be repeated. Its token is in its
//! prompt, in its agent's answer and in its agent's file, and must be found in its own record alone.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use cx_operator::record::{Outcome, Status};
use cx_operator::task::Task;
use cx_operator::task::name::TaskName;
use cx_operator::task::prompt::Prompt;

use crate::random::Random;
use crate::world::World;
use crate::{built, inventory};

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
pub struct Member {
    name: String,
    token: String,
    latencies: [u64; 3],
    ending: Ending,
}

/// Members that run in one repository with one state directory.
pub struct Crowd {
    /// Its runs.
    pub members: Vec<Member>,
    /// Where they take place.
    pub world: World,
}

impl Crowd {
    /// A crowd of `size`, drawn from `seed`. One member in four fails in some way.
    pub fn new(size: usize, seed: u64) -> Self {
        let world = World::new(&[("README", "one\n")]);
        for name in ["scripts", "out"] {
            fs::create_dir(world.path(name)).expect("a directory");
        }
        world.write("codex/config.toml", "model = \"gpt-5.5\"\n");
        world.sign_in();
        let mut random = Random::new(seed);
        let members = (0..size)
            .map(|number| Member {
                name: format!("m{number}"),
                token: format!("token-{number}-{:08x}", random.next() as u32),
                latencies: [(); 3].map(|()| random.next() % LATENCY),
                ending: match random.next() % 16 {
                    0 => Ending::Question,
                    1 => Ending::HttpError,
                    2 => Ending::Exit,
                    3 => Ending::Killed,
                    _ => Ending::Result,
                },
            })
            .collect();
        let crowd = Self { members, world };
        crowd.release();
        crowd
    }

    /// The same crowd, of agents that do all at once and succeed.
    pub fn without_latencies(mut self) -> Self {
        for member in &mut self.members {
            member.latencies = [0; 3];
            member.ending = Ending::Result;
        }
        self
    }

    /// Has every turn of the crowd last until [`Crowd::release`].
    pub fn hold(&self) {
        fs::remove_file(self.world.path("gate")).expect("it was there");
    }

    /// Lets all turns go on.
    pub fn release(&self) {
        fs::write(self.world.path("gate"), "").expect("written");
    }

    fn prompt(member: &Member) -> String {
        format!("Write {} into work-{}.", member.token, member.name)
    }

    fn write_script(&self, member: &Member) -> PathBuf {
        let path = self.world.path("scripts").join(&member.name);
        let (name, token) = (&member.name, &member.token);
        let [start, think, work] = member.latencies;
        let prompt = Self::prompt(member);
        let gate = self.world.path("gate").display().to_string();
        let text = format!(
            "sleep {start}\nexpect-prompt {prompt}\nwork-until {gate}\nsleep {think}\nwrite work-{name} {token}\\n\nsleep {work}\n{}",
            member.ending.script(token)
        );
        fs::write(&path, text).expect("written");
        path
    }

    fn environment(&self, member: &Member) -> Vec<(String, String)> {
        let script = self.write_script(member).display().to_string();
        let mut variables = self.world.environment();
        variables.push(("CX_SCRIPT".to_owned(), script));
        variables
    }

    /// The member as a task of the library.
    pub fn task(&self, member: &Member) -> Task {
        let prompt = Prompt::parse(Self::prompt(member).as_bytes()).expect("a prompt");
        let name = TaskName::parse(&member.name).expect("a name");
        let mut task = Task::new(name, self.world.repo(), prompt);
        task.preamble = false;
        task.agent.program = Some(built::scripted_agent());
        task.worktree_root = self.world.worktrees();
        task.environment = self.environment(member);
        task.limits.startup = LIMIT;
        task.limits.submit = LIMIT;
        task
    }

    /// The member as a process of its own, which prints its record into `out/<name>`.
    pub fn command(&self, member: &Member) -> Command {
        let out = self.world.path("out").join(&member.name);
        let file = fs::File::create(&out).expect("a file");
        let errors = fs::File::create(out.with_extension("err")).expect("a file");
        let mut command = self.world.delegate(&member.name);
        command
            .args(["--json", "--no-preamble", "--startup-timeout", "240s"])
            .args(["--prompt", &Self::prompt(member)])
            .envs(self.environment(member))
            .stdout(file)
            .stderr(errors);
        command
    }

    /// What the member's own process has said so far.
    pub fn said(&self, member: &Member) -> String {
        let path = self
            .world
            .path("out")
            .join(&member.name)
            .with_extension("err");
        fs::read_to_string(path).unwrap_or_default()
    }

    /// What the member's own process printed.
    pub fn printed(&self, member: &Member) -> Outcome {
        let path = self.world.path("out").join(&member.name);
        let text = fs::read_to_string(&path).expect("it printed");
        serde_json::from_str(&text).unwrap_or_else(|error| {
            panic!("{}: {error}\n{text}\n{}", member.name, self.said(member))
        })
    }

    /// Runs `cx-operator cleanup`; returns whether it could do all.
    ///
    /// # Panics
    /// It can not be started.
    #[must_use]
    pub fn cleanup(&self) -> bool {
        let mut command = self.world.operator(&["cleanup"]);
        command.output().expect("cx-operator runs").status.success()
    }

    /// Every run has its own prompt, answer, file, patch and record, and nothing of the others'.
    pub fn assert_own(&self, outcomes: &[(Member, Outcome)]) {
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
            let file = self.world.git(&["show", &format!("{result}:work-{name}")]);
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
    pub fn assert_nothing_left(&self, outcomes: &[(Member, Outcome)]) {
        let ended: Vec<Outcome> = outcomes
            .iter()
            .map(|(_, outcome)| outcome.clone())
            .collect();
        assert_eq!(inventory::left_overs(&self.world, &ended), [""; 0]);
        let git = self.world.repo().join(".git");
        assert!(!git.join("worktrees").exists(), "registrations are left");
        assert_eq!(
            self.world.git(&["branch", "--format=%(refname:short)"]),
            "main"
        );
        assert_eq!(self.world.git(&["status", "--porcelain"]), "");
        self.world.git(&["fsck", "--strict", "--no-dangling"]);
        let runs = fs::read_dir(self.world.path("state/runs")).expect("listed");
        assert_eq!(runs.count(), outcomes.len(), "one record for each run");
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
