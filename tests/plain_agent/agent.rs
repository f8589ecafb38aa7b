//! `plain-agent`: a small interactive agent of no model, behind the executor `scripted` (`src/agent/scripted.rs`).
//!
//! What a model would do is written in the prompt, in directives that the mock model of the real codex obeys too:
//! `[[await PATH]]`, `[[sleep N]]`, `[[http N]]`, `[[shell CMD]]`, `[[escalate]]`, `[[question]]` and `[[say TEXT]]`.
//! `--greet` shows a dialog at the start that its executor does not know.

mod screen;
mod terminal;

use std::env;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use screen::{Bottom, Screen};
use terminal::{Key, Terminal};

fn main() -> ExitCode {
    let home = env::var_os("PLAIN_HOME").map(PathBuf::from);
    let home =
        home.unwrap_or_else(|| Path::new(&env::var_os("HOME").unwrap_or_default()).join(".plain"));
    let mut arguments = env::args().skip(1).peekable();
    match arguments.peek().map(String::as_str) {
        Some("--version") => {
            let _unheard = writeln!(io::stdout(), "plain {}", screen::VERSION);
            ExitCode::SUCCESS
        }
        Some("--check") => ExitCode::from(u8::from(!home.join("account").exists())),
        _ => match Agent::open(&home, arguments).and_then(|mut agent| agent.serve(&home)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let _unheard = writeln!(io::stderr(), "plain-agent: {error}");
                ExitCode::FAILURE
            }
        },
    }
}

/// The choices of the command line.
#[derive(Default)]
struct Settings {
    folder: PathBuf,
    trusts: bool,
    never_asks: bool,
    greets: bool,
    /// Event and shell command.
    listeners: Vec<(String, String)>,
}

impl Settings {
    fn parse(mut arguments: impl Iterator<Item = String>) -> io::Result<Self> {
        let mut settings = Self::default();
        let mut next = |flag: &str| {
            arguments
                .next()
                .ok_or_else(|| io::Error::other(format!("{flag}: no value")))
        };
        while let Ok(flag) = next("") {
            match flag.as_str() {
                "--in" => settings.folder = next("--in")?.into(),
                "--model" => drop(next("--model")?),
                "--trust" => settings.trusts = true,
                "--never-ask" => settings.never_asks = true,
                "--greet" => settings.greets = true,
                "--tell" => {
                    let listener = next("--tell")?;
                    let (event, command) = listener.split_once('=').unwrap_or((&listener, ""));
                    settings
                        .listeners
                        .push((event.to_owned(), command.to_owned()));
                }
                other => return Err(io::Error::other(format!("{other} is unknown"))),
            }
        }
        Ok(settings)
    }
}

struct Agent {
    settings: Settings,
    screen: Screen,
    terminal: Terminal,
    session: String,
    talk: PathBuf,
    turns: u64,
}

/// How a command came out: its output, or why it was refused.
type Ran = Result<String, String>;

impl Agent {
    fn open(home: &Path, arguments: impl Iterator<Item = String>) -> io::Result<Self> {
        let settings = Settings::parse(arguments)?;
        env::set_current_dir(&settings.folder)?;
        let session = uuid::Uuid::new_v4().to_string();
        Ok(Self {
            screen: Screen::new(&settings.folder),
            terminal: Terminal::open()?,
            talk: home.join("talks").join(format!("{session}.talk")),
            session,
            settings,
            turns: 0,
        })
    }

    fn serve(&mut self, home: &Path) -> io::Result<()> {
        while !home.join("account").exists() {
            self.screen.draw(&Bottom::SignIn)?;
            self.terminal.next()?;
        }
        if self.settings.greets {
            self.screen.draw(&Bottom::Greeting)?;
            while self.terminal.next()? != Key::Enter {}
        }
        let folder = format!("Work in {}?", self.settings.folder.display());
        if !self.settings.trusts && !self.is_confirmed(&folder, None)? {
            return Ok(());
        }
        fs::create_dir_all(home.join("talks"))?;
        File::create(".plain-lock")?;
        self.note(&format!("talk {} plain {}", self.session, screen::VERSION))?;
        self.tell("opened", json!({"why": "new"}))?;
        loop {
            let text = self.compose()?;
            match text.trim() {
                "quit" => return Ok(()),
                command if command.starts_with(':') => self.screen.say("no such command"),
                _ => self.take_turn(&text)?,
            }
        }
    }

    /// Waits for a text and the Enter behind it.
    fn compose(&mut self) -> io::Result<String> {
        let mut typed = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&typed).into_owned();
            self.screen.draw(&Bottom::Composer(&text))?;
            match self.terminal.next()? {
                Key::Enter if !text.trim().is_empty() => return Ok(text),
                Key::Paste(bytes) => typed.extend(bytes),
                Key::Byte(byte) => typed.push(byte),
                Key::Erase => drop(typed.pop()),
                _ => {}
            }
        }
    }

    /// Asks on the screen. Tab chooses the other answer, Enter takes it; the letters answer at once.
    fn is_confirmed(&mut self, question: &str, reason: Option<&str>) -> io::Result<bool> {
        let mut yes = false;
        loop {
            self.screen.draw(&Bottom::Question {
                question,
                reason,
                yes,
            })?;
            match self.terminal.next()? {
                Key::Tab => yes = !yes,
                Key::Enter => return Ok(yes),
                Key::Byte(b'y') => return Ok(true),
                Key::Byte(b'n') => return Ok(false),
                _ => {}
            }
        }
    }

    fn take_turn(&mut self, prompt: &str) -> io::Result<()> {
        self.turns += 1;
        let turn = self.turns;
        self.screen.say(prompt.lines().next().unwrap_or_default());
        self.screen.draw(&Bottom::Busy)?;
        self.tell("asked", json!({"n": turn, "text": prompt}))?;
        self.note(&format!("turn {turn} begins"))?;
        if let Some(path) = directive(prompt, "await") {
            while !Path::new(path).exists() {
                thread::sleep(Duration::from_millis(10));
            }
        }
        let seconds = directive(prompt, "sleep").and_then(|seconds| seconds.parse().ok());
        thread::sleep(Duration::from_secs_f64(seconds.unwrap_or_default()));
        if let Some(status) = directive(prompt, "http") {
            self.screen
                .say(&format!("failed: {status} the service failed"));
            return self.note(&format!("turn {turn} fails: {status} the service failed"));
        }
        let ran = match directive(prompt, "shell") {
            Some(command) => Some(self.run(command, directive(prompt, "escalate").is_some())?),
            None => None,
        };
        let answer = match ran {
            Some(Ok(output)) => format!("Done. The command printed:\n{output}"),
            Some(Err(why)) => format!("I was refused that ({why}). What should I do instead?"),
            None if directive(prompt, "question").is_some() => {
                "Should I use tabs or spaces?".to_owned()
            }
            None => directive(prompt, "say")
                .unwrap_or("STATUS: DONE")
                .to_owned(),
        };
        self.screen.say(&answer);
        self.note(&format!("said {turn}"))?;
        self.tell("answered", json!({"n": turn, "answer": answer}))?;
        self.note(&format!("turn {turn} ends: {}", json!(answer)))
    }

    fn run(&mut self, command: &str, needs_permission: bool) -> io::Result<Ran> {
        let call = format!("{}.1", self.turns);
        self.note(&format!("run {call} {}", json!(command)))?;
        if needs_permission && let Some(why) = self.refusal(command)? {
            self.note(&format!("refused {call} {}", json!(why)))?;
            return Ok(Err(why));
        }
        let output = Command::new("/bin/sh")
            .args(["-c", command])
            .stdin(Stdio::null())
            .output()?;
        self.note(&format!("ran {call}"))?;
        Ok(Ok(String::from_utf8_lossy(&output.stdout)
            .trim()
            .to_owned()))
    }

    /// Why a command may not be run, if it may not: a listener decides, else the person at the screen.
    fn refusal(&mut self, command: &str) -> io::Result<Option<String>> {
        if self.settings.never_asks {
            return Ok(Some("nobody is asked".to_owned()));
        }
        let wish = json!({"n": self.turns, "run": command, "because": "needs the network"});
        let decision = self.tell("wants", wish)?;
        if let Some(why) = decision.strip_prefix("no: ") {
            return Ok(Some(why.trim().to_owned()));
        }
        let question = format!("Run {}?", json!(command));
        let allowed =
            decision.trim() == "yes" || self.is_confirmed(&question, Some("needs the network"))?;
        self.screen.draw(&Bottom::Busy)?;
        Ok((!allowed).then(|| "no".to_owned()))
    }

    /// Adds a line to the session's file.
    fn note(&self, line: &str) -> io::Result<()> {
        let mut talk = File::options().create(true).append(true).open(&self.talk)?;
        talk.write_all(format!("{line}\n").as_bytes())
    }

    /// Tells the listeners of an event; returns what they said.
    fn tell(&self, event: &str, mut payload: Value) -> io::Result<String> {
        payload["session_id"] = json!(self.session);
        payload["talk"] = json!(self.talk);
        payload["folder"] = json!(self.settings.folder);
        let mut said = String::new();
        for (_, command) in self.settings.listeners.iter().filter(|(of, _)| of == event) {
            let mut listener = Command::new("/bin/sh");
            listener
                .args(["-c", command])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped());
            let mut listener = listener.spawn()?;
            if let Some(mut stdin) = listener.stdin.take() {
                stdin.write_all(payload.to_string().as_bytes())?;
            }
            said += &String::from_utf8_lossy(&listener.wait_with_output()?.stdout);
        }
        Ok(said)
    }
}

/// The argument of a directive, if the prompt has it.
fn directive<'a>(prompt: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = prompt.split_once(&format!("[[{name}"))?;
    Some(rest.split_once("]]")?.0.trim())
}
