//! Repositories outside of the roots, and their runs: neither shown nor touched.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};

use testkit::git;
use testkit::mcp_client::McpClient;
use testkit::world::write;

use super::{task, text, wait};
use crate::place::Place;

/// A place with a second repository, `other`, beside the one that is in reach.
fn place() -> Place {
    let place = Place::new();
    let other = place.path("other");
    write(&other.join("README"), "x\n");
    git::init(&other).unwrap_or_else(|message| panic!("{message}"));
    place
}

fn client_of(place: &Place, root: &Path) -> McpClient {
    let mut command = place.operator(&["mcp", "--allow-option=program"]);
    command
        .args(["--allow-option=worktree-root", "--root"])
        .arg(root);
    McpClient::begin(&mut command, &json!({})).0
}

fn task_in(place: &Place, name: &str, repo: &str) -> Value {
    let mut task = task(place, name, "[[shell echo x > made]]");
    task["repo"] = json!(repo);
    task
}

#[test]
fn no_path_leads_out_of_the_roots() {
    let place = place();
    let (repo, other) = (place.repo(), place.path("other"));
    symlink(&other, repo.join("link")).expect("a link");
    let inside = repo.join("inside");
    git::git(
        &other,
        &[
            "worktree",
            "add",
            "-q",
            "--detach",
            &inside.to_string_lossy(),
        ],
    );
    // A directory that says that its repository is the other one.
    fs::create_dir(repo.join("says")).expect("made");
    fs::write(
        repo.join("says/.git"),
        format!("gitdir: {}\n", other.join(".git").display()),
    )
    .expect("written");
    let mut client = client_of(&place, &repo);
    let paths = [
        "../other",
        "link",
        "inside",
        "says",
        "/",
        "..",
        "no/such/path",
    ];
    let absolute = other.display().to_string();
    for path in paths.iter().copied().chain([absolute.as_str()]) {
        let error = client.refuse("delegate", task_in(&place, "t", path));
        assert_eq!(error["code"], "not_allowed", "{path}: {error}");
    }
    for path in ["../other", "link", "/"] {
        let error = client.refuse("doctor", json!({"repo": path}));
        assert_eq!(error["code"], "not_allowed", "{path}: {error}");
    }
    assert!(client.end().success());
    assert!(testkit::world::names(&place.path("state/runs")).is_empty());
}

#[test]
fn a_root_within_a_repository_or_a_worktree_of_it_is_enough() {
    let place = place();
    let below = place.repo().join("sub");
    fs::create_dir(&below).expect("made");
    let tree = place.path("tree");
    place.git(&["worktree", "add", "-q", "--detach", &tree.to_string_lossy()]);
    for (name, root) in [("a", &below), ("b", &tree)] {
        let mut client = client_of(&place, root);
        client.call("delegate", task(&place, name, "[[shell echo x > made]]"));
        assert_eq!(wait(&mut client, name)["status"], "completed");
        let error = client.refuse(
            "delegate",
            task_in(&place, "c", &place.repo().to_string_lossy()),
        );
        assert_eq!(error["code"], "not_allowed", "{error}");
    }
}

#[test]
fn runs_of_other_repositories_are_neither_shown_nor_touched() {
    let place = place();
    let other = place.path("other");
    let mut theirs = client_of(&place, &other);
    let begun = theirs.call("delegate", task(&place, "t", "[[question]]"));
    let run = text(&begun["run_id"]).to_owned();
    wait(&mut theirs, "t");
    let before = theirs.call("status", json!({"run": run}));
    let mut ours = client_of(&place, &place.repo());
    for name in ["t", run.as_str(), &run[..16]] {
        for (tool, arguments) in [
            ("status", json!({"run": name})),
            ("wait", json!({"runs": [name]})),
            ("reply", json!({"run": name, "text": "x"})),
            ("send", json!({"run": name, "text": "x"})),
            ("events", json!({"run": name})),
            ("diff", json!({"run": name})),
            ("apply", json!({"run": name})),
            ("abort", json!({"runs": [name]})),
        ] {
            let error = ours.refuse(tool, arguments);
            assert_eq!(error["code"], "run_not_found", "{tool} {name}: {error}");
        }
    }
    assert_eq!(ours.call("list", json!({}))["runs"], json!([]));
    let listed = ours.request("resources/list", json!({}));
    assert_eq!(listed["result"]["resources"], json!([]), "{listed}");
    let uri = format!("cx-operator://runs/{run}/task.md");
    let read = ours.request("resources/read", json!({"uri": uri}));
    assert!(read["error"].is_object(), "{read}");
    // Its name is the newest run's of that task, and ours is the one that is found.
    let mut own = task(&place, "t", "[[shell echo x > made]]");
    own["worktree_root"] = json!(place.path("elsewhere"));
    fs::create_dir(place.path("elsewhere")).expect("made");
    own["task"] = json!("u");
    ours.call("delegate", own);
    assert_eq!(wait(&mut ours, "u")["status"], "completed");
    assert_eq!(theirs.call("status", json!({"run": run})), before);
    theirs.call("abort", json!({"runs": [run]}));
    assert_eq!(wait(&mut theirs, &run)["status"], "aborted");
    let error = ours.refuse("diff", json!({"run": run}));
    assert_eq!(error["code"], "run_not_found");
}

/// A run that waits for its place has no directory yet.
#[test]
fn a_queued_run_is_told_of_where_its_repository_is_in_reach() {
    let place = place();
    let mut theirs = client_of(&place, &place.path("other"));
    let mut ours = client_of(&place, &place.repo());
    theirs.call("delegate", task(&place, "first", "[[question]]"));
    let mut queued = task(&place, "second", "[[shell echo x > made]]");
    queued["max_parallel"] = json!(1);
    let begun = ours.call("delegate", queued);
    assert_eq!(begun["status"], "queued", "{begun}");
    let status = ours.call("status", json!({"run": "second"}));
    assert_eq!(
        (&status["status"], &status["position"]),
        (&json!("queued"), &json!(1))
    );
    assert_eq!(
        theirs.refuse("status", json!({"run": "second"}))["code"],
        "run_not_found"
    );
    assert_eq!(
        theirs.call("list", json!({}))["runs"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    assert_eq!(
        ours.refuse("diff", json!({"run": "second"}))["code"],
        "usage"
    );
    wait(&mut theirs, "first");
    theirs.call("reply", json!({"run": "first", "decision": "leave"}));
    assert_eq!(wait(&mut ours, "second")["status"], "completed");
}
