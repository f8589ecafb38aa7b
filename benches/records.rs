//! What the commands that read records take when there are many: 10,000 against 10.
//!
//! Each time is that of the whole process, start and end included. `CX_BENCH_RECORDS` changes the number. The records
//! look like real ones: 4 kB of `run.json`, 8 kB of journal, a ref in the repository for each. What is read was just
//! written, so the disk itself isn't measured.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::git;

const ROUNDS: usize = 11;
/// What a person takes for an answer at once.
const LIMIT: Duration = Duration::from_millis(200);

fn main() {
    let many = std::env::var("CX_BENCH_RECORDS")
        .ok()
        .and_then(|number| number.parse().ok())
        .unwrap_or(10_000);
    let mut times = Vec::new();
    for count in [10, many] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        generate(dir.path(), count);
        let commands = commands(count);
        times.push(commands.map(|(name, arguments)| (name, measure(dir.path(), &arguments))));
        prune(dir.path(), count);
    }
    println!(
        "{:<28} {:>10} {many:>10}   median of {ROUNDS}",
        "records:", 10
    );
    for ((name, few), (_, many)) in times[0].iter().zip(&times[1]) {
        let verdict = match name.contains("--all") || name.contains("prune") || *many <= LIMIT {
            true => "",
            false => "  MORE THAN 200 ms",
        };
        println!("{name:<28} {few:>10.1?} {many:>10.1?}{verdict}");
    }
}

/// The commands, and how they are called.
fn commands(count: usize) -> [(&'static str, Vec<String>); 8] {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let middle = run_id(count / 2);
    [
        ("--version (the floor)", words("--version")),
        ("list", words("list")),
        ("list --all", words("list --all")),
        ("show TASK", words(&format!("show {}", task(count / 2)))),
        ("show RUN --json", words(&format!("show {middle} --json"))),
        (
            "cleanup --dry-run",
            words("cleanup --dry-run --repo repo --worktree-root state/runs"),
        ),
        ("cleanup", words("cleanup --repo repo --worktree-root repo")),
        ("prune --dry-run", words("prune --dry-run --older-than 0s")),
    ]
}

fn measure(dir: &Path, arguments: &[String]) -> Duration {
    let mut times: Vec<Duration> = (0..ROUNDS).map(|_| once(dir, arguments)).collect();
    times.sort_unstable();
    times[ROUNDS / 2]
}

/// Pruning all of them is done once.
fn prune(dir: &Path, count: usize) {
    let arguments = ["prune", "--older-than", "0s"].map(str::to_owned);
    println!("prune of {count} records: {:.1?}", once(dir, &arguments));
    let left = fs::read_dir(dir.join("state/runs"))
        .expect("listed")
        .count();
    assert_eq!(left, 0, "all are gone");
}

fn once(dir: &Path, arguments: &[String]) -> Duration {
    let begun = Instant::now();
    let status = Command::new(env!("CARGO_BIN_EXE_cx-operator"))
        .args(arguments)
        .env("CX_OPERATOR_STATE", dir.join("state"))
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("it runs");
    let time = begun.elapsed();
    assert!(status.success(), "{arguments:?}");
    time
}

fn task(n: usize) -> String {
    format!("task-{n}")
}

/// One run each ten minutes, from the year 2025 on.
fn run_id(n: usize) -> String {
    let at = Duration::from_secs(1_735_689_600 + n as u64 * 600);
    let at = humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + at).to_string();
    let digits: String = at.chars().filter(char::is_ascii_digit).collect();
    format!(
        "{}-{}-{}-{:04x}",
        &digits[..8],
        &digits[8..],
        task(n),
        n % 65536
    )
}

fn generate(dir: &Path, count: usize) {
    let repo = dir.join("repo");
    fs::create_dir(&repo).expect("a directory");
    git::init(&repo).expect("a repository");
    let git = |arguments: &[&str]| git::git(&repo, arguments);
    let results: Vec<String> = (0..100)
        .map(|n| {
            git(&[
                "commit-tree",
                "HEAD^{tree}",
                "-p",
                "HEAD",
                "-m",
                &n.to_string(),
            ])
        })
        .collect();
    let mut refs = String::from("# pack-refs with: peeled fully-peeled sorted \n");
    let runs = dir.join("state/runs");
    for n in 0..count {
        let (id, result) = (run_id(n), &results[n % results.len()]);
        writeln!(refs, "{result} refs/cx-operator/{id}").expect("a string");
        write_run(&runs.join(&id), &repo, (n, result));
    }
    fs::write(repo.join(".git/packed-refs"), refs).expect("written");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(dir.join("state"), mode).expect("private");
}

fn write_run(run: &Path, repo: &Path, (n, result): (usize, &str)) {
    fs::create_dir_all(run.join("signals")).expect("a directory");
    let id = run_id(n);
    let file = |k: usize| json!({"path": format!("src/module_{k}/file.rs"), "status": "M", "insertions": k, "deletions": 1, "binary": false});
    let record = json!({
        "schema_version": 1, "run_id": id, "task": task(n), "executor": "codex", "agent_version": "0.169.0",
        "status": "completed", "session_id": "019a2b3c-0000-7000-8000-000000000000", "turns": 2,
        "base_commit": result, "result_commit": result, "result_ref": format!("refs/cx-operator/{id}"),
        "branch": format!("cx-{}", task(n)), "changes": "uncommitted", "files_changed": 12, "insertions": 66,
        "deletions": 12, "patch": run.join("patch.diff"), "run_dir": run, "repository": repo, "worktree": null,
        "last_message": "Done, as far as I can see. ".repeat(60), "pending": null,
        "usage": {"input_tokens": 31415, "output_tokens": 2718, "total_tokens": 34133},
        "started_at": "2025-01-01T00:00:00.000Z", "duration_ms": 61234, "error": null, "commits": [],
        "files": (0..12).map(file).collect::<Vec<_>>(), "replies": [], "notices": ["a notice"]
    });
    let line = |k: usize| {
        let event = json!({"at": "2025-01-01T00:00:00.000Z", "event": "notice", "text": format!("{k}: {}", "what happened ".repeat(8))});
        format!("{event}\n")
    };
    let journal: String = (0..45).map(line).collect();
    for (name, content) in [
        (
            "run.json",
            serde_json::to_string_pretty(&record).expect("JSON"),
        ),
        ("events.jsonl", journal),
        (
            "task.md",
            "Split src/auth.rs into one file per provider.".to_owned(),
        ),
        ("patch.diff", "+line\n".repeat(200)),
        ("pane.log", "output\n".repeat(500)),
        ("lock", String::new()),
    ] {
        fs::write(run.join(name), content).expect("written");
    }
}
