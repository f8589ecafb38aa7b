//! What the operator may not do: rights that are missing, limits that are reached.

use std::time::{Duration, Instant};

use testkit::wait::on_this_machine;

use super::{HARMLESS, REFUSED, Row, Status, Work, clean, code, report, script, table, under};
use crate::rig::{Agent, Rig, on};

const HALF: &[(&str, &str)] = &[("half", "done\n")];
/// Makes modes count: root without the right to pass them by. Another user has no such right anyway.
const PLAIN: &[&str] = &["setpriv", "--bounding-set=-all", "--inh-caps=-all"];

table! {
    read_only_for_its_owner = Row {
        does: "mkdir d; echo done > d/half; chmod -R a-w .",
        work: Work::Files(&[("d/half", "done\n")]),
        under: PLAIN,
        ..HARMLESS
    };
    unreadable_file = Row {
        does: "echo done > half; chmod 000 half",
        said: "only it has these files, which could not be read or stored: half",
        mend: "chmod 644 worktrees/cx-t/half",
        work: Work::Kept(HALF),
        under: PLAIN,
        ..HARMLESS
    };
    unreadable_directory = Row {
        does: "mkdir d; echo done > d/half; chmod 000 d",
        said: "only it has these files, which could not be read or stored: d",
        mend: "chmod 700 worktrees/cx-t/d",
        work: Work::Kept(&[("d/half", "done\n")]),
        under: PLAIN,
        ..HARMLESS
    };
    object_store_closed = Row {
        does: "echo done > half; chmod -R a-w $RIG/repo/.git/objects",
        mend: "chmod -R u+w repo/.git/objects",
        work: Work::Kept(HALF),
        under: PLAIN,
        ..REFUSED
    };
    refs_closed = Row {
        does: "echo done > half; chmod a-w $RIG/repo/.git/refs",
        mend: "chmod u+w repo/.git/refs",
        work: Work::Kept(HALF),
        under: PLAIN,
        ..REFUSED
    };
    run_directory_closed = Row {
        does: "echo done > half; chmod a-w $RIG/state/runs/*",
        mend: "chmod u+w state/runs/*",
        work: Work::Kept(HALF),
        under: PLAIN,
        ..REFUSED
    };
    worktrees_closed = Row {
        does: "echo done > half; chmod a-w $RIG/worktrees",
        mend: "chmod u+w worktrees",
        said: "failed to remove",
        work: Work::Late(HALF),
        under: PLAIN,
        ..HARMLESS
    };
    no_watcher = Row {
        under: &["unshare", "-Ur", "sh", "-c", "echo 0 > /proc/sys/user/max_inotify_instances && exec \"$@\"", "sh"],
        ..HARMLESS
    };
    no_watches = Row {
        under: &["unshare", "-Ur", "sh", "-c", "echo 0 > /proc/sys/user/max_inotify_watches && exec \"$@\"", "sh"],
        ..HARMLESS
    };
    files_of_64_kb_at_most = Row {
        does: "true",
        under: &["prlimit", "--fsize=65536"],
        ..HARMLESS
    };
    result_larger_than_a_file_may_be = Row {
        does: "echo done > half; seq 100000 > more",
        under: &["prlimit", "--fsize=650000"],
        work: Work::Kept(HALF),
        ..REFUSED
    };
}

/// Plays a harmless run under each of some limits: whatever it comes to, it is said in a document, and nothing is left.
async fn assert_said(rig: &Rig, name: &str, starters: &[Vec<&str>]) {
    let mut completed = 0;
    for starter in starters {
        let began = Instant::now();
        let mut command = rig.delegation("Do what the script says.", &["--turn-timeout", "5s"]);
        command.env("CX_SCRIPT", script(rig, "echo done > half"));
        let output = under(rig, starter, &command).output();
        let output = output.await.expect("it starts");
        let (outcome, exit) = rig.document(&output);
        report(
            &format!("{name} {}", starter.join(" ")),
            &outcome,
            began.elapsed(),
        );
        assert_eq!(i32::from(outcome.exit_code()), exit, "{outcome:#?}");
        assert!(began.elapsed() < on_this_machine(Duration::from_secs(20)));
        assert_eq!(
            (outcome.status == Status::Completed),
            code(&outcome).is_none()
        );
        if outcome.worktree.is_some() {
            // The work could not be taken in: it is under the last limit, which is none.
            assert!(code(&outcome).is_some(), "{outcome:#?}");
            let free = starters.last().expect("a limit");
            assert_eq!(clean(rig, free).await.worktree, None);
        }
        completed += u32::from(outcome.status == Status::Completed);
    }
    assert!(
        completed > 0,
        "the last limit is none, and proves the others"
    );
}

#[test]
fn few_open_files() {
    on(Agent::Scripted, async |rig: &Rig| {
        let limits: Vec<_> = (14..=28)
            .chain([32, 64, 256])
            .map(|n| format!("--nofile={n}"))
            .collect();
        let starters: Vec<_> = limits.iter().map(|limit| vec!["prlimit", limit]).collect();
        assert_said(rig, "few_open_files", &starters).await;
    });
}

/// Another user's limit: root has none.
#[test]
#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
fn few_processes() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root becomes a user with no other process");
        return;
    }
    on(Agent::Scripted, async |rig: &Rig| {
        let own = |user: &str| {
            let mut chown = std::process::Command::new("chown");
            let status = chown.args(["-R", user]).arg(rig.path("")).status();
            assert!(status.expect("chown runs").success());
        };
        drop(script(rig, "true"));
        rig.open_programs();
        own("64111:64111");
        let limits: Vec<_> = (1..=14)
            .chain([100])
            .map(|n| format!("--nproc={n}"))
            .collect();
        let user = [
            "setpriv",
            "--reuid=64111",
            "--regid=64111",
            "--clear-groups",
            "prlimit",
        ];
        let starters: Vec<_> = limits
            .iter()
            .map(|limit| [&user[..], &[limit.as_str()]].concat())
            .collect();
        assert_said(rig, "few_processes", &starters).await;
        own("0:0");
    });
}
