//! The stream of one response.

use std::cell::Cell;
use std::io::{self, Write};
use std::net::TcpStream;

use serde_json::{Map, Value, json};

use super::messages::Asker;

/// The writing side of one connection.
pub(super) struct Reply {
    stream: TcpStream,
    number: usize,
    /// Tools called so far.
    calls: Cell<usize>,
    /// Parts of the message so far, in the Messages API.
    parts: Cell<usize>,
    /// The client of the Messages API; `None` for one of the Responses API.
    asker: Option<Asker>,
}

impl Reply {
    pub(super) fn new(stream: TcpStream, number: usize, asker: Option<Asker>) -> Self {
        Self {
            stream,
            number,
            calls: Cell::new(0),
            parts: Cell::new(0),
            asker,
        }
    }

    fn id(&self, kind: &str) -> String {
        format!("{kind}_{}", self.number)
    }

    /// A response that is not a stream.
    pub(super) fn json(&self, status: u16, value: &Value) -> io::Result<()> {
        self.fail(status, value, &Map::new())
    }

    /// The same with further headers.
    pub(super) fn fail(
        &self,
        status: u16,
        value: &Value,
        headers: &Map<String, Value>,
    ) -> io::Result<()> {
        let value = match &self.asker {
            Some(_) if status >= 400 => &json!({
                "type": "error",
                "error": {"type": kind_of(status), "message": "mock failure"},
            }),
            _ => value,
        };
        let body = value.to_string();
        let length = body.len();
        write!(
            &self.stream,
            "HTTP/1.1 {status} Mock\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
             {}connection: close\r\n\r\n{body}",
            header_lines(headers)
        )
    }

    /// Begins a stream of events.
    pub(super) fn begin_events(&self, headers: &Map<String, Value>) -> io::Result<()> {
        let headers = header_lines(headers);
        write!(
            &self.stream,
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{headers}connection: close\r\n\r\n"
        )?;
        if let Some(asker) = &self.asker {
            let message = json!({
                "id": self.id("msg"), "type": "message", "role": "assistant", "model": asker.model,
                "content": [], "stop_reason": null, "stop_sequence": null,
                "usage": usage(100, 1),
            });
            return self.event("message_start", json!({"message": message}));
        }
        self.event(
            "response.created",
            json!({"response": {"id": self.id("resp")}}),
        )
    }

    /// Ends the stream; `more` is in the finished response.
    pub(super) fn complete(&self, tokens: u64, more: Value) -> io::Result<()> {
        if self.asker.is_some() {
            let reason = if self.calls.get() > 0 {
                "tool_use"
            } else {
                "end_turn"
            };
            let delta = json!({"stop_reason": reason, "stop_sequence": null});
            self.event(
                "message_delta",
                json!({"delta": delta, "usage": usage(tokens, 20)}),
            )?;
            return self.event("message_stop", json!({}));
        }
        let usage = json!({
            "input_tokens": tokens, "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 20, "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": tokens + 20,
        });
        let mut response = more;
        response["id"] = json!(self.id("resp"));
        response["usage"] = usage;
        self.event("response.completed", json!({"response": response}))
    }

    /// Bytes as they are.
    pub(super) fn raw(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.stream).write_all(bytes)
    }

    pub(super) fn event(&self, kind: &str, mut data: Value) -> io::Result<()> {
        data["type"] = json!(kind);
        // One write per event: a reader sees whole events only.
        (&self.stream).write_all(format!("event: {kind}\ndata: {data}\n\n").as_bytes())
    }

    /// One whole message; `phase` is `commentary` or `final_answer`, where the model tells it.
    pub(super) fn say(&self, text: &str, phase: Option<&str>) -> io::Result<()> {
        let mut item = self.begin_message(text)?;
        if self.asker.is_some() {
            return self.end_part();
        }
        item["content"] = json!([{"type": "output_text", "text": text}]);
        if let Some(phase) = phase {
            item["phase"] = json!(phase);
        }
        self.item(item)
    }

    /// Streams the text in pieces and returns the item that is still to be finished.
    pub(super) fn begin_message(&self, text: &str) -> io::Result<Value> {
        if self.asker.is_some() {
            let index = self.parts.get();
            let part = json!({"type": "text", "text": ""});
            self.event(
                "content_block_start",
                json!({"index": index, "content_block": part}),
            )?;
            let letters: Vec<char> = text.chars().collect();
            for piece in letters.chunks(40) {
                let piece: String = piece.iter().collect();
                let delta = json!({"type": "text_delta", "text": piece});
                self.event(
                    "content_block_delta",
                    json!({"index": index, "delta": delta}),
                )?;
            }
            return Ok(Value::Null);
        }
        let item =
            json!({"type": "message", "role": "assistant", "id": self.id("msg"), "content": []});
        self.event("response.output_item.added", json!({"item": item}))?;
        let letters: Vec<char> = text.chars().collect();
        for piece in letters.chunks(40) {
            let delta: String = piece.iter().collect();
            self.event(
                "response.output_text.delta",
                json!({"delta": delta, "item_id": item["id"]}),
            )?;
        }
        Ok(item)
    }

    /// Ends a part of a message of the Messages API.
    fn end_part(&self) -> io::Result<()> {
        let index = self.parts.replace(self.parts.get() + 1);
        self.event("content_block_stop", json!({"index": index}))
    }

    /// A finished item of the response.
    pub(super) fn item(&self, item: Value) -> io::Result<()> {
        self.event("response.output_item.done", json!({"item": item}))
    }

    /// A call of a tool, by a name of its own.
    pub(super) fn call(&self, mut item: Value) -> io::Result<()> {
        let place = self.calls.replace(self.calls.get() + 1);
        if let Some(asker) = &self.asker {
            let (name, input) = asker.call(&item);
            let id = format!("toolu_{}_{place}", self.number);
            let part = json!({"type": "tool_use", "id": id, "name": name, "input": {}});
            let index = self.parts.get();
            self.event(
                "content_block_start",
                json!({"index": index, "content_block": part}),
            )?;
            let delta = json!({"type": "input_json_delta", "partial_json": input.to_string()});
            self.event(
                "content_block_delta",
                json!({"index": index, "delta": delta}),
            )?;
            return self.end_part();
        }
        item["id"] = json!(format!("{}_{place}", self.id("item")));
        item["call_id"] = json!(format!("{}_{place}", self.id("call")));
        self.item(item)
    }
}

/// The Messages API's name of an error.
fn kind_of(status: u16) -> &'static str {
    match status {
        400 => "invalid_request_error",
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        _ => "api_error",
    }
}

/// Tokens as the Messages API counts them.
fn usage(input: u64, output: u64) -> Value {
    json!({
        "input_tokens": input, "output_tokens": output,
        "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
    })
}

fn header_lines(headers: &Map<String, Value>) -> String {
    let line = |(name, value): (&String, &Value)| {
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        format!("{name}: {value}\r\n")
    };
    headers.iter().map(line).collect()
}
