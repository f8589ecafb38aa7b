//! What the programs of the executors show, tell and write.

use cx_operator::agent::signals::Kind;

/// What an executor's program shows, tells and writes.
pub(super) struct Subject {
    pub(super) executor: &'static str,
    /// A directory of recorded screens, and what some of them mean.
    pub(super) screens: (&'static str, &'static [(&'static str, &'static str)]),
    /// One payload of each kind; `SESSION` stands for its id.
    pub(super) payloads: [(Kind, &'static str); 4],
    /// A turn in the transcript: its session, its beginning, its end; `SESSION` stands for the id.
    pub(super) transcript: &'static [&'static str],
    /// The turn's name in it.
    pub(super) turn: &'static str,
}

pub(super) const SUBJECTS: [Subject; 5] = [
    Subject {
        executor: "codex",
        screens: (
            "tests/screens/codex-0.169.0",
            &[
                ("ready", "ready"),
                ("typed", "ready with a text"),
                ("working", "working"),
                ("permission", "approval"),
                ("sign-in", "sign-in"),
                ("directory-trust", "dialog"),
                ("slash-popup", "ready with a text"),
            ],
        ),
        payloads: [
            (
                Kind::SessionStart,
                r#"{"session_id":"SESSION","cwd":"/w","transcript_path":"/t","source":"startup"}"#,
            ),
            (
                Kind::Prompt,
                r#"{"session_id":"SESSION","turn_id":"7","transcript_path":"/t","cwd":"/w","prompt":"the prompt"}"#,
            ),
            (
                Kind::Permission,
                r#"{"session_id":"SESSION","turn_id":"7","transcript_path":"/t","cwd":"/w","tool_name":"Bash","tool_input":{"command":"touch x"}}"#,
            ),
            (
                Kind::Stop,
                r#"{"session_id":"SESSION","turn_id":"7","transcript_path":"/t","cwd":"/w","last_assistant_message":"Done."}"#,
            ),
        ],
        transcript: &[
            r#"{"timestamp":"2026-01-01T00:00:00Z","type":"session_meta","payload":{"id":"SESSION","cli_version":"0.169.0","cwd":"/w"}}"#,
            r#"{"timestamp":"2026-01-01T00:00:00Z","type":"event_msg","payload":{"type":"task_started","turn_id":"7"}}"#,
            r#"{"timestamp":"2026-01-01T00:00:00Z","type":"event_msg","payload":{"type":"task_complete","turn_id":"7","last_agent_message":"Done."}}"#,
        ],
        turn: "7",
    },
    Subject {
        executor: "claude",
        screens: (
            "tests/screens/claude-2.1.332",
            &[
                ("composer-ready", "ready"),
                ("turn-done", "ready"),
                ("enter-swallowed", "ready with a text"),
                ("long-paste", "ready with a text"),
                ("working-tool", "working"),
                ("permission-bash", "approval"),
                ("sign-in", "sign-in"),
                ("directory-trust", "dialog"),
            ],
        ),
        payloads: [
            (
                Kind::SessionStart,
                r#"{"session_id":"SESSION","cwd":"/w","transcript_path":"/t","hook_event_name":"SessionStart","source":"startup"}"#,
            ),
            (
                Kind::Prompt,
                r#"{"session_id":"SESSION","prompt_id":"7","transcript_path":"/t","cwd":"/w","hook_event_name":"UserPromptSubmit","prompt":"the prompt"}"#,
            ),
            (
                Kind::Permission,
                r#"{"session_id":"SESSION","prompt_id":"7","transcript_path":"/t","cwd":"/w","hook_event_name":"PermissionRequest","tool_name":"Bash","tool_input":{"command":"touch x"}}"#,
            ),
            (
                Kind::Stop,
                r#"{"session_id":"SESSION","prompt_id":"7","transcript_path":"/t","cwd":"/w","hook_event_name":"Stop","last_assistant_message":"Done."}"#,
            ),
        ],
        transcript: &[
            r#"{"type":"user","promptId":"7","message":{"role":"user","content":"the prompt"},"sessionId":"SESSION","version":"2.1.332"}"#,
            r#"{"type":"assistant","message":{"id":"msg_1","model":"m","role":"assistant","content":[{"type":"text","text":"Done."}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":2}},"sessionId":"SESSION","version":"2.1.332"}"#,
            r#"{"type":"system","subtype":"turn_duration","durationMs":9,"sessionId":"SESSION"}"#,
        ],
        turn: "7",
    },
    Subject {
        executor: "codex-exec",
        screens: ("", &[]),
        payloads: [
            (
                Kind::SessionStart,
                r#"{"session_id":"SESSION","cwd":"/w","transcript_path":"/t","source":"startup"}"#,
            ),
            (
                Kind::Prompt,
                r#"{"session_id":"SESSION","turn_id":"7","transcript_path":"/t","cwd":"/w","prompt":"the prompt"}"#,
            ),
            (
                Kind::Permission,
                r#"{"session_id":"SESSION","turn_id":"7","transcript_path":"/t","cwd":"/w","tool_name":"Bash","tool_input":{"command":"touch x"}}"#,
            ),
            (
                Kind::Stop,
                r#"{"session_id":"SESSION","turn_id":"7","transcript_path":"/t","cwd":"/w","last_assistant_message":"Done."}"#,
            ),
        ],
        transcript: &[
            r#"{"type":"thread.started","thread_id":"SESSION"}"#,
            r#"{"type":"turn.started"}"#,
            r#"{"type":"item.completed","item":{"id":"item_0","type":"agent_message","text":"Done."}}"#,
            r#"{"type":"turn.completed","usage":{"input_tokens":1,"cached_input_tokens":0,"output_tokens":2}}"#,
        ],
        turn: "SESSION",
    },
    Subject {
        executor: "claude-print",
        screens: ("", &[]),
        payloads: [
            (
                Kind::SessionStart,
                r#"{"session_id":"SESSION","cwd":"/w","transcript_path":"/t","hook_event_name":"SessionStart","source":"startup"}"#,
            ),
            (
                Kind::Prompt,
                r#"{"session_id":"SESSION","prompt_id":"7","transcript_path":"/t","cwd":"/w","hook_event_name":"UserPromptSubmit","prompt":"the prompt"}"#,
            ),
            (
                Kind::Permission,
                r#"{"session_id":"SESSION","prompt_id":"7","transcript_path":"/t","cwd":"/w","hook_event_name":"PermissionRequest","tool_name":"Bash","tool_input":{"command":"touch x"}}"#,
            ),
            (
                Kind::Stop,
                r#"{"session_id":"SESSION","prompt_id":"7","transcript_path":"/t","cwd":"/w","hook_event_name":"Stop","last_assistant_message":"Done."}"#,
            ),
        ],
        transcript: &[
            r#"{"type":"system","subtype":"init","session_id":"SESSION","claude_code_version":"2.1.332","permissionMode":"acceptEdits"}"#,
            r#"{"type":"assistant","parent_tool_use_id":null,"message":{"id":"msg_1","content":[{"type":"text","text":"Done."}]}}"#,
            r#"{"type":"result","subtype":"success","is_error":false,"num_turns":1,"result":"Done.","permission_denials":[],"modelUsage":{}}"#,
        ],
        turn: "SESSION-1",
    },
    Subject {
        executor: "scripted",
        screens: (
            "tests/plain_agent/screens",
            &[
                ("ready", "ready"),
                ("done", "ready"),
                ("failed", "ready"),
                ("pasted", "ready with a text"),
                ("typed", "ready with a text"),
                ("working", "working"),
                ("approval", "approval"),
                ("approval-yes", "approval"),
                ("sign-in", "sign-in"),
                ("folder", "dialog"),
                ("folder-yes", "dialog"),
                ("greeting", "dialog"),
            ],
        ),
        payloads: [
            (
                Kind::SessionStart,
                r#"{"session_id":"SESSION","folder":"/w","talk":"/t","why":"new"}"#,
            ),
            (
                Kind::Prompt,
                r#"{"session_id":"SESSION","folder":"/w","talk":"/t","n":7,"text":"the prompt"}"#,
            ),
            (
                Kind::Permission,
                r#"{"session_id":"SESSION","folder":"/w","talk":"/t","n":7,"run":"touch x"}"#,
            ),
            (
                Kind::Stop,
                r#"{"session_id":"SESSION","folder":"/w","talk":"/t","n":7,"answer":"Done."}"#,
            ),
        ],
        transcript: &[
            "talk SESSION plain 1.2.0",
            "turn 7 begins",
            r#"turn 7 ends: "Done.""#,
        ],
        turn: "7",
    },
];
