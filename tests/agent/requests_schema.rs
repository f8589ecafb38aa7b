//! What is sent to codex's `app-server` and read from it is in the schema that each installed version writes of its protocol.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;
use serde_json::Value;
use testkit::agents;

/// The types that are read, by their names in `words.rs`: a file of the schema, and the definitions in it that have the fields
/// between them.
const READ: &[(&str, &str, &[&str])] = &[
    (
        "OfThread",
        "v2/ItemCompletedNotification",
        &["", "v2/TurnStartedNotification"],
    ),
    ("Turn", "v2/TurnCompletedNotification", &["Turn"]),
    ("Step", "v2/ItemCompletedNotification", &["ThreadItem"]),
    (
        "Action",
        "CommandExecutionRequestApprovalParams",
        &["CommandAction"],
    ),
    (
        "Change",
        "v2/ItemCompletedNotification",
        &["FileUpdateChange"],
    ),
    ("Approval", "CommandExecutionRequestApprovalParams", &[""]),
    ("Permissions", "PermissionsRequestApprovalParams", &[""]),
    ("Elicitation", "McpServerElicitationRequestParams", &[""]),
    ("Form", "ToolRequestUserInputParams", &[""]),
    (
        "Entry",
        "ToolRequestUserInputParams",
        &["ToolRequestUserInputQuestion"],
    ),
    (
        "Choice",
        "ToolRequestUserInputParams",
        &["ToolRequestUserInputOption"],
    ),
    ("Tokens", "v2/ThreadTokenUsageUpdatedNotification", &[""]),
    (
        "TokenUsage",
        "v2/ThreadTokenUsageUpdatedNotification",
        &["ThreadTokenUsage"],
    ),
    (
        "TokenCount",
        "v2/ThreadTokenUsageUpdatedNotification",
        &["TokenUsageBreakdown"],
    ),
    ("HookRun", "v2/HookCompletedNotification", &[""]),
    (
        "HookSummary",
        "v2/HookCompletedNotification",
        &["HookRunSummary"],
    ),
    (
        "HookEntry",
        "v2/HookCompletedNotification",
        &["HookOutputEntry"],
    ),
    ("InForce", "v2/ThreadStartResponse", &[""]),
    ("InForce", "v2/ThreadResumeResponse", &[""]),
    ("Thread", "v2/ThreadResumeResponse", &["Thread"]),
];

/// What is sent: a file of the schema, and fields of it.
const SENT: &[(&str, &[&str])] = &[
    ("v1/InitializeParams", &["clientInfo", "capabilities"]),
    (
        "v2/ThreadStartParams",
        &[
            "cwd",
            "approvalPolicy",
            "sandbox",
            "runtimeWorkspaceRoots",
            "model",
            "config",
        ],
    ),
    (
        "v2/ThreadResumeParams",
        &[
            "threadId",
            "cwd",
            "approvalPolicy",
            "sandbox",
            "runtimeWorkspaceRoots",
            "model",
        ],
    ),
    ("v2/ThreadSetNameParams", &["threadId", "name"]),
    (
        "v2/TurnStartParams",
        &["threadId", "clientUserMessageId", "input", "sandboxPolicy"],
    ),
    (
        "v2/TurnSteerParams",
        &["threadId", "expectedTurnId", "input", "clientUserMessageId"],
    ),
    ("v2/TurnInterruptParams", &["threadId", "turnId"]),
    ("v2/ThreadBackgroundTerminalsCleanParams", &["threadId"]),
    ("CommandExecutionRequestApprovalResponse", &["decision"]),
    ("FileChangeRequestApprovalResponse", &["decision"]),
    (
        "PermissionsRequestApprovalResponse",
        &["permissions", "scope"],
    ),
    (
        "McpServerElicitationRequestResponse",
        &["action", "content"],
    ),
    ("ToolRequestUserInputResponse", &["answers"]),
    (
        "v2/ServerRequestResolvedNotification",
        &["threadId", "requestId"],
    ),
    ("v2/ErrorNotification", &["error", "willRetry"]),
];

/// Methods and words that are compared or sent, and a file of the schema that has them.
const WORDS: &[(&str, &[&str])] = &[
    (
        "ClientRequest",
        &[
            "initialize",
            "thread/start",
            "thread/resume",
            "thread/name/set",
            "turn/start",
            "turn/steer",
            "turn/interrupt",
            "thread/backgroundTerminals/clean",
        ],
    ),
    ("ClientNotification", &["initialized"]),
    (
        "ServerRequest",
        &[
            "item/commandExecution/requestApproval",
            "item/fileChange/requestApproval",
            "item/permissions/requestApproval",
            "item/tool/requestUserInput",
            "mcpServer/elicitation/request",
        ],
    ),
    (
        "ServerNotification",
        &[
            "turn/started",
            "turn/completed",
            "item/started",
            "item/completed",
            "thread/tokenUsage/updated",
            "hook/completed",
            "error",
            "serverRequest/resolved",
        ],
    ),
    (
        "v2/TurnCompletedNotification",
        &[
            "completed",
            "interrupted",
            "failed",
            "inProgress",
            "userMessage",
            "agentMessage",
            "commandExecution",
            "fileChange",
            "mcpToolCall",
            "dynamicToolCall",
            "collabAgentToolCall",
            "webSearch",
            "imageView",
            "imageGeneration",
            "declined",
            "spawnAgent",
            "commentary",
            "final_answer",
        ],
    ),
    (
        "v2/ThreadStartResponse",
        &[
            "readOnly",
            "workspaceWrite",
            "dangerFullAccess",
            "on-request",
            "never",
        ],
    ),
    (
        "v2/ThreadStartParams",
        &["read-only", "workspace-write", "danger-full-access"],
    ),
    (
        "v2/HookCompletedNotification",
        &["userPromptSubmit", "blocked", "stopped"],
    ),
    (
        "CommandExecutionRequestApprovalResponse",
        &["accept", "decline"],
    ),
    ("FileChangeRequestApprovalResponse", &["accept", "decline"]),
    (
        "McpServerElicitationRequestResponse",
        &["accept", "decline"],
    ),
];

/// The schema of a version, as its own program writes it.
struct Schema {
    dir: tempfile::TempDir,
}

impl Schema {
    fn of(codex: &Path) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let output = Command::new(codex)
            .args([
                "app-server",
                "generate-json-schema",
                "--experimental",
                "--out",
            ])
            .arg(dir.path())
            .env("CODEX_HOME", dir.path())
            .output()
            .expect("codex starts");
        assert!(output.status.success(), "{output:?}");
        Self { dir }
    }

    fn load(&self, name: &str) -> Value {
        let path = self.dir.path().join(format!("{name}.json"));
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        serde_json::from_str(&text).expect("JSON")
    }

    /// The fields of a definition, in any of its variants; of the whole file where it has no name.
    fn fields(&self, file: &str, definition: &str) -> BTreeSet<String> {
        if definition.contains('/') {
            return self.fields(definition, "");
        }
        let whole = self.load(file);
        let one = match definition {
            "" => &whole,
            name => &whole["definitions"][name],
        };
        assert!(one.is_object(), "{file} has no {definition}");
        let mut fields = BTreeSet::new();
        collect_fields(one, &mut fields);
        fields
    }
}

fn collect_fields(schema: &Value, fields: &mut BTreeSet<String>) {
    let properties = schema["properties"].as_object();
    fields.extend(
        properties
            .into_iter()
            .flatten()
            .map(|(name, _)| name.clone()),
    );
    for variants in ["oneOf", "anyOf", "allOf"] {
        for variant in schema[variants].as_array().into_iter().flatten() {
            collect_fields(variant, fields);
        }
    }
}

fn has_word(schema: &Value, word: &str) -> bool {
    match schema {
        Value::String(text) => text == word,
        Value::Array(items) => items.iter().any(|item| has_word(item, word)),
        Value::Object(object) => object.values().any(|value| has_word(value, word)),
        _ => false,
    }
}

fn source(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("src/agent/codex")
        .join(name);
    fs::read_to_string(path).expect("a source file")
}

/// The types of `words.rs` and the names of their fields in JSON.
fn types_that_are_read() -> BTreeMap<String, Vec<String>> {
    let source = source("requests/words.rs");
    let types = Regex::new(r"(?s)struct (\w+) \{(.*?)\n\}").expect("a pattern");
    let fields = Regex::new(r#"(?m)(?:rename = "(\w+)"\)\]\s+)?^    (?:pub\(super\) )?(\w+):"#)
        .expect("a pattern");
    let types = types.captures_iter(&source).map(|found| {
        let names = fields
            .captures_iter(&found[2])
            .map(|field| match field.get(1) {
                Some(name) => name.as_str().to_owned(),
                None => in_camel_case(&field[2]),
            });
        (found[1].to_owned(), names.collect())
    });
    types.collect()
}

fn in_camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        camel.push_str(&word[..1].to_uppercase());
        camel.push_str(&word[1..]);
    }
    camel
}

#[test]
fn all_that_is_sent_and_read_is_in_the_schema_of_each_version() {
    let types = types_that_are_read();
    let tabled: BTreeSet<&str> = READ.iter().map(|(name, ..)| *name).collect();
    let read: BTreeSet<&str> = types.keys().map(String::as_str).collect();
    assert_eq!(tabled, read, "each type of words.rs is in the table");
    assert!(types.values().all(|fields| !fields.is_empty()), "{types:?}");
    assert_eq!(
        types["Approval"],
        ["itemId", "reason", "command", "commandActions"]
    );
    for version in [agents::PINNED, agents::OLDER[0]] {
        let Some(codex) = agents::native_codex(version) else {
            continue;
        };
        let schema = Schema::of(&codex);
        for (name, file, definitions) in READ {
            let known: BTreeSet<String> = definitions
                .iter()
                .flat_map(|definition| schema.fields(file, definition))
                .collect();
            for field in &types[*name] {
                // The one member that `type` is renamed from, and the status of a step, have names of their own.
                let field = if field == "kind" { "type" } else { field };
                assert!(
                    known.contains(field),
                    "{version}: {file} has no {field} for {name}"
                );
            }
        }
        for (file, fields) in SENT {
            let known = schema.fields(file, "");
            for field in *fields {
                assert!(known.contains(*field), "{version}: {file} has no {field}");
            }
        }
        for (file, words) in WORDS {
            let whole = schema.load(file);
            for word in *words {
                assert!(has_word(&whole, word), "{version}: {file} has no {word}");
            }
        }
    }
}

/// What the tables above name is what the client says.
#[test]
fn the_tables_name_what_the_client_says() {
    let client = [
        "requests.rs",
        "requests/told.rs",
        "requests/words.rs",
        "requests/link.rs",
    ];
    let client: String = client.map(source).concat();
    for (_, words) in WORDS.iter().take(4) {
        for method in *words {
            assert!(
                client.contains(&format!("\"{method}\"")),
                "nothing says {method}"
            );
        }
    }
    let methods = Regex::new(r#""((?:thread|turn|item|hook|mcpServer|serverRequest)/[\w/]+)""#)
        .expect("a pattern");
    let unwanted = client
        .split("const UNWANTED")
        .nth(1)
        .and_then(|rest| rest.split("];").next());
    for found in methods.captures_iter(&client) {
        let method = &found[1];
        let is_known = WORDS
            .iter()
            .take(4)
            .any(|(_, words)| words.contains(&method));
        let is_unwanted = unwanted.is_some_and(|unwanted| unwanted.contains(method));
        assert!(is_known || is_unwanted, "the table lacks {method}");
    }
}
