//! The terminal: raw mode, the alternate screen, and the keys and pastes that arrive.

use std::collections::VecDeque;
use std::io::{IsTerminal, Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::end::End;

/// An escape byte with nothing behind it for this long is the Esc key, not the start of a sequence.
const ESCAPE_ALONE: Duration = Duration::from_millis(25);
const PASTE_START: &[u8] = b"\x1b[200~";
const PASTE_END: &[u8] = b"\x1b[201~";
/// Alternate screen and bracketed paste, as codex ≥ 0.160 asks for.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?2004h\x1b[2J";
const LEAVE: &[u8] = b"\x1b[0m\x1b[?2004l\x1b[?1049l\x1b[?25h";

/// One key press, or one bracketed paste.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Char(char),
    Enter,
    Esc,
    Up,
    Down,
    Backspace,
    Ctrl(char),
    /// Shift-F12, which the operator has bound to "submit".
    Submit,
    /// The text between the brackets, with line feeds.
    Paste(String),
    /// A sequence that means nothing here.
    Other,
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Char(c) => write!(f, "{c}"),
            Self::Ctrl(c) => write!(f, "C-{c}"),
            Self::Paste(_) => f.write_str("Paste"),
            other => write!(f, "{other:?}"),
        }
    }
}

/// A key and when its bytes were read.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) key: Key,
    pub(crate) at: Instant,
}

/// The terminal in raw mode; [`Terminal::close`] gives it back.
pub(crate) struct Terminal {
    saved: String,
    bytes: Receiver<(Instant, Vec<u8>)>,
    decoder: Decoder,
    decoded: VecDeque<Input>,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

impl Terminal {
    /// Takes the terminal over.
    pub(crate) fn open() -> Result<Self, End> {
        if !std::io::stdin().is_terminal() {
            return Err(End::NotATerminal);
        }
        let settings = shell("stty -g && stty size && stty raw -echo")?;
        let mut lines = settings.lines();
        let saved = lines.next().unwrap_or_default().to_owned();
        let (rows, columns) = lines.next().and_then(parse_size).unwrap_or((24, 80));
        write_all(ENTER)?;
        let (sender, bytes) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 65536];
            while let Ok(length @ 1..) = std::io::stdin().read(&mut buffer) {
                if sender
                    .send((Instant::now(), buffer[..length].to_vec()))
                    .is_err()
                {
                    break;
                }
            }
        });
        Ok(Self {
            saved,
            bytes,
            decoder: Decoder::default(),
            decoded: VecDeque::new(),
            rows,
            columns,
        })
    }

    /// Waits for the next input until the deadline; `None` when that passes.
    pub(crate) fn next(&mut self, deadline: Option<Instant>) -> Result<Option<Input>, End> {
        loop {
            if let Some(input) = self.decoded.pop_front() {
                return Ok(Some(input));
            }
            let far = Instant::now() + Duration::from_secs(3600);
            let mut until = deadline.unwrap_or(far);
            if self.decoder.escape_pending() {
                until = until.min(Instant::now() + ESCAPE_ALONE);
            }
            match self
                .bytes
                .recv_timeout(until.saturating_duration_since(Instant::now()))
            {
                Ok((at, bytes)) => {
                    let keys = self.decoder.feed(&bytes);
                    self.decoded
                        .extend(keys.into_iter().map(|key| Input { key, at }));
                }
                Err(RecvTimeoutError::Timeout) => {
                    if self.decoder.flush_escape() {
                        return Ok(Some(Input {
                            key: Key::Esc,
                            at: Instant::now(),
                        }));
                    }
                    if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                        return Ok(None);
                    }
                }
                // The terminal hung up.
                Err(RecvTimeoutError::Disconnected) => return Err(End::Exit(1)),
            }
        }
    }

    /// Gives the terminal back as it was.
    pub(crate) fn close(&self) {
        let _ = write_all(LEAVE);
        let _ = shell(&format!("stty {}", self.saved));
    }
}

/// Writes to the terminal at once.
pub(crate) fn write_all(bytes: &[u8]) -> Result<(), End> {
    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(End::io("the terminal"))
}

/// Runs stty on our terminal: the way to raw mode that needs no unsafe code. One shell, because a start is counted in milliseconds.
fn shell(line: &str) -> Result<String, End> {
    let output = Command::new("/bin/sh")
        .args(["-c", line])
        .stdin(Stdio::inherit())
        .output()
        .map_err(End::io("/bin/sh"))?;
    if !output.status.success() {
        return Err(End::Command {
            command: line.to_owned(),
            status: output.status.to_string(),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Parses `stty size`: rows, then columns.
fn parse_size(line: &str) -> Option<(usize, usize)> {
    let (rows, columns) = line.trim().split_once(' ')?;
    let (rows, columns) = (rows.parse().ok()?, columns.parse().ok()?);
    (rows > 0 && columns > 0).then_some((rows, columns))
}

/// Turns bytes into keys; a sequence may arrive in pieces.
#[derive(Default)]
struct Decoder {
    pending: Vec<u8>,
}

impl Decoder {
    /// Whether a lone escape byte waits for what follows.
    fn escape_pending(&self) -> bool {
        self.pending == b"\x1b"
    }

    /// Drops a lone escape byte; true if there was one.
    fn flush_escape(&mut self) -> bool {
        let alone = self.escape_pending();
        if alone {
            self.pending.clear();
        }
        alone
    }

    fn feed(&mut self, bytes: &[u8]) -> Vec<Key> {
        let fresh = self.pending.len().saturating_sub(PASTE_END.len());
        self.pending.extend_from_slice(bytes);
        // A paste may be a megabyte in small pieces: only the new piece can hold its end.
        if self.pending.starts_with(PASTE_START)
            && find(&self.pending[fresh..], PASTE_END).is_none()
        {
            return Vec::new();
        }
        let mut keys = Vec::new();
        let mut start = 0;
        while let Some((key, length)) = decode(&self.pending[start..]) {
            keys.push(key);
            start += length;
        }
        self.pending.drain(..start);
        keys
    }
}

/// Where a sequence begins in bytes.
fn find(bytes: &[u8], sequence: &[u8]) -> Option<usize> {
    bytes
        .windows(sequence.len())
        .position(|window| window == sequence)
}

/// Decodes the key at the front and its length in bytes; `None` while bytes are missing.
fn decode(bytes: &[u8]) -> Option<(Key, usize)> {
    let first = *bytes.first()?;
    if bytes.starts_with(PASTE_START) {
        let body = &bytes[PASTE_START.len()..];
        let length = find(body, PASTE_END)?;
        // tmux sends the line feeds of a buffer as carriage returns.
        let text = String::from_utf8_lossy(&body[..length])
            .replace("\r\n", "\n")
            .replace('\r', "\n");
        return Some((
            Key::Paste(text),
            PASTE_START.len() + length + PASTE_END.len(),
        ));
    }
    match first {
        0x1b => decode_escape(bytes),
        b'\r' => Some((Key::Enter, 1)),
        0x7f | 0x08 => Some((Key::Backspace, 1)),
        0x01..=0x1a => Some((Key::Ctrl(char::from(first + 0x60)), 1)),
        0x00..=0x1f => Some((Key::Other, 1)),
        _ => {
            let length = match first {
                0xf0.. => 4,
                0xe0.. => 3,
                0xc0.. => 2,
                _ => 1,
            };
            let text = String::from_utf8_lossy(bytes.get(..length)?).into_owned();
            Some((text.chars().next().map_or(Key::Other, Key::Char), length))
        }
    }
}

/// Decodes what starts with an escape byte.
fn decode_escape(bytes: &[u8]) -> Option<(Key, usize)> {
    match bytes.get(1)? {
        b'[' => {
            let last = 2 + bytes[2..]
                .iter()
                .position(|byte| (0x40..=0x7e).contains(byte))?;
            if PASTE_START.starts_with(&bytes[..=last]) && bytes[last] == b'~' {
                return None;
            }
            let key = match &bytes[..=last] {
                b"\x1b[24;2~" => Key::Submit,
                _ => arrow(bytes[last]),
            };
            Some((key, last + 1))
        }
        b'O' => Some((arrow(*bytes.get(2)?), 3)),
        _ => Some((Key::Esc, 1)),
    }
}

fn arrow(last: u8) -> Key {
    match last {
        b'A' => Key::Up,
        b'B' => Key::Down,
        _ => Key::Other,
    }
}
