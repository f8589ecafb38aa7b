//! The stream of one response.

use std::cell::Cell;
use std::io::{self, Write};
use std::net::TcpStream;

use serde_json::{Map, Value, json};

/// The writing side of one connection.
pub(super) struct Reply {
    stream: TcpStream,
    number: usize,
    /// Tools called so far.
    calls: Cell<usize>,
}

impl Reply {
    pub(super) fn new(stream: TcpStream, number: usize) -> Self {
        Self {
            stream,
            number,
            calls: Cell::new(0),
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
        self.event(
            "response.created",
            json!({"response": {"id": self.id("resp")}}),
        )
    }

    /// Ends the stream; `more` is in the finished response.
    pub(super) fn complete(&self, tokens: u64, more: Value) -> io::Result<()> {
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
        item["content"] = json!([{"type": "output_text", "text": text}]);
        if let Some(phase) = phase {
            item["phase"] = json!(phase);
        }
        self.item(item)
    }

    /// Streams the text in pieces and returns the item that is still to be finished.
    pub(super) fn begin_message(&self, text: &str) -> io::Result<Value> {
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

    /// A finished item of the response.
    pub(super) fn item(&self, item: Value) -> io::Result<()> {
        self.event("response.output_item.done", json!({"item": item}))
    }

    /// A call of a tool, by a name of its own.
    pub(super) fn call(&self, mut item: Value) -> io::Result<()> {
        let place = self.calls.replace(self.calls.get() + 1);
        item["id"] = json!(format!("{}_{place}", self.id("item")));
        item["call_id"] = json!(format!("{}_{place}", self.id("call")));
        self.item(item)
    }
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
