//! Both agents at once in one repository, on a task of the same name.

use cx_operator::agent::ExecutorId;
use cx_operator::agent::conversation::Drive;
use cx_operator::record::Status;
use testkit::built;

use crate::rig::Rig;

on_claude!(the_other_agent_has_a_task_of_that_name);

async fn the_other_agent_has_a_task_of_that_name(rig: &Rig) {
    let go = rig.path("go");
    let brief = |text: &str| {
        format!(
            "[[await {}]][[shell echo {text} > {text}; echo 'STATUS: DONE']]",
            go.display()
        )
    };
    let claude = rig.start(rig.task(&brief("river"))).await;
    let mut task = rig.task(&brief("stone"));
    task.agent.executor = ExecutorId::parse("codex").expect("an executor");
    task.agent.program = Some(built::scripted_agent());
    task.agent.drive = Drive::Keys;
    let codex = rig.start(task).await;
    for name in ["cc-t", "cx-t"] {
        assert!(rig.worktrees().join(name).exists(), "{name}");
        rig.tmux(&["has-session", "-t", &format!("={name}")]);
    }
    let mut executors: Vec<String> = Vec::new();
    for row in crate::telling::rows(rig).await {
        executors.push(row["executor"].as_str().unwrap_or_default().to_owned());
    }
    executors.sort();
    assert_eq!(executors, ["claude", "codex"]);
    std::fs::write(go, "").expect("the word");
    for (run, made) in [(claude, "river"), (codex, "stone")] {
        let outcome = rig.outcome(run).await;
        let files: Vec<_> = outcome.files.iter().map(|file| &*file.path).collect();
        assert_eq!(
            (outcome.status, files.as_slice()),
            (Status::Completed, &[made][..]),
            "{outcome:?}"
        );
    }
}
