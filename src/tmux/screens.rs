//! Reads the screens of many panes by few clients.
//!
//! A client costs 2 ms, a further pane in it a tenth of that. Whoever asks while a client is under way waits for it, and
//! all waiting callers are answered by the next one: a single caller never waits, and a crowd keeps at most one client busy.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tmux_interface::{CapturePane, DisplayMessage, TmuxCommand};
use tokio::sync::oneshot::{self, error::TryRecvError};

use super::{Error, Server};

/// Panes in one client at most: their commands must fit into a message of tmux's.
///
/// Source: tmux 3.3a, "command too long" above 16 KiB; a pane's two commands take some 90 bytes.
const BATCH: usize = 64;
const VERB: &str = "capture-pane";

/// Whoever waits for a screen.
#[derive(Debug, Default)]
pub(super) struct Screens {
    waiting: Mutex<Vec<Asked>>,
    /// Held while a client is under way.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Asked {
    pane: String,
    answer: oneshot::Sender<Result<String, Error>>,
}

impl Screens {
    /// What the pane of that id shows, read after the call.
    pub(super) async fn query(&self, server: &Server, pane: &str) -> Result<String, Error> {
        loop {
            let (answer, mut answered) = oneshot::channel();
            self.waiting().push(Asked {
                pane: pane.to_owned(),
                answer,
            });
            let _turn = self.turn.lock().await;
            loop {
                match answered.try_recv() {
                    Ok(screen) => return screen,
                    // Whoever asked for us was dropped in the middle of it.
                    Err(TryRecvError::Closed) => break,
                    Err(TryRecvError::Empty) => {
                        let batch = self.take_batch();
                        server.answer(batch).await;
                    }
                }
            }
        }
    }

    fn take_batch(&self) -> Vec<Asked> {
        let mut waiting = self.waiting();
        waiting.retain(|asked| !asked.answer.is_closed());
        let count = waiting.len().min(BATCH);
        waiting.drain(..count).collect()
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Asked>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Server {
    async fn answer(&self, batch: Vec<Asked>) {
        let read = match batch.as_slice() {
            [_] => Err(None),
            several => self.query_screens(several).await.map_err(Some),
        };
        match read {
            Ok(screens) => {
                for (asked, screen) in batch.into_iter().zip(screens) {
                    let _gone_meanwhile = asked.answer.send(Ok(screen));
                }
            }
            // One by one: tmux stops at the first pane that is gone.
            Err(None | Some(Error::Refused { .. })) => {
                for asked in batch {
                    let screen = self.query_one_screen(&asked.pane).await;
                    let _gone_meanwhile = asked.answer.send(screen);
                }
            }
            Err(Some(error)) => {
                for asked in batch {
                    let _gone_meanwhile = asked.answer.send(Err(repeat(&error)));
                }
            }
        }
    }

    async fn query_one_screen(&self, pane: &str) -> Result<String, Error> {
        let tmux = self.tmux().add_command(capture(pane));
        self.run(VERB, tmux).await
    }

    async fn query_screens(&self, batch: &[Asked]) -> Result<Vec<String>, Error> {
        // A screen can't hold what is drawn for this batch alone.
        let mark = uuid::Uuid::new_v4().simple().to_string();
        let mut tmux = self.tmux();
        for asked in batch {
            tmux = tmux
                .add_command(DisplayMessage::new().print().message(&mark).build())
                .add_command(capture(&asked.pane));
        }
        let output = self.run(VERB, tmux).await?;
        let screens: Vec<String> = sections(&output, &mark).map(str::to_owned).collect();
        if screens.len() == batch.len() {
            Ok(screens)
        } else {
            Err(Error::Unexpected { verb: VERB, output })
        }
    }
}

/// Reads a pane with its colours and attributes: they tell what was typed from what the program puts in its place.
fn capture<'a>(pane: &str) -> TmuxCommand<'a> {
    let pane = pane.to_owned();
    let capture = CapturePane::new().stdout().escape_sequences();
    capture.target_pane(pane).build()
}

/// What follows each line that is the mark.
fn sections<'a>(output: &'a str, mark: &str) -> impl Iterator<Item = &'a str> {
    let parts = output.split(mark).skip(1);
    parts.map(|part| part.strip_prefix('\n').unwrap_or(part))
}

/// The same error for another who waited.
fn repeat(error: &Error) -> Error {
    match error {
        Error::Missing => Error::Missing,
        Error::Hung { verb } => Error::Hung { verb },
        Error::Io { verb, source } => Error::Io {
            verb,
            source: io::Error::new(source.kind(), source.to_string()),
        },
        other => Error::Refused {
            verb: VERB,
            message: other.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn screens_are_told_apart() {
        let output = "m1\n› one\n\nm1\nm1\ntwo\n";
        let screens: Vec<_> = sections(output, "m1").collect();
        assert_eq!(screens, ["› one\n\n", "", "two\n"]);
        assert_eq!(sections("", "m1").count(), 0);
    }

    /// A server with `count` panes, each of which shows its number.
    async fn server(panes: usize) -> (tempfile::TempDir, Server, Vec<String>) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let server = Server::at(dir.path().join("tmux.sock"));
        let mut ids = Vec::new();
        for number in 0..panes {
            let output = tokio::process::Command::new("tmux")
                .args(["-f", "/dev/null", "-S"])
                .arg(server.socket())
                .args(["new-session", "-d", "-P", "-F", "#{pane_id}"])
                .arg(format!("echo pane {number}.; exec sleep 60"))
                .output();
            let output = output.await.expect("tmux runs").stdout;
            ids.push(String::from_utf8_lossy(&output).trim().to_owned());
        }
        (dir, server, ids)
    }

    #[tokio::test]
    async fn everybody_who_asks_at_once_gets_their_own_screen() {
        let (_dir, server, mut ids) = server(3).await;
        // More than fit into a batch, and one pane that isn't there.
        ids = ids.iter().cycle().take(BATCH + 20).cloned().collect();
        ids.push("%999".to_owned());
        let drawn = async {
            for (number, id) in ids[..3].iter().enumerate() {
                let text = format!("pane {number}.");
                while !server
                    .query_one_screen(id)
                    .await
                    .expect("there")
                    .contains(&text)
                {}
            }
        };
        let limit = std::time::Duration::from_secs(20);
        tokio::time::timeout(limit, drawn)
            .await
            .expect("the panes draw");
        let screens = Screens::default();
        let asked = ids.iter().map(|id| screens.query(&server, id));
        let answers = futures_all(asked).await;
        for (at, answer) in answers.iter().enumerate() {
            match answer {
                Ok(screen) if at < ids.len() - 1 => {
                    assert!(screen.contains(&format!("pane {}.", at % 3)), "{screen}");
                }
                Err(Error::Refused { .. }) if at == ids.len() - 1 => {}
                other => panic!("{at}: {other:?}"),
            }
        }
        server.kill_all().await;
    }

    #[tokio::test]
    async fn who_waits_is_answered_when_the_one_before_is_dropped() {
        let (_dir, server, ids) = server(1).await;
        let screens = Screens::default();
        let ask = || Box::pin(screens.query(&server, &ids[0]));
        let (mut first, mut second, mut third) = (ask(), ask(), ask());
        for query in [&mut first, &mut second, &mut third] {
            assert!(begin(query).await, "tmux takes longer than that");
        }
        first.await.expect("answered");
        // The second's client is under way for the third, too.
        assert!(begin(&mut second).await);
        drop(second);
        third.await.expect("answered");
        server.kill_all().await;
    }

    /// Runs a future until it waits. Returns whether it waits.
    async fn begin<F: Future + Unpin>(future: &mut F) -> bool {
        let mut future = std::pin::Pin::new(future);
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(future.as_mut().poll(context).is_pending())
        })
        .await
    }

    impl Server {
        async fn kill_all(&self) {
            let kill = tmux_interface::KillServer::new().build();
            let killed = self.run("kill-server", self.tmux().add_command(kill));
            killed.await.expect("it runs");
        }
    }

    /// All of them at the same time.
    async fn futures_all<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
        let mut futures: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
        std::future::poll_fn(|context| {
            for (future, done) in &mut futures {
                if done.is_none()
                    && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
                {
                    *done = Some(value);
                }
            }
            if futures.iter().all(|(_, done)| done.is_some()) {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        })
        .await;
        let done = futures.into_iter().map(|(_, done)| done);
        done.map(|done| done.expect("it is done")).collect()
    }
}
