//! SECURITY.md names a test for each defence, and each of them is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The names of all functions below a directory.
fn functions(dir: &Path, into: &mut BTreeSet<String>) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            functions(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("UTF-8");
            into.extend(text.split("fn ").skip(1).filter_map(name));
        }
    }
}

/// The name at the beginning of a definition's rest.
fn name(rest: &str) -> Option<String> {
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    (end > 0 && rest[end..].starts_with('(')).then(|| rest[..end].to_owned())
}

#[test]
fn every_test_that_is_named_is_there() {
    let text = fs::read_to_string(root().join("SECURITY.md")).expect("SECURITY.md");
    let mut there = BTreeSet::new();
    functions(&root().join("tests"), &mut there);
    functions(&root().join("src"), &mut there);
    let rows = text
        .lines()
        .filter(|line| line.starts_with("| ") && !line.contains("| test"));
    let mut named = 0;
    for row in rows.clone() {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let [threat, defence, tests] = cells.as_slice() else {
            panic!("three cells: {row}");
        };
        assert!(
            !threat.trim().is_empty() && !defence.trim().is_empty(),
            "{row}"
        );
        let tests: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(
            !tests.is_empty() || defence.contains("**Not defended.**"),
            "no test: {row}"
        );
        for test in tests {
            assert!(
                there.contains(test),
                "SECURITY.md names `{test}`, which is nowhere"
            );
            named += 1;
        }
    }
    assert!(rows.count() >= 20 && named >= 30, "{named}");
}
