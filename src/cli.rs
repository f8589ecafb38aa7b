//! The command line. The only place that prints.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::Error;
use crate::agent::executor::Options;
use crate::agent::{EXECUTORS, ExecutorId};
use crate::operator::starting::Order;
use crate::os::shell::shell_quote;
use crate::record::code::Code;
use crate::record::redact::redact;
use crate::record::shown::{self, Shown, harmless, one_line};
use crate::record::{Failure, Store};
use clap::error::{ContextKind, ContextValue};
use clap::{Args, ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand};
use refusal::print_refusal;
use regex::Regex;
use rustix::process::Signal;
use serde::Serialize;
use status_line::print_above;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

mod abort;
mod apply;
mod asking;
mod attach;
mod capabilities;
mod classify;
mod cleanup;
mod completions;
mod config;
mod continuing;
mod delegate;
mod detached;
mod doctor;
mod earlier;
mod events;
mod follow;
mod groups;
mod hooks;
mod look;
mod man;
mod mcp;
mod pager;
mod peek;
mod policy;
mod prune;
mod records;
mod recover;
mod refusal;
mod reply;
mod report;
mod reporting;
mod resume;
mod said;
mod schema;
mod send;
mod signals;
mod skill;
mod spending;
mod status;
mod status_line;
mod wait;
mod watch;

/// Delegate a coding task to another agent's interactive CLI, and get back a typed result with the complete diff.
///
/// Exit status: 0 completed; 3 an answer is needed; 4 turn cap or budget; 5 the agent failed or died; 6 a deadline passed; 7 not
/// ready; 8 the repository can't be used; 2 wrong usage; 9, or 128 plus the signal, aborted; 1 any other error.
#[derive(Parser)]
#[command(name = "cx-operator", version, max_term_width = 100, after_long_help = MORE_HELP)]
struct Cli {
    /// Print more on stderr; -vv prints everything. RUST_LOG takes precedence.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Colours: auto is where a terminal shows them and neither NO_COLOR nor TERM=dumb forbids them, or CLICOLOR_FORCE is set.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: ColorChoice,
    /// Never show what `list`, `show`, `diff` and `log` print in a pager. At a terminal they use the one of git: GIT_PAGER,
    /// `core.pager`, PAGER, or less.
    #[arg(long, global = true)]
    no_pager: bool,

    #[command(subcommand)]
    command: Command,
}

/// Below the options of the whole command line.
const MORE_HELP: &str = "\
Examples:
  cx-operator delegate --task fix-it --prompt-file brief.md   a task from its brief to its result
  cx-operator list --waiting                                  who asks something
  cx-operator log -f fix-it                                   follow it
  cx-operator diff fix-it                                     what it changed, or has changed so far
  cx-operator apply fix-it                                    take it over

Environment:
  CX_OPERATOR_STATE          the directory of the records [default: ~/.local/state/cx-operator]
  CX_OPERATOR_DRIVE          the value of --drive where it is not given
  NO_COLOR, CLICOLOR_FORCE   no colours; colours also where no terminal is
  GIT_PAGER, PAGER           the pager, as for git
  GIT_EDITOR, EDITOR         the editor in which an answer is written, as for git
  TZ                         the zone of the times that people read";

#[derive(Subcommand)]
enum Command {
    Delegate(Box<delegate::Delegate>),
    Continue(continuing::Continue),
    #[command(hide = true)]
    Supervise(detached::Supervise),
    Resume(resume::Resume),
    Status(status::Status),
    Events(events::Events),
    Wait(wait::Wait),
    Watch(watch::Watch),
    Reply(reply::Reply),
    Send(send::Send),
    Abort(abort::Abort),
    List(records::List),
    Show(records::Show),
    Diff(records::Diff),
    Log(records::Log),
    Report(reporting::Report),
    Apply(apply::Apply),
    Attach(attach::Attach),
    Peek(peek::Peek),
    Recover(recover::Recover),
    Cleanup(cleanup::Cleanup),
    Prune(prune::Prune),
    Doctor(doctor::Doctor),
    Hooks(hooks::Hooks),
    Mcp(mcp::Mcp),
    Classify(classify::Classify),
    Policy(policy::Policy),
    Config(config::Config),
    Capabilities(capabilities::Capabilities),
    Schema(schema::SchemaOf),
    Skill(skill::Skill),
    Completions(completions::Completions),
    Man(man::ManPages),
}

/// The agent's program.
#[derive(Args)]
struct AgentProgram {
    /// The agent.
    #[arg(long, value_name = "NAME", default_value = "codex", value_parser = find_executor)]
    executor: ExecutorId,
    /// Its program [default: the one on PATH].
    #[arg(long, value_name = "PROGRAM", visible_alias = "codex")]
    program: Option<PathBuf>,
}

impl AgentProgram {
    fn options(&self) -> Options {
        Options {
            executor: self.executor,
            program: self.program.clone(),
            ..Options::default()
        }
    }
}

fn find_executor(name: &str) -> Result<ExecutorId, String> {
    let names: Vec<&str> = EXECUTORS.iter().map(|executor| executor.name()).collect();
    ExecutorId::parse(name).ok_or_else(|| format!("it must be one of: {}", names.join(", ")))
}

/// Where the records are.
#[derive(Args)]
struct State {
    /// The state directory [default: $CX_OPERATOR_STATE, else ~/.local/state/cx-operator].
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

impl State {
    fn root(&self) -> Result<PathBuf, Error> {
        match &self.state_dir {
            Some(path) => {
                let root = std::path::absolute(path)
                    .map_err(|_| Error::Usage("--state-dir is empty".to_owned()))?;
                Ok(NAMED_STATE.get_or_init(|| root).clone())
            }
            None => Ok(Store::default_root()?),
        }
    }

    fn open(&self) -> Result<Store, Error> {
        Ok(Store::open(&self.root()?)?)
    }
}

pub fn main() -> ExitCode {
    completions::answer_shell(Cli::command);
    let cli = match parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => return refuse(&without_removals(error)),
    };
    let cli = match cli.command {
        Command::Supervise(_) => match take_order() {
            Ok(cli) => cli,
            Err(error) => return refuse(&error),
        },
        _ => cli,
    };
    start_log(cli.verbose);
    look::note_wish(cli.color);
    pager::note_wish(cli.no_pager);
    let done = match cli.command {
        Command::Supervise(_) => Err(usage("`supervise` is started by --detach alone")),
        Command::Delegate(command) => command.run(),
        Command::Continue(command) => command.run(),
        Command::Resume(command) => command.run(),
        Command::Status(command) => command.run(),
        Command::Events(command) => command.run(),
        Command::Wait(command) => command.run(),
        Command::Watch(command) => command.run(),
        Command::Reply(command) => command.run(),
        Command::Send(command) => command.run(),
        Command::Abort(command) => command.run(),
        Command::List(command) => command.run(),
        Command::Show(command) => command.run(),
        Command::Diff(command) => command.run(),
        Command::Log(command) => command.run(),
        Command::Report(command) => command.run(),
        Command::Apply(command) => command.run(),
        Command::Attach(command) => command.run(),
        Command::Peek(command) => command.run(),
        Command::Recover(command) => command.run(),
        Command::Cleanup(command) => command.run(),
        Command::Prune(command) => command.run(),
        Command::Doctor(command) => command.run(),
        Command::Hooks(command) => command.run(),
        Command::Mcp(command) => command.run(),
        Command::Classify(command) => command.run(),
        Command::Policy(command) => command.run(),
        Command::Config(command) => command.run(),
        Command::Capabilities(command) => command.run(Cli::command()),
        Command::Schema(command) => command.run(),
        Command::Skill(command) => command.run(),
        Command::Completions(command) => command.run(&Cli::command()),
        Command::Man(command) => command.run(Cli::command()),
    };
    let status = done.unwrap_or_else(|error| {
        let failure = error.to_failure();
        print_failure(&failure);
        print_refusal(failure);
        ExitCode::from(error.code().exit())
    });
    match REDACTED.load(Ordering::Relaxed) {
        0 => {}
        1 => tell("note: 1 key-shaped string was redacted"),
        count => tell(&format!("note: {count} key-shaped strings were redacted")),
    }
    status
}

/// Reads a command line, and takes note of whether it asks for documents.
fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let mut command = groups::grouped(Cli::command(), look::Look::of_stdout().width);
    let mut matches = command.try_get_matches_from_mut(words)?;
    refusal::note_wish(&matches);
    let given = continuing::given(&matches);
    let cli = Cli::from_arg_matches_mut(&mut matches);
    let mut cli = cli.map_err(|error| error.format(&mut command))?;
    if let Command::Continue(command) = &mut cli.command {
        command.note(given);
    }
    Ok(cli)
}

/// The command line of the caller of a supervising process, with the brief that it has read, if it has one.
fn take_order() -> Result<Cli, clap::Error> {
    let order = Order::read().map_err(clap::Error::from)?;
    let mut cli = parse(order.arguments())?;
    match &mut cli.command {
        Command::Delegate(delegate) => delegate.be_told(order),
        Command::Continue(command) => command.be_told(order),
        Command::Resume(command) => command.be_told(),
        _ => {}
    }
    Ok(cli)
}

/// How many keys were taken out of what was printed.
static REDACTED: AtomicUsize = AtomicUsize::new(0);

/// Commands that end or remove something.
const REMOVALS: [&str; 4] = ["abort", "cleanup", "prune", "uninstall"];

/// The same error, without a hint that would have a typing mistake end in a removal.
fn without_removals(mut error: clap::Error) -> clap::Error {
    let kind = ContextKind::SuggestedSubcommand;
    let is_harmless = |name: &String| !REMOVALS.contains(&name.as_str());
    let mut names = match error.remove(kind) {
        Some(ContextValue::Strings(names)) => names,
        Some(ContextValue::String(name)) => vec![name],
        _ => Vec::new(),
    };
    // The last one is the likeliest: the others are no help where that is left out.
    if names.last().is_some_and(is_harmless) {
        names.retain(is_harmless);
        error.insert(kind, ContextValue::Strings(names));
    }
    error
}

/// Prints help where it was asked for, else what is wrong with the command line: its words may come from anywhere.
fn refuse(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        let message = error.to_string().trim_end().to_owned();
        tell(&safe(&message));
        print_refusal(Failure {
            message,
            ..usage("").to_failure()
        });
    } else {
        let _nobody_reads = error.print();
    }
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}

/// The state directory that `--state-dir` named.
static NAMED_STATE: OnceLock<PathBuf> = OnceLock::new();

/// Advice as it works here: with the flag by which the records are found.
fn advice(text: &str) -> String {
    let Some(root) = NAMED_STATE.get() else {
        return text.to_owned();
    };
    let command = r"cx-operator (?:resume|status|events|wait|watch|reply|send|abort|continue|list|show|diff|log|report|apply|attach|peek|recover|cleanup|prune|doctor)\b";
    let command = Regex::new(command).expect("the pattern is constant");
    let flag = format!(" --state-dir {}", quoted(root));
    let with_flag = |found: &regex::Captures| format!("{}{flag}", &found[0]);
    command.replace_all(text, with_flag).into_owned()
}

/// A path as a shell takes it for one word.
fn quoted(path: &Path) -> String {
    shell_quote(&path.display().to_string())
}

fn start_log(verbose: u8) {
    // A request that is refused is the client's affair.
    let fallback = ["warn,rmcp=error", "info", "debug"][usize::from(verbose.min(2))];
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(fallback));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Log)
        // What can't be written is said by `eprintln!` otherwise, which panics where stderr is gone.
        .log_internal_errors(false)
        // An escape sequence of ours would be made harmless with the others.
        .with_ansi(false)
        .init();
}

/// The log's writer: stderr, an event at a time, the agent's words made harmless.
struct Log;

impl Write for Log {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let text = harmless(&redact(&text).text);
        print_above(&text);
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The threads that a runtime has from its start.
const THREADS: usize = 3;

fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    let build = || {
        // tokio panics where it may have no thread: whether there are enough is asked before it does.
        let threads: Vec<_> = (0..THREADS)
            .map(|_| thread::Builder::new().spawn(thread::park))
            .collect::<io::Result<_>>()?;
        for thread in threads {
            thread.thread().unpark();
            drop(thread.join());
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .thread_keep_alive(Duration::MAX)
            .build()?;
        // One for what blocks is there from now on: where the system refuses more, what blocks waits its turn.
        drop(runtime.spawn_blocking(|| ()));
        // A file that grows beyond its limit is an error of that write, not the end of us. Once caught, for good.
        let _in_it = runtime.enter();
        drop(signal(SignalKind::from_raw(Signal::XFSZ.as_raw()))?);
        Ok(runtime)
    };
    build().map_err(|source| Error::Io {
        what: "start the runtime".to_owned(),
        source,
    })
}

/// Runs to the end of `work`. A thread that hangs in the system, which a run's end has given up, is not waited for.
fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Error> {
    let runtime = runtime()?;
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    Ok(done)
}

/// Says what could not be done, and what to do now.
fn print_failure(failure: &Failure) {
    tell(&format!("error: {}", safe(&advice(&failure.message))));
    if let Some(hint) = &failure.hint {
        tell(&format!("hint: {}", safe(&advice(hint))));
    }
}

/// Prints a line on stderr. If the pipe or terminal is closed, the run continues: `eprintln!`
/// would panic, and a run whose operator dies is not torn down.
fn tell(line: &str) {
    print_above(&format!("{line}\n"));
}

/// Prints the one JSON document of `--json`, its keys taken out.
fn print_json(document: &impl Serialize) -> Result<(), Error> {
    refusal::note_printed();
    print_shown(shown::document(document)).map(drop)
}

/// Prints a record as [`print_json`] does, with the number of keys that were taken out of it.
fn print_record(record: &impl Serialize) -> Result<(), Error> {
    refusal::note_printed();
    print_shown(shown::record(record)).map(drop)
}

/// Prints a document of a stream of them, in a line: an error may still follow.
fn print_json_line(document: &impl Serialize) -> Result<bool, Error> {
    let mut shown = shown::line(document);
    shown.text.push('\n');
    print_shown(shown)
}

/// `false` where nobody reads any more.
fn print_shown(shown: Shown) -> Result<bool, Error> {
    REDACTED.fetch_add(shown.redacted, Ordering::Relaxed);
    print_part(&shown.text)
}

/// Prints to stdout; a closed pipe is not an error.
fn print_text(text: &str) -> Result<(), Error> {
    print_part(text).map(drop)
}

/// The same; `false` where nobody reads any more.
fn print_part(text: &str) -> Result<bool, Error> {
    print_bytes(text.as_bytes())
}

/// The same of what may be no text.
fn print_bytes(bytes: &[u8]) -> Result<bool, Error> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::Io {
            what: "print".to_owned(),
            source: error,
        }),
        written => Ok(written.is_ok()),
    }
}

/// A text as it may be shown: without keys, and without control characters that a terminal would obey. The agent's words are
/// not ours.
fn safe(text: &str) -> String {
    let clean = redact(text);
    REDACTED.fetch_add(clean.count, Ordering::Relaxed);
    harmless(&clean.text)
}

fn usage(message: impl Into<String>) -> Error {
    debug_assert_eq!(Error::Usage(String::new()).code(), Code::Usage);
    Error::Usage(message.into())
}
