//! The committed schemas: what a program prints with `--json` is held to them, in every test that runs it.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::built::checkout;

/// Checks what the operator printed for these arguments, if they ask for documents.
///
/// # Panics
/// A document does not fit its schema, or has a field that the schema does not tell of.
pub fn check(arguments: &[&str], stdout: &str) {
    let options = arguments.split(|word| *word == "--").next();
    let options = options.unwrap_or_default();
    if !options.contains(&"--json") {
        return;
    }
    let mut words = options.iter().filter(|word| !word.starts_with('-'));
    let command = words.next().copied().unwrap_or_default();
    let below = words.next().copied().unwrap_or_default();
    if command == "events" {
        for line in stdout.lines() {
            let document: Value = serde_json::from_str(line).expect("a document in each line");
            check_document("event", &document);
        }
        return;
    }
    // A test that wants one says so itself.
    let Ok(document) = serde_json::from_str::<Value>(stdout) else {
        return;
    };
    let name = match (command, below) {
        ("delegate" | "resume", _) if document.get("agent_version").is_none() => "detached",
        ("delegate" | "resume" | "show", _) => "run",
        ("hooks", "verify") => "hooks-verify",
        ("hooks", _) => "hooks",
        ("policy", "check") => "policy-check",
        ("policy", _) => "policy-test",
        ("config", _) => "config",
        (command, _) => command,
    };
    check_document(name, &document);
}

/// Checks a document by the schema of that name; one that tells of an error alone is held to that of errors.
///
/// # Panics
/// It does not fit.
pub fn check_document(name: &str, document: &Value) {
    let is_error = document["status"] == "failed" && document.get("run_id").is_none();
    let name = if is_error { "error" } else { name };
    let validators = VALIDATORS.get_or_init(load);
    let validator = validators
        .get(name)
        .unwrap_or_else(|| panic!("no schema is called {name}"));
    if let Some(error) = validator.iter_errors(document).next() {
        let place = error.instance_path();
        panic!("no document of {name}: {error} at {place}: {document:#}");
    }
}

static VALIDATORS: OnceLock<HashMap<String, Validator>> = OnceLock::new();

fn load() -> HashMap<String, Validator> {
    let files = fs::read_dir(checkout().join("schema")).expect("the schemas");
    let load = |path: std::path::PathBuf| {
        let name = path.file_stem().expect("a name").to_string_lossy();
        let text = fs::read_to_string(&path).expect("a schema");
        let mut schema: Value = serde_json::from_str(&text).expect("JSON");
        if name != "log" {
            close(&mut schema, false);
        }
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        (name.into_owned(), validator)
    };
    files
        .map(|file| load(file.expect("a file").path()))
        .collect()
}

/// Lets no object have fields that are not described. Users get open schemas, since later versions add fields.
fn close(schema: &mut Value, is_part: bool) {
    match schema {
        Value::Object(object) => {
            let is_object = object.contains_key("properties");
            let mut extended = BTreeSet::new();
            if let Some(Value::Object(_)) = object.get("$defs") {
                find_extended(&Value::Object(object.clone()), &mut extended);
            }
            for (key, below) in object.iter_mut() {
                let is_choice = ["oneOf", "anyOf", "allOf"].contains(&key.as_str());
                match below {
                    Value::Array(parts) if is_choice => {
                        parts.iter_mut().for_each(|part| close(part, is_object));
                    }
                    Value::Object(named) if key == "$defs" => {
                        for (name, one) in named {
                            close(one, extended.contains(name));
                        }
                    }
                    // What is below may be called anything.
                    Value::Object(named) if key == "properties" => {
                        named.values_mut().for_each(|one| close(one, false));
                    }
                    below => close(below, false),
                }
            }
            if is_object && !is_part {
                object.insert("unevaluatedProperties".to_owned(), json!(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| close(item, false)),
        _ => {}
    }
}

/// The names of the definitions to which an object adds fields of its own: they are parts of it.
fn find_extended(schema: &Value, into: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            let of = object.get("$ref").and_then(Value::as_str);
            if let Some(name) = of.filter(|_| object.contains_key("properties")) {
                into.extend(name.strip_prefix("#/$defs/").map(str::to_owned));
            }
            object.values().for_each(|one| find_extended(one, into));
        }
        Value::Array(items) => items.iter().for_each(|item| find_extended(item, into)),
        _ => {}
    }
}
