//! What the pages refer to: other pages and their sections, and files of the repository.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use regex::Regex;

use super::{code, documents, root};

/// The anchors of a page, made from its headings as GitHub makes them.
fn anchors(markdown: &str) -> BTreeSet<String> {
    let mut in_block = false;
    let mut found = BTreeSet::new();
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        }
        let title = line.trim_start_matches('#');
        if in_block || title.len() == line.len() {
            continue;
        }
        let kept = title
            .trim()
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        let anchor = kept.collect::<String>().to_lowercase().replace(' ', "-");
        found.insert(anchor);
    }
    found
}

#[test]
fn links_lead_to_pages_and_their_sections() {
    let link = Regex::new(r"\]\(([^)]+)\)").expect("the pattern is constant");
    let mut seen = 0;
    for page in documents() {
        let text = fs::read_to_string(&page).expect("readable");
        for found in link.captures_iter(&text) {
            let target = &found[1];
            if target.starts_with("https://") {
                continue;
            }
            seen += 1;
            let (path, anchor) = match target.split_once('#') {
                Some((path, anchor)) => (path, Some(anchor)),
                None => (target, None),
            };
            let to = match path {
                "" => page.clone(),
                _ => page.parent().expect("a directory").join(path),
            };
            assert!(to.exists(), "{}: {target}", page.display());
            if let Some(anchor) = anchor {
                let there = anchors(&fs::read_to_string(&to).expect("a page"));
                assert!(there.contains(anchor), "{}: {target}", page.display());
            }
        }
    }
    assert!(seen > 20, "{seen} links");
}

/// Where a path of the repository begins.
const PLACES: [&str; 9] = [
    "src/",
    "tests/",
    "testkit/",
    "hooks/",
    "examples/",
    "benches/",
    "docs/",
    "skills/",
    ".ci/",
];

#[test]
fn files_that_are_named_are_there() {
    let mut seen = 0;
    for page in documents() {
        let text = fs::read_to_string(&page).expect("readable");
        let spans = code(&text).into_iter().filter(|(_, block)| !block);
        for (span, _) in spans {
            let is_path = PLACES.iter().any(|place| span.starts_with(place));
            // A shell's word, a placeholder, a directory of a brief that is shown as an example.
            let is_plain = !span.contains(['<', '*', ' ', '…']);
            let is_example = page.ends_with("briefs.md") || span == "src/date.rs";
            if is_path && is_plain && !is_example {
                seen += 1;
                let there = root().join(Path::new(&span)).exists();
                assert!(there, "{}: `{span}` is missing", page.display());
            }
        }
    }
    assert!(seen > 20, "{seen} files");
}

#[test]
fn test_programs_that_are_named_are_there() {
    let named =
        Regex::new(r"cargo test [^`\n]*?--test ([a-z_]+)").expect("the pattern is constant");
    let mut seen = 0;
    for page in documents() {
        let text = fs::read_to_string(&page).expect("readable");
        for found in named.captures_iter(&text) {
            seen += 1;
            let name = &found[1];
            let there = [format!("tests/{name}.rs"), format!("tests/{name}/main.rs")]
                .iter()
                .any(|path| root().join(path).exists());
            assert!(there, "{}: --test {name}", page.display());
        }
    }
    assert!(seen > 3, "{seen} test programs");
}
