//! A cgroup of a run's own, where the machine lets us make one: what is born in it stays in it, whatever it does to
//! its parents, session and environment, and the kernel kills it as one.
//!
//! It is a child of the operator's own cgroup, named after the run. Nothing is moved into it but the launcher, by
//! itself. A file of the run's directory names it, since another operator may have to end the run.
//! If creating it or entering it fails, the run has none.
//!
//! Source: cgroups(7) and the kernel's cgroup-v2.rst; `cgroup.freeze` came with Linux 5.2, `cgroup.kill` with 5.14.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::os::files::{Durability, write_private};

/// The file in a run's directory that tells where its cgroup is.
const RECORD: &str = "cgroup";

/// The prefix of the names of our cgroups.
const PREFIX: &str = "cx-operator-";

/// The type of a cgroup2 file system.
///
/// Source: `CGROUP2_SUPER_MAGIC` in linux/magic.h.
const MAGIC: u64 = 0x6367_7270;

/// The cgroup of a run.
#[derive(Clone, Debug)]
pub(crate) struct Cgroup {
    path: PathBuf,
    record: PathBuf,
}

impl Cgroup {
    /// Makes one, where that is permitted.
    pub(crate) fn create(run_id: &str, dir: &Path) -> Option<Self> {
        let path = find_own()?.join(format!("{PREFIX}{run_id}"));
        // Known before it is there: an operator that dies in between leaves no unknown cgroup.
        let record = dir.join(RECORD);
        write_private(&record, path.to_str()?.as_bytes(), Durability::Cached).ok()?;
        if fs::create_dir(&path).is_err() {
            let _never_written = fs::remove_file(record);
            return None;
        }
        Some(Self { path, record })
    }

    /// The one that was made for the run, if it is known of.
    pub(crate) fn find(run_id: &str, dir: &Path) -> Option<Self> {
        let record = dir.join(RECORD);
        let path = PathBuf::from(OsString::from_vec(fs::read(&record).ok()?));
        let name = format!("{PREFIX}{run_id}");
        let is_ours = path.is_absolute() && path.file_name() == Some(OsStr::new(&name));
        is_ours.then_some(Self { path, record })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The processes in it and in what the agent made below it.
    pub(super) fn members(&self) -> Vec<u32> {
        let procs = self.directories();
        let procs = procs
            .iter()
            .map(|dir| fs::read_to_string(dir.join("cgroup.procs")));
        let text: String = procs.filter_map(Result::ok).collect();
        // One of another pid namespace shows as 0.
        text.lines()
            .filter_map(|line| line.parse().ok())
            .filter(|&pid| pid != 0)
            .collect()
    }

    /// Kills all of it at once or, on older kernels, freezes it, so that nothing in it forks while it is killed.
    pub(super) fn kill(&self) {
        if self.is_there() && fs::write(self.path.join("cgroup.kill"), "1").is_err() {
            let _older_still = fs::write(self.path.join("cgroup.freeze"), "1");
        }
    }

    /// Whether nothing of it is left: the kernel removes none that holds a process.
    pub(super) fn remove(&self) -> bool {
        // The deepest comes last.
        for dir in self.directories().iter().rev() {
            match fs::remove_dir(dir) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return false,
                _ => {}
            }
        }
        let _never_written = fs::remove_file(&self.record);
        true
    }

    fn is_there(&self) -> bool {
        rustix::fs::statfs(&self.path).is_ok_and(|stat| u64::try_from(stat.f_type) == Ok(MAGIC))
    }

    /// It and all below it, parents first; empty if it is gone.
    fn directories(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        if self.is_there() {
            found.push(self.path.clone());
        }
        let mut at = 0;
        while let Some(dir) = found.get(at) {
            let entries = fs::read_dir(dir).into_iter().flatten().flatten();
            let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            let below: Vec<PathBuf> = below.map(|entry| entry.path()).collect();
            found.extend(below);
            at += 1;
        }
        found
    }
}

/// Moves this process into a cgroup, where that is permitted.
pub(crate) fn enter(cgroup: &Path) -> bool {
    fs::write(cgroup.join("cgroup.procs"), "0").is_ok()
}

/// The directory of this process's own cgroup.
fn find_own() -> Option<PathBuf> {
    let cgroups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    locate(&cgroups, &mounts)
}

/// Reads `0::/path` and the cgroup2 mount that has it; on a machine with v1 hierarchies too, that is `…/unified`.
fn locate(cgroups: &str, mounts: &str) -> Option<PathBuf> {
    let path = cgroups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let is_clean = |path: &Path| {
        !path
            .components()
            .any(|part| part == std::path::Component::ParentDir)
    };
    mounts.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let (root, point) = (unescape(mount.next()?), unescape(mount.next()?));
        let below = Path::new(path).strip_prefix(&root).ok()?;
        (kind.starts_with("cgroup2 ") && is_clean(below)).then(|| Path::new(&point).join(below))
    })
}

/// Takes back the octal escapes of mountinfo: space, tab, newline and backslash.
fn unescape(field: &str) -> String {
    let mut parts = field.split('\\');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part
            .get(..3)
            .and_then(|code| u8::from_str_radix(code, 8).ok());
        text.extend(code.map(char::from));
        text.push_str(part.get(3..).unwrap_or_default());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
        40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw shared:7 - cgroup2 cgroup2 rw\n";

    fn located(cgroups: &str, mounts: &str) -> Option<String> {
        locate(cgroups, mounts).map(|path| path.display().to_string())
    }

    #[test]
    fn the_own_cgroup_is_below_its_mount() {
        let own = located("9:name=systemd:/\n0::/user.slice/a b\n", HYBRID);
        assert_eq!(
            own.as_deref(),
            Some("/sys/fs/cgroup/unified/user.slice/a b")
        );
        let bound = "41 31 0:38 /docker/abc /mnt/c\\040g rw - cgroup2 cgroup2 rw\n";
        let own = located("0::/docker/abc/x\n", bound);
        assert_eq!(own.as_deref(), Some("/mnt/c g/x"));
    }

    #[test]
    fn where_there_is_none_none_is_found() {
        let outside = "41 31 0:38 /docker/abc /mnt rw - cgroup2 cgroup2 rw\n";
        for (cgroups, mounts) in [
            ("9:name=systemd:/\n", HYBRID),
            (
                "0::/a\n",
                "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n",
            ),
            ("0::/docker/abcd\n", outside),
            ("0::/../a\n", HYBRID),
            ("", ""),
            ("0::/a\n", "41 - cgroup2"),
        ] {
            assert_eq!(located(cgroups, mounts), None, "{cgroups}");
        }
    }
}
