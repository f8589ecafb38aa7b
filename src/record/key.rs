//! The keys of callers: a call that is repeated with its key is the same run.
//!
//! Each key of a repository is a file in `keys/`, named after a digest of both, with the id of its run. The process that begins the
//! run holds it (flock) for as long as it drives the run. So a key is taken while its file is held, and as long as the run is on
//! record; one whose run never began is free.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::mark::is_at;
use super::{Error, Store, io_error};
use crate::os::files::{make_private_directory, private_file};
use crate::task::name::RunId;

/// How often a key is looked at whose holder has not written its run's id yet, and after what time.
const LOOKS: u32 = 400;
const A_LOOK: Duration = Duration::from_millis(5);

/// The result of a claim.
#[derive(Debug)]
pub(crate) enum Claim {
    /// The key is this process's for as long as this lives.
    Ours(Key),
    /// It is that run's.
    Of(RunId),
}

/// A key that this process holds.
#[derive(Debug)]
pub(crate) struct Key {
    file: File,
    path: PathBuf,
}

impl Key {
    /// Says whose it is.
    pub(crate) fn sign(&mut self, run: &RunId) -> Result<(), Error> {
        let mut write = || {
            self.file.set_len(0)?;
            self.file.rewind()?;
            self.file.write_all(format!("{run}\n").as_bytes())?;
            self.file.sync_data()
        };
        write().map_err(io_error("write", &self.path))
    }
}

impl Store {
    fn keys(&self) -> PathBuf {
        self.root().join("keys")
    }

    /// Claims a key of a caller's for a run in the repository with that git directory.
    pub(crate) fn claim_key(&self, common_dir: &Path, key: &str) -> Result<Claim, Error> {
        let digest = Sha256::new_with_prefix(common_dir.as_os_str().as_encoded_bytes())
            .chain_update([0])
            .chain_update(key)
            .finalize();
        let name: String = digest[..16].iter().map(|b| format!("{b:02x}")).collect();
        let path = self.keys().join(name);
        let claimed =
            make_private_directory(&self.keys()).and_then(|()| self.claim_file(path.clone()));
        claimed.map_err(io_error("claim the key in", &path))
    }

    fn claim_file(&self, path: PathBuf) -> io::Result<Claim> {
        for _ in 0..LOOKS {
            let mut file = private_file().read(true).create(true).open(&path)?;
            match file.try_lock() {
                // A pruning removed it in the meantime.
                Ok(()) if !is_at(&file, &path)? => {}
                Ok(()) => {
                    let known = read(&mut file)?.filter(|run| self.load(run).is_ok());
                    return Ok(known.map_or(Claim::Ours(Key { file, path }), Claim::Of));
                }
                Err(TryLockError::WouldBlock) => {
                    if let Some(run) = read(&mut file)? {
                        return Ok(Claim::Of(run));
                    }
                    thread::sleep(A_LOOK);
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Err(io::Error::other(
            "another call with it is at its very beginning: make this one again in a moment",
        ))
    }

    /// Removes the keys whose runs are on record no more.
    pub(crate) fn prune_keys(&self) {
        for entry in fs::read_dir(self.keys()).into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(mut file) = private_file().read(true).open(&path) else {
                continue;
            };
            let is_free = file.try_lock().is_ok() && is_at(&file, &path).unwrap_or(false);
            let run = read(&mut file).ok().flatten();
            if is_free && run.is_none_or(|run| self.load(&run).is_err()) {
                let _gone_already = fs::remove_file(&path);
            }
        }
    }
}

/// The id in the file, once it is whole.
fn read(file: &mut File) -> io::Result<Option<RunId>> {
    let mut text = String::new();
    file.rewind()?;
    file.read_to_string(&mut text)?;
    Ok(text.strip_suffix('\n').map(RunId::of_directory))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::task::name::TaskName;

    fn id() -> RunId {
        RunId::new(
            &TaskName::parse("t").expect("a name"),
            SystemTime::UNIX_EPOCH,
        )
    }

    fn claim(store: &Store, key: &str) -> Claim {
        store.claim_key(Path::new("/repo"), key).expect("claimed")
    }

    #[test]
    fn a_key_is_one_runs_while_that_lives_or_is_on_record() {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let store = Store::open(temp.path()).expect("opens");
        let Claim::Ours(mut key) = claim(&store, "k") else {
            panic!("it is nobody's")
        };
        let run = id();
        key.sign(&run).expect("written");
        assert!(matches!(claim(&store, "k"), Claim::Of(of) if of == run));
        assert!(matches!(claim(&store, "other"), Claim::Ours(_)));
        // Nothing came of it.
        drop(key);
        let Claim::Ours(mut key) = claim(&store, "k") else {
            panic!("it is free again")
        };
        key.sign(&run).expect("written");
        let _begun = store.create(&run).expect("created");
        drop(key);
        store.prune_keys();
        assert!(matches!(claim(&store, "k"), Claim::Of(of) if of == run));
        fs::remove_dir_all(store.root().join("runs").join(run.as_str())).expect("removed");
        store.prune_keys();
        assert_eq!(fs::read_dir(store.keys()).expect("a list").count(), 0);
    }

    #[test]
    fn of_many_claims_at_once_one_is_granted() {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let store = Store::open(temp.path()).expect("opens");
        let granted = std::thread::scope(|scope| {
            let claims: Vec<_> = (0..16)
                .map(|_| {
                    scope.spawn(|| match claim(&store, "k") {
                        Claim::Ours(mut key) => {
                            key.sign(&id()).expect("written");
                            Some(key)
                        }
                        Claim::Of(_) => None,
                    })
                })
                .collect();
            let claims = claims.into_iter().map(|claim| claim.join().expect("done"));
            // All are held until the last has been granted or refused.
            claims.collect::<Vec<_>>()
        });
        assert_eq!(granted.iter().flatten().count(), 1);
    }
}
