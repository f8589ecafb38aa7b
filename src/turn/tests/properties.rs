//! What holds whatever happens, in whatever order and at whatever time.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// Looks from any state to the end, when nothing but deadlines comes.
const FINITE: usize = 400;

/// Something that happens; what it says depends on what the machine waits for.
#[derive(Clone, Debug)]
enum Happening {
    Sees(ScreenState),
    Starts {
        ours: bool,
        source: &'static str,
    },
    Prompts {
        ours: bool,
        expected: bool,
    },
    Asks {
        ours: bool,
        number: u32,
    },
    Stops {
        ours: bool,
        known: bool,
        message: &'static str,
    },
    Announces {
        ours: bool,
        known: bool,
        message: Option<&'static str>,
    },
    Begins,
    Leaves {
        any: bool,
    },
    Loses,
    Fails {
        known: bool,
    },
    Aborts {
        known: Option<bool>,
    },
    Answers {
        expected: bool,
        answer: Option<Answer>,
    },
    Dies,
    IsCancelled,
    ComesDue,
}

impl Happening {
    fn is_foreign(&self) -> bool {
        matches!(
            self,
            Self::Starts { ours: false, .. }
                | Self::Announces { ours: false, .. }
                | Self::Prompts {
                    ours: false,
                    expected: false
                }
                | Self::Asks { ours: false, .. }
                | Self::Stops { ours: false, .. }
        )
    }
}

fn dialogs() -> impl Strategy<Value = ScreenState> {
    let advice = prop_oneof![
        Just(Advice::Press(Key::Enter)),
        Just(Advice::Press(Key::Down)),
        Just(Advice::Wait),
        Just(Advice::Surface("it is not known")),
        Just(Advice::Approval {
            command: "touch x".to_owned(),
            reason: None,
            allow: Key::Enter,
        }),
    ];
    (advice, prop::sample::select(vec!["on 1", "on 2"])).prop_map(|(advice, dialog_state)| {
        let name = match advice {
            Advice::Approval { .. } => "command_approval",
            Advice::Surface(_) => "unknown",
            _ => "update",
        };
        ScreenState::Dialog(ShownDialog {
            name,
            dialog_state: dialog_state.to_owned(),
            advice,
            screen: dialog_state.to_owned(),
        })
    })
}

fn sights() -> impl Strategy<Value = ScreenState> {
    prop_oneof![
        1 => Just(ScreenState::Nothing),
        4 => prop::sample::select(vec![Holds::Nothing, Holds::Prompt, Holds::Other])
            .prop_map(|holds| ScreenState::Ready { holds }),
        2 => Just(ScreenState::Working { holds: Holds::Other }),
        2 => dialogs(),
    ]
}

fn happenings() -> impl Strategy<Value = Happening> {
    let mostly = || prop::bool::weighted(0.8);
    let sources = prop::sample::select(vec!["startup", "clear", "resume"]);
    let messages = prop::sample::select(vec![QUESTION, REQUEST, UNCLEAR, PROGRESS, RESULT]);
    let answers = prop::sample::select(vec![
        Some(Answer::Text("so".to_owned())),
        Some(Answer::Allow),
        Some(Answer::Deny("no".to_owned())),
        None,
    ]);
    prop_oneof![
        8 => sights().prop_map(Happening::Sees),
        2 => (mostly(), sources).prop_map(|(ours, source)| Happening::Starts { ours, source }),
        8 => (mostly(), mostly()).prop_map(|(ours, expected)| Happening::Prompts { ours, expected }),
        3 => (mostly(), 0..9u32).prop_map(|(ours, number)| Happening::Asks { ours, number }),
        5 => (mostly(), mostly(), messages)
            .prop_map(|(ours, known, message)| Happening::Stops { ours, known, message }),
        4 => (mostly(), mostly(), prop::option::of(Just(RESULT)))
            .prop_map(|(ours, known, message)| Happening::Announces { ours, known, message }),
        3 => Just(Happening::Begins),
        3 => any::<bool>().prop_map(|any| Happening::Leaves { any }),
        1 => Just(Happening::Loses),
        1 => any::<bool>().prop_map(|known| Happening::Fails { known }),
        1 => prop::option::of(Just(false)).prop_map(|known| Happening::Aborts { known }),
        6 => (mostly(), answers)
            .prop_map(|(expected, answer)| Happening::Answers { expected, answer }),
        1 => Just(Happening::Dies),
        1 => Just(Happening::IsCancelled),
        4 => Just(Happening::ComesDue),
    ]
}

fn courses() -> impl Strategy<Value = Vec<(u64, Happening)>> {
    let steps = prop_oneof![8 => 0..50u64, 3 => 0..2_000u64, 1 => 0..30_000u64];
    prop::collection::vec((steps, happenings()), 0..60)
}

fn plans() -> impl Strategy<Value = Plan> {
    let permissions = prop::sample::select(vec![
        Permissions::Ask,
        Permissions::Deny,
        Permissions::Allow,
    ]);
    (permissions, prop::bool::weighted(0.7), 1..5u32).prop_map(|(permissions, responder, turns)| {
        Plan {
            permissions,
            responder,
            limits: Limits {
                turn: Duration::from_secs(60),
                run: Duration::from_secs(120),
                turns,
                ..Limits::default()
            },
            ..plan()
        }
    })
}

/// A play, and what its happenings refer to.
#[derive(Clone, Debug)]
struct Course {
    play: Play,
    question: Option<Question>,
    /// The number of the turn that runs, ours or one that a person typed.
    turn: u32,
    /// Whether the transcript has that turn under way.
    begun: bool,
}

impl Course {
    fn new(plan: Plan) -> Self {
        Self {
            play: Play::new(plan),
            question: None,
            turn: 0,
            begun: false,
        }
    }

    fn event(&mut self, happening: &Happening) -> Event {
        let whose = |ours: &bool| if *ours { OURS } else { FOREIGN };
        let at = |ours: &bool| Some(PathBuf::from(if *ours { WORKTREE } else { "/tmp" }));
        let turn = |known: &bool| format!("t{}", if *known { self.turn } else { 1_000 });
        match happening {
            Happening::Sees(sight) => Event::Screen(sight.clone()),
            Happening::Starts { ours, source } => Event::SessionStarted {
                session: whose(ours).to_owned(),
                cwd: at(ours),
                source: (*source).to_owned(),
            },
            Happening::Prompts { ours, expected } => {
                let turn_id = Some(format!("t{}", self.turn + u32::from(*ours)));
                self.turn += u32::from(*ours);
                let prompt = if *expected {
                    self.play.machine.prompt()
                } else {
                    "something else"
                };
                Event::PromptSubmitted {
                    session: whose(ours).to_owned(),
                    turn_id,
                    cwd: at(ours),
                    prompt: prompt.to_owned(),
                }
            }
            Happening::Asks { ours, number } => {
                asked(whose(ours), *number, &format!("touch {number}"))
            }
            Happening::Stops {
                ours,
                known,
                message,
            } => stopped(whose(ours), &turn(known), message),
            Happening::Announces {
                ours,
                known,
                message,
            } => stopping(whose(ours), &turn(known), *message),
            Happening::Begins => began(&turn(&true)),
            Happening::Leaves { any } => Event::LeftAtWork(*any),
            Happening::Loses => Event::TranscriptLost,
            Happening::Fails { known } => failed(&turn(known), None),
            Happening::Aborts { known } => aborted(known.as_ref().map(turn).as_deref()),
            Happening::Answers { expected, answer } => {
                let question = self.question.clone().filter(|_| *expected);
                let other = Question {
                    kind: QuestionKind::Question,
                    text: "another".to_owned(),
                    reason: None,
                    options: Vec::new(),
                    turn: 0,
                };
                Event::Answered(question.unwrap_or(other), answer.clone())
            }
            Happening::Dies => exited(Some(1)),
            Happening::IsCancelled => Event::Cancelled {
                by: "SIGINT".to_owned(),
            },
            Happening::ComesDue => Event::Deadline,
        }
    }

    fn take(&mut self, step: u64, happening: &Happening) -> Reaction {
        self.play.now += Duration::from_millis(step);
        let event = self.event(happening);
        match &event {
            Event::TurnBegan { .. } => self.begun = true,
            Event::TranscriptLost | Event::TurnAborted { turn_id: None, .. } => self.begun = false,
            Event::PromptSubmitted { session, .. } if session == OURS => self.begun = false,
            Event::TurnStopped { turn_id, .. } if *turn_id == Some(format!("t{}", self.turn)) => {
                self.begun = false;
            }
            Event::TurnFailed { turn_id, .. } if *turn_id == format!("t{}", self.turn) => {
                self.begun = false;
            }
            _ => {}
        }
        let reaction = self.play.on(event);
        match &reaction {
            Reaction::Ask(question) => self.question = Some(question.clone()),
            Reaction::Decide { next, .. } => self.question.clone_from(next),
            _ => {}
        }
        reaction
    }
}

proptest! {
    // What is rare in a course is rare in 256 of them.
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn a_run_ends_once_and_nothing_follows(plan in plans(), course in courses()) {
        let mut run = Course::new(plan);
        let mut ended = false;
        for (step, happening) in &course {
            let reaction = run.take(*step, happening);
            if ended {
                prop_assert!(reaction.is_ignored(), "{:?} after the end", reaction);
            }
            ended |= matches!(reaction, Reaction::End(_));
            prop_assert_eq!(run.play.machine.deadline().is_none(), ended);
        }
    }

    #[test]
    fn a_prompt_is_sent_once_a_turn_and_never_into_one(plan in plans(), course in courses()) {
        let (cap, permissions) = (plan.limits.turns, plan.permissions);
        let mut run = Course::new(plan);
        // Of the turn that is being submitted.
        let (mut pasted, mut sent) = (BTreeSet::new(), BTreeSet::new());
        let mut covered = false;
        for (step, happening) in &course {
            let (watched, turns) = (run.play.machine.watches_screen(), run.play.machine.turns());
            covered |= matches!(happening, Happening::Sees(ScreenState::Dialog(_)));
            match run.take(*step, happening) {
                Reaction::Paste(text) => {
                    let first = pasted.insert(turns);
                    prop_assert!(first || covered, "turn {} is pasted twice", turns + 1);
                    prop_assert!(!sent.contains(&turns), "turn {} is pasted after it was sent", turns + 1);
                    covered = false;
                    prop_assert!(!text.is_empty());
                    match happening {
                        Happening::Sees(ScreenState::Ready { holds }) => {
                            prop_assert!(watched && *holds == Holds::Nothing);
                        }
                        Happening::Stops { .. } => {}
                        Happening::Answers { .. } => prop_assert!(!watched),
                        other => prop_assert!(false, "pasted upon {:?}", other),
                    }
                }
                Reaction::Press(_, on) if !watched => {
                    prop_assert_eq!((on, permissions), ("command_approval", Permissions::Allow));
                }
                Reaction::Press(key, "composer") => {
                    let sees_it = Happening::Sees(ScreenState::Ready { holds: Holds::Prompt });
                    prop_assert_eq!(format!("{happening:?}"), format!("{sees_it:?}"));
                    prop_assert!(pasted.contains(&turns));
                    let first = sent.insert(turns);
                    prop_assert_eq!(key, if first { Key::Submit } else { Key::Enter });
                }
                _ => {}
            }
            prop_assert!(run.play.machine.turns() <= cap);
        }
    }

    #[test]
    fn a_completed_run_has_the_proof_of_a_prompt(plan in plans(), course in courses()) {
        let mut run = Course::new(plan);
        for (step, happening) in &course {
            let held = run.play.machine.is_holding();
            if let Reaction::End(end) = run.take(*step, happening)
                && end.status == Status::Completed
            {
                prop_assert!(run.play.machine.turns() > 0);
                let stopped = matches!(happening, Happening::Stops { ours: true, message: RESULT, .. });
                // A Stop whose turn no transcript tells of counts once its time has passed and the composer is idle.
                let idle = matches!(happening, Happening::Sees(ScreenState::Ready { .. }));
                let unconfirmed = idle && run.play.machine.take_unconfirmed();
                // An end that waited for what its turn left at work: that is over, or was waited for long enough.
                let released = matches!(happening, Happening::Leaves { any: false } | Happening::ComesDue);
                let waited = held && released;
                prop_assert!(stopped || unconfirmed || waited, "completed by {:?}", happening);
                prop_assert!(!(unconfirmed && run.begun), "the transcript said otherwise");
            }
        }
    }

    #[test]
    fn a_foreign_session_changes_nothing(plan in plans(), course in courses()) {
        let mut with = Course::new(plan);
        let mut without = with.clone();
        for (step, happening) in &course {
            let reaction = with.take(*step, happening);
            if happening.is_foreign() {
                prop_assert!(reaction.is_ignored(), "{:?} upon {:?}", reaction, happening);
                without.play.now += Duration::from_millis(*step);
            } else {
                prop_assert_eq!(reaction, without.take(*step, happening));
            }
            prop_assert_eq!(with.play.machine.deadline(), without.play.machine.deadline());
            prop_assert_eq!(with.play.machine.session(), without.play.machine.session());
        }
    }

    #[test]
    fn deadlines_alone_end_a_run(plan in plans(), course in courses()) {
        let mut run = Course::new(plan);
        for (step, happening) in &course {
            let _any = run.take(*step, happening);
        }
        let mut looks = 0;
        while run.play.machine.deadline().is_some() {
            let reaction = run.play.deadline();
            // A question, where the deadline made a Stop the end of its turn.
                let expected = matches!(reaction, Reaction::Look | Reaction::End(_) | Reaction::Ask(_));
                prop_assert!(expected, "{:?}", reaction);
            looks += 1;
            prop_assert!(looks < FINITE, "no end in sight");
        }
    }
}
