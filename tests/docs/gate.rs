//! The gate: the workflow has the stages of `.ci/run`, and the manifest's oldest Rust suits its dependencies.

use std::collections::BTreeSet;
use std::process::Command;

use regex::Regex;
use serde_json::Value;

use super::{load, root};

#[test]
fn the_workflow_has_every_stage_and_pins_its_actions() {
    let list = Command::new(root().join(".ci/run")).arg("--list").output();
    let list = list.expect("the gate runs");
    let stages = String::from_utf8(list.stdout).expect("UTF-8");
    let stages: BTreeSet<&str> = stages.lines().collect();
    let workflow = load(".github/workflows/ci.yml");
    let (_, matrix) = workflow.split_once("stages:\n").expect("a matrix");
    let played = matrix
        .lines()
        .map_while(|line| line.trim().strip_prefix("- "))
        .flat_map(str::split_whitespace)
        // Around each job.
        .chain(["programs", "checkout"]);
    assert_eq!(played.collect::<BTreeSet<_>>(), stages);
    let uses = workflow
        .lines()
        .filter_map(|line| line.split_once("uses: "));
    let pin = Regex::new(r"^[\w-]+/[\w-]+@[0-9a-f]{40} # v[0-9.]+$").expect("a pattern");
    for (_, action) in uses {
        assert!(pin.is_match(action), "{action}");
    }
}

/// A build with that Rust is a stage of the gate, which needs it installed.
#[test]
fn no_dependency_needs_a_newer_rust() {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--offline", "--format-version=1"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&metadata.stdout).expect("JSON");
    let version = |text: &str| {
        let numbers = text
            .split('.')
            .map(|number| number.parse().expect("a number"));
        let mut version: Vec<u32> = numbers.collect();
        version.resize(3, 0);
        version
    };
    let packages = metadata["packages"].as_array().expect("packages");
    let own = packages
        .iter()
        .find(|package| package["name"] == "cx-operator");
    let own = own.and_then(|package| package["rust_version"].as_str());
    let oldest = version(own.expect("rust-version"));
    assert!(packages.len() > 20);
    for package in packages {
        let Some(needed) = package["rust_version"].as_str() else {
            continue;
        };
        assert!(version(needed) <= oldest, "{}: {needed}", package["name"]);
    }
}
