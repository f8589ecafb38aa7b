//! `docs/parents.md` names what `status` and `events` print: each field, each type of event, and no other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use regex::Regex;
use serde_json::Value;

fn load(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The words in backquotes.
fn names(text: &str) -> BTreeSet<String> {
    let name = Regex::new("`([a-z_]+)`").expect("a valid pattern");
    name.captures_iter(text)
        .map(|found| found[1].to_owned())
        .collect()
}

/// The rows of the table in a section: what each names, and what it says.
fn rows(section: &str) -> Vec<(BTreeSet<String>, BTreeSet<String>)> {
    let page = load("docs/parents.md");
    let (_, rest) = page
        .split_once(&format!("\n## {section}\n"))
        .expect("the section");
    let section = rest.split("\n## ").next().unwrap_or(rest);
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let split = rows.map(|row| row[1..].split_once(" | ").expect("two columns"));
    split
        .map(|(first, second)| (names(first), names(second)))
        .collect()
}

fn fields(schema: &Value) -> BTreeSet<String> {
    let properties = schema["properties"].as_object();
    properties
        .into_iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .collect()
}

#[test]
fn each_field_of_a_status_is_named() {
    let schema: Value = serde_json::from_str(&load("schema/status.json")).expect("JSON");
    let named: BTreeSet<String> = rows("`status`")
        .into_iter()
        .flat_map(|(first, _)| first)
        .collect();
    let documented: BTreeSet<String> = fields(&schema);
    assert_eq!(
        documented.difference(&named).collect::<Vec<_>>(),
        Vec::<&String>::new()
    );
}

#[test]
fn each_event_is_named_with_its_fields() {
    let schema: Value = serde_json::from_str(&load("schema/event.json")).expect("JSON");
    let mut events = BTreeMap::new();
    for event in schema["oneOf"].as_array().expect("the types") {
        let kind = event["properties"]["type"]["const"]
            .as_str()
            .expect("a type");
        let mut own = fields(event);
        if let Some(name) = event["$ref"]
            .as_str()
            .and_then(|name| name.rsplit('/').next())
        {
            own.extend(fields(&schema["$defs"][name]));
        }
        own.remove("type");
        events.insert(kind.to_owned(), own);
    }
    let mut rows = rows("`events`");
    rows.retain(|(kinds, _)| !kinds.contains("type"));
    let named: BTreeSet<String> = rows.iter().flat_map(|(kinds, _)| kinds.clone()).collect();
    assert_eq!(named, events.keys().cloned().collect());
    for (kinds, words) in rows {
        for kind in kinds {
            let missing: Vec<&String> = events[&kind].difference(&words).collect();
            assert!(missing.is_empty(), "{kind}: {missing:?}");
        }
    }
}
