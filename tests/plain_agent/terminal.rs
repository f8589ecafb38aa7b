//! The terminal: raw mode, bracketed pastes, and the few keys that mean something.

use std::io::{self, IsTerminal, Read, Write};
use std::process::{Command, Stdio};

const PASTE: &[u8] = b"\x1b[200~";
const PASTE_END: &[u8] = b"\x1b[201~";

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Enter,
    Tab,
    Erase,
    /// A byte of a text that is typed.
    Byte(u8),
    /// The text between the brackets.
    Paste(Vec<u8>),
    /// Another key, which means nothing.
    Other,
}

/// The terminal in raw mode, until it is dropped.
pub(crate) struct Terminal {
    pending: Vec<u8>,
}

impl Terminal {
    pub(crate) fn open() -> io::Result<Self> {
        if !io::stdin().is_terminal() {
            return Err(io::Error::other("stdin is no terminal"));
        }
        stty(&["raw", "-echo"])?;
        io::stdout().write_all(b"\x1b[?2004h")?;
        Ok(Self {
            pending: Vec::new(),
        })
    }

    /// Waits for the next key; a terminal that hangs up is an error.
    pub(crate) fn next(&mut self) -> io::Result<Key> {
        loop {
            if let Some((key, length)) = decode(&self.pending) {
                self.pending.drain(..length);
                return Ok(key);
            }
            let mut buffer = [0; 4096];
            match io::stdin().read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                length => self.pending.extend_from_slice(&buffer[..length]),
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _gone = io::stdout().write_all(b"\x1b[H\x1b[2J\x1b[?2004l\x1b[?25h");
        let _gone = stty(&["sane"]);
    }
}

fn stty(words: &[&str]) -> io::Result<()> {
    let status = Command::new("stty")
        .args(words)
        .stdin(Stdio::inherit())
        .status()?;
    match status.success() {
        true => Ok(()),
        false => Err(io::Error::other("stty failed")),
    }
}

/// The key at the front and its length in bytes; `None` while bytes are missing.
fn decode(bytes: &[u8]) -> Option<(Key, usize)> {
    if let Some(body) = bytes.strip_prefix(PASTE) {
        let length = body
            .windows(PASTE_END.len())
            .position(|window| window == PASTE_END)?;
        let whole = PASTE.len() + length + PASTE_END.len();
        return Some((Key::Paste(body[..length].to_vec()), whole));
    }
    match *bytes.first()? {
        b'\x1b' => {
            let last = bytes
                .get(2..)?
                .iter()
                .position(|byte| (0x40..=0x7e).contains(byte))?;
            Some((Key::Other, last + 3))
        }
        b'\r' | b'\n' => Some((Key::Enter, 1)),
        b'\t' => Some((Key::Tab, 1)),
        0x7f => Some((Key::Erase, 1)),
        byte if byte < b' ' => Some((Key::Other, 1)),
        byte => Some((Key::Byte(byte), 1)),
    }
}
