//! Dialogs: which keys are pressed, how often, and what ends the run.

use super::*;

const ENTER: Advice = Advice::Press(Key::Enter);
const DOWN: Advice = Advice::Press(Key::Down);

fn pressed(key: Key, on: &'static str) -> Reaction {
    Reaction::Press(key, on)
}

#[test]
fn a_startup_dialog_is_answered_key_by_key() {
    let mut play = Play::new(plan());
    assert_eq!(
        play.on(dialog("update", "on 1", DOWN)),
        pressed(Key::Down, "update")
    );
    assert_eq!(
        play.after(20, dialog("update", "on 1", DOWN)),
        Reaction::Wait,
        "the key is on its way"
    );
    assert_eq!(
        play.after(20, dialog("update", "on 2", ENTER)),
        pressed(Key::Enter, "update")
    );
    assert_eq!(play.after(20, ready()), Reaction::Paste(PROMPT.to_owned()));
}

#[test]
fn a_key_that_was_lost_is_pressed_again_after_its_echo() {
    let mut play = Play::new(plan());
    let first = play.on(dialog("hook_review", "on 1", DOWN));
    assert_eq!(first, pressed(Key::Down, "hook_review"));
    assert_eq!(play.remaining(), Duration::from_secs(1));
    assert_eq!(
        play.after(999, dialog("hook_review", "on 1", DOWN)),
        Reaction::Wait
    );
    assert_eq!(play.deadline(), Reaction::Look);
    assert_eq!(play.on(dialog("hook_review", "on 1", DOWN)), first);
}

#[test]
fn a_dialog_is_confirmed_twice_at_most() {
    let mut play = Play::new(plan());
    for _ in 0..2 {
        let reaction = play.after(2_000, dialog("directory_trust", "yes", ENTER));
        assert_eq!(reaction, pressed(Key::Enter, "directory_trust"));
        assert_eq!(
            play.after(20, Event::Screen(ScreenState::Nothing)),
            Reaction::Wait
        );
    }
    let end = play
        .after(20, dialog("directory_trust", "yes", ENTER))
        .into_end();
    assert_eq!(
        (end.status, end.code()),
        (Status::BlockedDialog, "blocked_dialog")
    );
    let pending = end.pending.expect("the screen");
    assert_eq!(
        (pending.kind.as_str(), pending.text.as_str()),
        ("dialog", "yes")
    );
    let message = end.error.expect("an error").message;
    assert!(message.contains("directory_trust"), "{message}");
}

#[test]
fn each_dialog_has_a_count_of_its_own() {
    let mut play = Play::new(plan());
    for name in ["directory_trust", "hook_review", "update", "model_offer"] {
        for _ in 0..2 {
            assert_eq!(
                play.after(1_000, dialog(name, name, ENTER)),
                pressed(Key::Enter, name)
            );
        }
    }
    assert_eq!(play.on(ready()), Reaction::Paste(PROMPT.to_owned()));
}

#[test]
fn a_focus_that_never_arrives_ends_the_run() {
    let mut play = Play::new(plan());
    for key in 0..16 {
        let dialog_state = if key % 2 == 0 { "on 1" } else { "on 3" };
        assert_eq!(
            play.after(20, dialog("model_offer", dialog_state, DOWN)),
            pressed(Key::Down, "model_offer")
        );
    }
    let end = play
        .after(20, dialog("model_offer", "on 1", DOWN))
        .into_end();
    assert_eq!(end.status, Status::BlockedDialog);
}

#[test]
fn a_dialog_between_two_focuses_is_waited_for() {
    let mut play = Play::new(plan());
    for _ in 0..40 {
        let settling = dialog("hook_review", "no focus", Advice::Wait);
        assert_eq!(play.after(100, settling), Reaction::Wait);
    }
    assert!(
        play.remaining() > Duration::from_secs(10),
        "the startup budget"
    );
}

#[test]
fn a_dialog_over_the_pasted_prompt_is_answered_too() {
    let mut play = Play::submitting(plan());
    assert_eq!(
        play.after(200, dialog("directory_trust", "yes", ENTER)),
        pressed(Key::Enter, "directory_trust")
    );
    assert_eq!(play.after(50, ready()), Reaction::Wait, "it was sent");
}

#[test]
fn what_a_dialog_took_is_pasted_again_as_long_as_it_was_not_sent() {
    let mut play = Play::pasted(plan());
    assert_eq!(play.on(ready()), Reaction::Wait, "it is on its way");
    for _ in 0..2 {
        assert_eq!(
            play.after(20, dialog("rate_limits", "on 2", ENTER)),
            pressed(Key::Enter, "rate_limits")
        );
        assert_eq!(play.after(20, ready()), Reaction::Paste(PROMPT.to_owned()));
        assert_eq!(play.after(2_000, ready()), Reaction::Wait);
    }
    assert_eq!(play.after(20, unsent()), SUBMIT);
    let mut play = Play::pasted(plan());
    assert_eq!(
        play.after(20, dialog("rate_limits", "on 2", ENTER)),
        pressed(Key::Enter, "rate_limits")
    );
    assert_eq!(play.after(20, unsent()), SUBMIT, "it kept the text");
}

#[test]
fn what_somebody_opened_is_left_to_them() {
    let mut play = Play::working(plan());
    for _ in 0..100 {
        assert_eq!(play.after(5_000, popup("models")), Reaction::Wait);
    }
    let end = play.on(stopped(OURS, "t1", RESULT)).into_end();
    assert_eq!(end.status, Status::Completed);
    // Before a reply it is waited for, but not for ever.
    let mut play = Play::working(plan());
    assert_eq!(
        play.machine.on(play.now, stopped(OURS, "t1", PROGRESS)),
        Reaction::Look
    );
    let mut later = play.clone();
    assert_eq!(play.after(1_000, popup("models")), Reaction::Wait);
    assert_eq!(play.after(9_000, popup("models")), Reaction::Wait);
    assert_eq!(
        play.after(100, ready()),
        Reaction::Paste(CONTINUE.to_owned())
    );
    let end = loop {
        assert_eq!(later.on(popup("models")), Reaction::Wait);
        match later.deadline() {
            Reaction::Look => {}
            other => break other.into_end(),
        }
    };
    assert_eq!(
        (end.status, end.code()),
        (Status::BlockedDialog, "blocked_dialog")
    );
    assert_eq!(end.pending.expect("the screen").text, "models");
    // At the start no person watches yet.
    let mut play = Play::new(plan());
    assert_eq!(play.on(popup("new")), Reaction::Wait);
    let end = play.after(700, popup("new")).into_end();
    assert_eq!(end.status, Status::BlockedDialog);
}

#[test]
fn what_is_not_known_is_surfaced_once_it_has_settled() {
    for mut play in [
        Play::new(plan()),
        Play::submitting(plan()),
        Play::working(plan()),
    ] {
        assert_eq!(play.on(unknown("new")), Reaction::Wait);
        assert_eq!(play.after(400, unknown("new")), Reaction::Wait);
        assert_eq!(
            play.after(299, unknown("new!")),
            Reaction::Wait,
            "it changed"
        );
        assert_eq!(play.after(699, unknown("new!")), Reaction::Wait);
        let end = play.after(1, unknown("new!")).into_end();
        assert_eq!(end.status, Status::BlockedDialog);
        assert_eq!(end.pending.expect("the screen").text, "new!");
    }
}

#[test]
fn a_dialog_that_went_by_itself_is_forgotten() {
    let mut play = Play::new(plan());
    assert_eq!(play.on(unknown("new")), Reaction::Wait);
    assert_eq!(play.remaining(), Duration::from_millis(700));
    assert_eq!(
        play.after(600, Event::Screen(ScreenState::Nothing)),
        Reaction::Wait
    );
    assert_eq!(play.after(600, unknown("new")), Reaction::Wait);
    assert_eq!(play.after(600, ready()), Reaction::Paste(PROMPT.to_owned()));
}

#[test]
fn nobody_signs_in_for_the_user() {
    for mut play in [
        Play::new(plan()),
        Play::submitting(plan()),
        Play::working(plan()),
    ] {
        let end = play
            .on(dialog("sign_in", "welcome", Advice::SignIn))
            .into_end();
        assert_eq!((end.status, end.code()), (Status::Failed, "not_signed_in"));
        let hint = end.error.expect("an error").hint.expect("a hint");
        assert!(hint.contains("`codex login`") && hint.contains("--with-api-key"));
    }
}

#[test]
fn no_dialog_of_its_own_is_answered_while_the_agent_works() {
    let mut play = Play::working(plan());
    for _ in 0..10 {
        assert_eq!(
            play.after(1_000, dialog("update", "yes", ENTER)),
            Reaction::Wait
        );
    }
    assert_eq!(
        play.machine.on(play.now, stopped(OURS, "t1", PROGRESS)),
        Reaction::Look
    );
    assert_eq!(
        play.on(dialog("update", "yes", ENTER)),
        pressed(Key::Enter, "update"),
        "now the composer is needed"
    );
}

#[test]
fn a_screen_that_shows_work_needs_no_key() {
    let mut play = Play::working(plan());
    for event in [ready(), unsent(), at_work(Holds::Other)] {
        assert_eq!(play.after(1_000, event), Reaction::Wait);
    }
}

#[test]
fn an_approval_on_the_screen_is_given_where_the_policy_allows_it() {
    let mut play = Play::working(Plan {
        permissions: Permissions::Allow,
        ..plan()
    });
    let press = pressed(Key::Enter, "command_approval");
    assert_eq!(play.on(approval("touch x", Key::Enter)), press);
    assert_eq!(
        play.after(500, approval("touch x", Key::Enter)),
        Reaction::Wait
    );
    assert_eq!(play.after(500, approval("touch x", Key::Enter)), press);
}

#[test]
fn approvals_with_work_between_them_are_counted_apart() {
    let allowing = || Plan {
        permissions: Permissions::Allow,
        ..plan()
    };
    let press = pressed(Key::Enter, "command_approval");
    let mut play = Play::working(allowing());
    for _ in 0..10 {
        assert_eq!(play.after(500, approval("touch x", Key::Enter)), press);
        assert_eq!(play.after(500, at_work(Holds::Other)), Reaction::Wait);
    }
    let mut play = Play::working(allowing());
    for _ in 0..2 {
        assert_eq!(play.after(1_000, approval("touch x", Key::Enter)), press);
    }
    let end = play
        .after(1_000, approval("touch x", Key::Enter))
        .into_end();
    assert_eq!(end.status, Status::BlockedDialog, "the key is not taken");
}

#[test]
fn an_approval_on_the_screen_is_surfaced_otherwise() {
    for permissions in [Permissions::Ask, Permissions::Deny] {
        for responder in [true, false] {
            let mut play = Play::working(Plan {
                permissions,
                responder,
                ..plan()
            });
            let shown = || approval("touch x", Key::Enter);
            assert_eq!(
                play.on(shown()),
                Reaction::Wait,
                "the hook's event may come"
            );
            assert_eq!(play.remaining(), Duration::from_millis(700));
            let end = play.after(700, shown()).into_end();
            assert_eq!(end.status, Status::NeedsPermission);
            assert_eq!(end.pending.expect("the command").text, "touch x");
        }
    }
}

#[test]
fn an_approval_outside_a_turn_is_never_given() {
    let allowing = || Plan {
        permissions: Permissions::Allow,
        ..plan()
    };
    for mut play in [Play::new(allowing()), Play::submitting(allowing())] {
        assert_eq!(play.on(approval("touch x", Key::Enter)), Reaction::Wait);
        let end = play.after(700, approval("touch x", Key::Enter)).into_end();
        assert_eq!(end.status, Status::NeedsPermission);
    }
}

#[test]
fn looks_that_bring_nothing_do_not_keep_the_machine_busy() {
    let mut play = Play::working(plan());
    assert_eq!(play.on(unknown("half drawn")), Reaction::Wait);
    let mut looks = 0;
    while play.deadline() == Reaction::Look {
        assert!(
            play.remaining() > Duration::ZERO,
            "a look that is due at once"
        );
        looks += 1;
    }
    assert!(looks <= 15 * 60, "{looks}");
}

#[test]
fn a_dialog_while_the_responder_thinks_is_not_waited_for() {
    let mut play = Play::working(plan_with_responder());
    assert_eq!(play.on(unknown("half drawn")), Reaction::Wait);
    let _asked = play.on(asked(OURS, 1, "touch x")).into_question();
    assert!(play.remaining() > Duration::from_secs(60));
    assert_eq!(play.on(unknown("half drawn")), Reaction::Wait);
    assert!(play.remaining() > Duration::from_secs(60));
}
