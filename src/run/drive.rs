//! Follows a run's turns: waits for whatever happens next, lets the machine decide, carries out what it
//! decided.
//!
//! The arms of the one `select!` only name what woke us; everything is decided in [`Machine::on`], and
//! effects run one after another.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs;
use std::future::Future;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use crate::agent::ExecutorId;
use crate::agent::conversation::{Conversation, Drive, Told};
use crate::agent::executor::{Resumed, TrustPolicy};
use crate::agent::report::Usage;

use crate::os::process::Exit;
use crate::os::watch::{FileWatcher, Source, Wakeup, Watched};
use crate::record::RunDir;
use crate::record::inbox::OpenQuestion;
use crate::record::journal::{Journal, Progress};
use crate::run::drive::recorded::{Recorded, reached};
use crate::run::drive::sources::{Signals, Transcript};
use crate::run::notify::Notifier;
use crate::task::budget::Budget;
use crate::task::policy::Permissions;
use crate::task::question::Question;
use crate::task::respond::{Chain, Context, Response};
use crate::tmux::{self, Pane};
use crate::turn::classify::{self, Evidence};
use crate::turn::{End, Event, Machine, Reaction, ResumePoint};

use asking::{Asking, replied};
pub(crate) use continuation::{Continuation, has_turn, prompt_name};
use conversing::{Asked, told};
pub(crate) use ending::Ending;
use ending::{explained, tmux_failed, troubled};
pub(crate) use messages::has_untold;
use onlookers::Onlookers;
use pace::{RESCAN, beat_after};
pub(crate) use words::denial;
use words::describe;

mod asking;
mod continuation;
mod conversing;
pub(crate) mod ending;
mod headless;
mod idle;
mod journal;
mod messages;
mod onlookers;
mod pace;
mod reading;
pub(crate) mod recorded;
pub(crate) mod sources;
mod typing;
mod words;

/// What a driver works with.
pub(crate) struct Parts<'a> {
    pub(crate) machine: Machine,
    /// The agent's pane; `None` where it is headless.
    pub(crate) pane: Option<&'a Pane>,
    /// The conversation with the agent's server, if it is driven by requests.
    pub(crate) conversation: Option<Box<dyn Conversation>>,
    /// The terms on which that is continued where the connection is lost.
    pub(crate) continuation: Option<Continuation>,
    pub(crate) exit: &'a Exit,
    pub(crate) dir: &'a RunDir,
    pub(crate) watch: &'a Arc<FileWatcher>,
    pub(crate) journal: &'a Journal,
    pub(crate) responder: &'a Chain,
    pub(crate) context: &'a Context,
    pub(crate) permissions: Permissions,
    /// Whether hooks decide by a policy.
    pub(crate) judges: bool,
    pub(crate) budget: &'a Budget,
    pub(crate) notifier: &'a Notifier,
    /// The session of an earlier run that the agent goes on with.
    pub(crate) resumed: Option<&'a Resumed>,
    pub(crate) trust: TrustPolicy,
    pub(crate) executor: ExecutorId,
}

/// What people are told of a turn whose end its transcript did not tell.
const UNCONFIRMED: &str = "the transcript did not report the end of a turn; the stop hook did";

/// The same of a turn whose end no Stop hook told.
const UNTOLD: &str = "the stop hook did not report the end of a turn; the transcript did";

/// What woke the driver.
enum Cause {
    Files,
    Exited,
    Time,
    Cancelled(String),
    Replied(Response),
    Told(Told),
}

pub(crate) struct Driver<'a> {
    parts: Parts<'a>,
    wake: Arc<Wakeup>,
    _signals_watched: Watched,
    _inbox_watched: Watched,
    /// Only while the screen can change what happens next: at work an agent never stops drawing.
    pane_watched: Option<Watched>,
    transcript_watched: Option<Watched>,
    signals: Signals,
    transcript: Option<Transcript>,
    asking: Option<(Question, Asking<'a>)>,
    /// How many questions the run has asked.
    questions: usize,
    /// The one that an operator before was about to write down for other processes.
    half_asked: Option<OpenQuestion>,
    /// The messages of other processes that were taken, and those of which the journal tells.
    messages: HashSet<String>,
    acknowledged: HashSet<String>,
    /// The tokens that the journal has, and those that were held against the budget.
    tokens: Option<Usage>,
    counted: Option<Usage>,
    /// What the session had used when it was taken over.
    used_before: Option<Usage>,
    /// Who answered what, in which words: until the machine says whether the agent is told.
    given: Option<(String, String, String)>,
    queue: VecDeque<Event>,
    pane_bytes: u64,
    /// When the screen was read, or seen to need no reading.
    screen_read: Option<Instant>,
    screen_due: bool,
    replies: Vec<crate::record::Reply>,
    recorded: Recorded,
    notices: Vec<String>,
    /// The steps that the journal has.
    items: HashSet<String>,
    /// The approvals that another client decided, of which the outcome is not known yet.
    elsewhere: Vec<String>,
    /// The requests of its own that the program told of.
    asked: HashMap<String, Asked>,
    /// Why the program refused the prompt.
    refused: Option<String>,
    /// The last trouble that the program told of.
    trouble: Option<String>,
    is_cut_off: bool,
    reconnections: u8,
    /// Whether a headless program's stream told of its turn.
    is_proven: bool,
    /// The commands that a headless program's hooks asked an approval for.
    by_hooks: HashSet<String>,
    /// How often in a row the agent said that it has nothing to do when it was looked at within a turn.
    idle_looks: u8,
    /// The last turn that was seen to begin, and when.
    turn_begun: Option<(Option<String>, SystemTime)>,
    /// The last turn of a session that the agent goes on with, from before the run.
    turn_before: Option<String>,
    onlookers: Onlookers,
}

impl<'a> Driver<'a> {
    pub(crate) fn new(parts: Parts<'a>) -> notify::Result<Self> {
        let wake = Arc::new(Wakeup::default());
        let signals = (Source::Signals, &wake);
        let signals_watched = parts.watch.watch(&parts.dir.signals(), None, signals)?;
        let inbox = (Source::Inbox, &wake);
        let inbox_watched = parts.watch.watch(&parts.dir.inbox(), None, inbox)?;
        let mut driver = Self {
            signals: Signals::new(parts.dir.signals(), parts.executor),
            parts,
            wake,
            _signals_watched: signals_watched,
            _inbox_watched: inbox_watched,
            pane_watched: None,
            transcript_watched: None,
            transcript: None,
            asking: None,
            questions: 0,
            half_asked: None,
            messages: HashSet::new(),
            acknowledged: HashSet::new(),
            tokens: None,
            counted: None,
            used_before: None,
            given: None,
            queue: VecDeque::new(),
            pane_bytes: 0,
            screen_read: None,
            screen_due: false,
            replies: Vec::new(),
            recorded: Recorded::default(),
            notices: Vec::new(),
            items: HashSet::new(),
            elsewhere: Vec::new(),
            asked: HashMap::new(),
            refused: None,
            trouble: None,
            is_cut_off: false,
            reconnections: 0,
            is_proven: false,
            by_hooks: HashSet::new(),
            idle_looks: 0,
            turn_begun: None,
            turn_before: None,
            onlookers: Onlookers::default(),
        };
        driver.join();
        driver.open_stream();
        Ok(driver)
    }

    /// A driver that continues where another one was cut off.
    pub(crate) fn resume(
        parts: Parts<'a>,
        resume_point: &ResumePoint,
        replies: Vec<crate::record::Reply>,
        items: HashSet<String>,
    ) -> notify::Result<Self> {
        let mut driver = Self::new(parts)?;
        driver.items = items;
        driver.onlookers.any = true;
        driver.load_tokens();
        driver.questions = driver.count_questions();
        driver.half_asked = driver.find_half_asked();
        driver.pass_over_messages(resume_point);
        let decided = driver.signals.pass_over(resume_point);
        driver.recorded = Recorded::of_turn(resume_point.turns, &replies, decided);
        driver.replies = replies;
        driver.take_up(resume_point);
        driver.recount(resume_point.turn_id.as_deref(), resume_point.pasted);
        Ok(driver)
    }

    /// Follows the turns to the end. `cancelled` tells by what the run is to be ended.
    pub(crate) async fn follow(mut self, cancelled: impl Future<Output = String>) -> Ending {
        tokio::pin!(cancelled);
        self.read_messages();
        // While the agent has its first turn.
        let _nobody_waits = tokio::task::spawn_blocking(classify::prepare);
        self.follow_transcript().await;
        if let Some(end) = self.settle().await {
            return self.ending(end);
        }
        let mut rescan = beat_after(Instant::now(), RESCAN);
        loop {
            self.watch_pane();
            let until = self.wake_at(rescan);
            let woke = tokio::select! {
                biased;
                by = &mut cancelled => Cause::Cancelled(by),
                reply = replied(&mut self.asking) => Cause::Replied(reply),
                told = told(&mut self.parts.conversation) => Cause::Told(told),
                () = self.wake.notified() => Cause::Files,
                () = self.parts.exit.wait() => Cause::Exited,
                () = tokio::time::sleep_until(until.into()) => Cause::Time,
            };
            let now = Instant::now();
            let rescans = now >= rescan;
            if rescans {
                rescan = beat_after(now, RESCAN);
                self.wake.mark(Source::Signals);
                self.wake.mark(Source::Transcript);
                self.wake.mark(Source::Inbox);
                self.screen_due = true;
            }
            let cut_off = self.gather(woke, now).await;
            self.watch_budget(rescans);
            let end = self.settle().await.or(cut_off).or_else(|| self.refusal());
            if let Some(end) = end {
                let end = match self.parts.pane.filter(|_| self.is_by_keys()) {
                    Some(pane) => explained(end, self.parts.executor, pane).await,
                    None => troubled(end, self.trouble.take()),
                };
                self.put_back().await;
                return self.ending(end);
            }
            self.suit_onlookers().await;
        }
    }

    fn ending(mut self, end: End) -> Ending {
        self.take_verdicts();
        self.tell_what_the_transcript_knows();
        self.tell_untold();
        Ending {
            end,
            session: self.parts.machine.session().map(str::to_owned),
            turns: self.parts.machine.turns(),
            last_message: self.parts.machine.last_message().map(str::to_owned),
            answer: self.parts.machine.answer().cloned(),
            replies: reached(self.replies, &self.parts.machine),
            transcript: self.transcript,
            notices: self.notices,
            conversation: self.parts.conversation,
        }
    }

    /// Turns what woke us into events, the files' before all others: they may explain an exit. Returns the end of a run whose
    /// connection is lost.
    async fn gather(&mut self, woke: Cause, now: Instant) -> Option<End> {
        let exited = matches!(woke, Cause::Exited);
        let due = self.parts.machine.deadline().is_some_and(|at| now >= at);
        // What happened before a deadline counts, noticed or not: we may have stood still when it passed.
        let all = exited || due;
        let signals = self.wake.take(Source::Signals) || all;
        let transcript = self.wake.take(Source::Transcript);
        if signals {
            self.take_verdicts();
        }
        match self.parts.machine.drive() {
            Drive::Requests => {
                if signals {
                    self.witness();
                }
                if transcript && self.parts.machine.is_holding() {
                    self.look_for_work();
                }
            }
            // In the order in which they are caused.
            Drive::Headless => self.read_stream(exited),
            Drive::Keys | Drive::Auto => {
                if signals {
                    let events = self.signals.read();
                    self.queue.extend(events);
                }
                if transcript || all {
                    self.read_transcript().await;
                    // The turn's end may be what a reply waits for.
                    self.screen_due |= self.parts.machine.watches_screen();
                }
            }
        }
        let rested = self.is_rested(now);
        let unwatched = rested && self.pane_watched.is_none();
        if self.wake.take(Source::Pane) || unwatched {
            let bytes = fs::metadata(self.parts.dir.pane_log()).map_or(0, |meta| meta.len());
            self.screen_due |= bytes != self.pane_bytes;
            self.pane_bytes = bytes;
        }
        if unwatched {
            self.screen_read = Some(now);
            self.look_at_state();
        }
        if exited && self.is_by_requests() {
            self.hear_out().await;
        }
        match woke {
            Cause::Told(told) => self.take_told(told),
            Cause::Exited => {
                let exited = Event::AgentExited {
                    code: self.parts.dir.load_exit_status(),
                    screen: self.last_words().await,
                };
                self.queue.push_back(exited);
            }
            Cause::Cancelled(by) => self.queue.push_back(Event::Cancelled { by }),
            Cause::Replied(reply) => self.take_reply(reply),
            Cause::Time | Cause::Files => {}
        }
        // Whatever woke us: something that happens all the time keeps no deadline from passing.
        if due {
            self.queue.push_back(Event::Deadline);
        }
        if self.screen_due && rested && !exited {
            self.look().await;
        }
        if self.wake.take(Source::Inbox) || all {
            self.read_messages();
            self.note_onlookers();
        }
        self.note_tokens();
        self.reconnect(exited).await
    }

    /// Feeds the machine until it has nothing more to do.
    async fn settle(&mut self) -> Option<End> {
        loop {
            if let Some(end) = self.settle_events().await {
                return Some(end);
            }
            let message = self.parts.machine.steer_by_request(Instant::now())?;
            match self.carry_out(message).await {
                Ok(None) => {}
                Ok(end) => return end,
                Err(error) => return Some(tmux_failed(&error)),
            }
        }
    }

    async fn settle_events(&mut self) -> Option<End> {
        while let Some(mut event) = self.queue.pop_front() {
            self.adopt(&mut event);
            let before = self.parts.machine.turns();
            if let Event::TurnStopped { turn_id, .. } = &event
                && self.is_by_keys()
                && self.parts.machine.is_untold(turn_id.as_deref())
            {
                self.notices.push(UNTOLD.to_owned());
            }
            self.journal_before(&event);
            self.decide_by_policy(&event);
            self.note_beginning(&event);
            let described = describe(&event);
            let is_answered = matches!(event, Event::Answered(..));
            let reaction = self.parts.machine.on(Instant::now(), event);
            self.journal_after(before, described, &reaction);
            self.record_given(&reaction, is_answered);
            self.record_told();
            if self.parts.machine.take_unconfirmed() {
                self.journal_end(self.parts.machine.last_message(), Evidence::default());
                self.notices.push(UNCONFIRMED.to_owned());
            }
            self.follow_transcript().await;
            match self.carry_out(reaction).await {
                Ok(Some(end)) => return Some(end),
                Ok(None) => {}
                Err(error) if self.parts.exit.has_ended() => {
                    // A pane that is gone can't be typed into: its end is the event that counts.
                    tracing::debug!(%error, "the pane is gone");
                }
                Err(error) => return Some(tmux_failed(&error)),
            }
        }
        None
    }

    async fn carry_out(&mut self, reaction: Reaction) -> Result<Option<End>, tmux::Error> {
        match reaction {
            Reaction::Wait | Reaction::Ignore(_) => {}
            Reaction::Paste(text) => self.paste(&text).await?,
            Reaction::Expect(text) => self.begin_turn(&text),
            Reaction::Steer { id, text } => self.steer(id, &text).await?,
            Reaction::Press(key, on) => self.press(key, on).await?,
            Reaction::Note(text) => {
                self.parts.journal.write(Progress::KeyPressed {
                    key: "paste".to_owned(),
                    on: "question".to_owned(),
                });
                if let Some(pane) = self.parts.pane {
                    pane.paste(&text).await?;
                }
            }
            Reaction::Look => self.look().await,
            Reaction::Ask(question) => self.ask(question),
            Reaction::Fill { call, answers } => self.fill(call, answers),
            Reaction::Decide {
                asker,
                answer,
                next,
            } => {
                self.decide(&asker, &answer);
                if let Some(question) = next {
                    self.ask(question);
                }
            }
            Reaction::End(end) => return Ok(Some(*end)),
        }
        Ok(None)
    }
}
