//! Work that blocks, away from the threads that many runs share.

use tokio::task::JoinError;

/// The work did not return: it panicked.
#[derive(Debug)]
pub(crate) struct Panicked(pub(crate) JoinError);

/// Runs work that blocks on a thread of its own.
pub(crate) async fn blocking<T, E>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<Panicked> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(panic) => Err(Panicked(panic).into()),
    }
}
