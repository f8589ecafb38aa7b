//! People who look at the agent's pane while it works: it suits their terminals, and nothing of the run is lost by that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use cx_operator::record::{Outcome, Status};
use cx_operator::task::policy::Permissions;
use cx_operator::task::respond::Recipe;
use rustix::process::Signal;
use testkit::processes;
use testkit::terminal::Terminal;

use crate::rig::{Agent, Rig, wait_for};

tests_of! { the_pane_suits_those_who_look_on:
    scripted on Scripted;
    codex_0_169 on Codex(testkit::agents::PINNED);
    claude_2_1_332 on Claude(testkit::agents::PINNED_CLAUDE);
}
tests_of! { the_pane_is_put_back_when_its_operator_died:
    scripted on Scripted;
    claude_2_1_332 on Claude(testkit::agents::PINNED_CLAUDE);
}
tests_of! { sizes_that_change_all_the_time_change_nothing:
    scripted on Scripted;
    codex_0_169 on Codex(testkit::agents::PINNED);
    requests_0_169 on Requests(testkit::agents::PINNED);
    claude_2_1_332 on Claude(testkit::agents::PINNED_CLAUDE);
    thorough_codex_0_150 on_thoroughly Codex(testkit::agents::OLDER[0]);
    thorough_codex_0_130 on_thoroughly Codex(testkit::agents::OLDER[1]);
    thorough_claude_2_1_197 on_thoroughly Claude(testkit::agents::OLDER_CLAUDE);
}
tests_of! { an_approval_while_sizes_change:
    codex_0_169 on Codex(testkit::agents::PINNED);
    claude_2_1_332 on Claude(testkit::agents::PINNED_CLAUDE);
}
tests_of! { a_form_while_sizes_change:
    codex_0_169 on Codex(testkit::agents::PINNED);
}

const OWN: &str = "200x50";
/// Sizes of terminals, the one after the other; one is tiny, and one larger than a pane.
const SIZES: [(u32, u32); 6] = [(80, 24), (20, 5), (120, 40), (40, 12), (230, 60), (61, 17)];

/// A terminal of that size in which somebody joins the task `t`, once it has a session.
async fn attach(rig: &Rig, name: &str, size: (u32, u32)) -> Terminal {
    let session = format!("={}", rig.session());
    wait_for("the session", || {
        let has = ["has-session", "-t", &session];
        let found = rig.tmux_command(&has).output().ok()?;
        found.status.success().then_some(())
    })
    .await;
    let attach = rig.binary(&["attach", "t"]);
    let attach = attach.as_std();
    let words = std::iter::once(attach.get_program()).chain(attach.get_args());
    Terminal::open(rig.command("tmux"), (&rig.path(name), false), size, words)
}

/// The size of the agent's pane.
fn size(rig: &Rig) -> String {
    let format = "#{window_width}x#{window_height}";
    let shown = rig.tmux(&["display-message", "-p", "-t", &rig.pane(), format]);
    shown.trim().to_owned()
}

async fn wait_for_size(rig: &Rig, expected: &str) {
    let what = format!("a pane of {expected}");
    wait_for(&what, || (size(rig) == expected).then_some(())).await;
}

/// A brief whose agent works until that file is there.
fn working(marker: &std::path::Path) -> String {
    format!(
        "[[await {}]] [[say Done. I looked at it.]]",
        marker.display()
    )
}

fn assert_done(outcome: &Outcome, turns: u32) {
    assert_eq!(
        (outcome.status, outcome.turns),
        (Status::Completed, turns),
        "{outcome:?}"
    );
}

async fn the_pane_suits_those_who_look_on(rig: &Rig) {
    let marker = rig.path("marker");
    let run = rig.start(rig.task(&working(&marker))).await;
    assert_eq!(size(rig), OWN);
    let one = attach(rig, "one", (80, 24)).await;
    wait_for_size(rig, "80x24").await;
    one.resize((100, 30));
    wait_for_size(rig, "100x30").await;
    let two = attach(rig, "two", (70, 40)).await;
    wait_for_size(rig, "70x30").await;
    // tmux shows a part of a pane that is larger than the terminal.
    one.resize((20, 5));
    wait_for_size(rig, "60x15").await;
    // The terminal's program is killed, and the terminal is closed.
    processes::signal(one.pid(), Signal::KILL);
    drop(one);
    wait_for_size(rig, "70x40").await;
    drop(two);
    wait_for_size(rig, OWN).await;
    std::fs::write(&marker, "").expect("written");
    assert_done(&rig.outcome(run).await, 1);
}

async fn the_pane_is_put_back_when_its_operator_died(rig: &Rig) {
    let marker = rig.path("marker");
    let mut operator = rig.spawn_delegation(&working(&marker), &[]).await;
    let one = attach(rig, "one", (80, 24)).await;
    wait_for_size(rig, "80x24").await;
    operator.start_kill().expect("killed");
    operator.wait().await.expect("it ended");
    drop(one);
    assert_eq!(size(rig), "80x24");
    let resume = rig.binary(&["resume", "t", "--json"]).spawn();
    wait_for_size(rig, OWN).await;
    std::fs::write(&marker, "").expect("written");
    let output = resume.expect("it starts").wait_with_output().await;
    assert_done(&rig.document(&output.expect("it ends")).0, 1);
}

/// Somebody whose terminal has another size again and again, from the first moment of the run to its end, and who leaves and
/// comes back.
struct Restless {
    over: Arc<AtomicBool>,
    sizes: Arc<AtomicUsize>,
}

impl Restless {
    async fn beside<T>(rig: &Rig, run: impl Future<Output = T>) -> T {
        let restless = Self {
            over: Arc::default(),
            sizes: Arc::default(),
        };
        let looked_on = async {
            for time in 0.. {
                if restless.is_over() {
                    break;
                }
                // Of its own: the one before may be ending yet.
                let terminal = attach(rig, &format!("restless-{time}"), SIZES[0]).await;
                // It ends by itself with the session.
                for size in SIZES.iter().cycle().take(40) {
                    if restless.is_over() || terminal.ask(&["list-sessions"]).is_empty() {
                        break;
                    }
                    terminal.resize(*size);
                    restless.sizes.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        };
        let ran = async {
            let done = run.await;
            restless.over.store(true, Ordering::Relaxed);
            done
        };
        let done = tokio::select! {
            done = ran => done,
            // There is no session any more to join.
            () = looked_on => unreachable!("the run is not over"),
        };
        assert!(
            restless.sizes.load(Ordering::Relaxed) > 0,
            "nobody looked on"
        );
        done
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// Dialogs of the start, two pastes and submissions, work, a question, an answer, the end of both turns.
async fn sizes_that_change_all_the_time_change_nothing(rig: &Rig) {
    let answers = "[[answer]]\npattern = \"tabs or spaces\"\nreply = \"Tabs. [[shell sleep 3; echo tabs > new; echo 'STATUS: DONE']]\"\n";
    if matches!(rig.agent, Agent::Codex(_)) {
        // One that is not trusted yet, which brings up a dialog.
        let hooks = serde_json::json!({"hooks": {"Stop": [{"hooks": [{"type": "command", "command": "true"}]}]}});
        std::fs::write(rig.path("codex/hooks.json"), hooks.to_string()).expect("written");
    }
    let mut task = rig.task("[[sleep 3]] [[question]]");
    task.responders = rig.answers(answers);
    let outcome = Restless::beside(rig, rig.delegate(task)).await;
    assert_done(&outcome, 2);
    assert_eq!(outcome.replies.len(), 1, "{outcome:?}");
    assert_eq!(outcome.files[0].path, "new", "{outcome:?}");
}

async fn an_approval_while_sizes_change(rig: &Rig) {
    let mut task = rig.task(&crate::permissions::brief());
    task.permissions = Permissions::Allow;
    let outcome = Restless::beside(rig, rig.delegate(task)).await;
    assert_done(&outcome, 1);
    let reply = &outcome.replies[0];
    assert_eq!(
        (reply.by.as_str(), reply.reply.as_str()),
        ("policy", "allow")
    );
    assert_eq!(outcome.files[0].path, "asked", "{outcome:?}");
}

async fn a_form_while_sizes_change(rig: &Rig) {
    let mut task = crate::forms::task(rig, "");
    task.responders.push(Arc::new(Recipe::Message {
        limit: Duration::from_secs(60),
    }));
    let answer = async {
        for (asked, reply) in [("Tabs or spaces", "spaces"), ("be named", "parser")] {
            rig.wait_for_question(asked).await;
            // Somebody thinks about it, and looks at the pane.
            tokio::time::sleep(Duration::from_secs(2)).await;
            let sent = rig.binary(&["reply", "t", "--text", reply]).output().await;
            assert!(sent.expect("it runs").status.success());
        }
    };
    let both = async { tokio::join!(rig.delegate(task), answer).0 };
    let outcome = Restless::beside(rig, both).await;
    assert_done(&outcome, 1);
    assert_eq!(outcome.replies.len(), 2, "{outcome:?}");
    assert_eq!(outcome.files[0].path, "new", "{outcome:?}");
}
