//! Disks that are full, each a small one of its own in a mount namespace of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::{HARMLESS, REFUSED, Row, Status, Work, assert_files, play};
use crate::rig::{Agent, Rig, on};

const HALF: &[(&str, &str)] = &[("half", "done\n")];
/// Room for the preflight, which wants 100 MB.
const ROOM: &str = "110m";

/// A small disk over a directory of the rig, seen by what is started in its namespace only.
struct Disk {
    holder: Child,
    over: &'static str,
}

impl Disk {
    /// Mounts it, with what is in the directory. `None` where the system lets nobody mount, which is said loudly.
    #[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
    fn over(rig: &Rig, over: &'static str, size: &str) -> Option<Self> {
        let script = "mkdir \"$0.new\" && mount -t tmpfs -o size=$1,mode=700 tmpfs \"$0.new\" && cp -a \"$0/.\" \"$0.new/\" && \
            mount --move \"$0.new\" \"$0\" && rmdir \"$0.new\" && echo ready && read end";
        let apart = if rustix::process::geteuid().is_root() {
            "-m"
        } else {
            "-Urm"
        };
        let mut holder = Command::new("unshare")
            .args([apart, "sh", "-c", script])
            .arg(rig.path(over))
            .arg(size)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare runs");
        let mut said = String::new();
        let out = holder.stdout.take().expect("it was piped");
        BufReader::new(out).read_line(&mut said).expect("its words");
        if said.trim() == "ready" {
            return Some(Self { holder, over });
        }
        holder.wait().expect("it ended");
        eprintln!("SKIPPED: this system lets us mount nothing");
        None
    }

    /// What starts a command in the namespace, in the directory that it would have started in.
    fn starter(&self) -> Vec<String> {
        let pid = self.holder.id().to_string();
        let mut words = vec!["nsenter", "-t", &pid, "-m"];
        if !rustix::process::geteuid().is_root() {
            words.extend(["-U", "--preserve-credentials"]);
        }
        words.extend(["sh", "-c", "cd \"$IN\" && exec \"$@\"", "sh"]);
        words.into_iter().map(str::to_owned).collect()
    }

    /// Copies what is on it to where it was mounted, and gives it up.
    fn leave(mut self, rig: &Rig) {
        let there = format!(
            "/proc/{}/root{}",
            self.holder.id(),
            rig.path(self.over).display()
        );
        let script = "find \"$1\" -mindepth 1 -delete; cp -a \"$0/.\" \"$1/\"";
        let mut copy = Command::new("sh");
        copy.args(["-c", script, &there]).arg(rig.path(self.over));
        assert!(copy.status().expect("sh runs").success());
        drop(self.holder.stdin.take());
        self.holder.wait().expect("it ended");
    }
}

fn assert_full(name: &str, (over, size): (&'static str, &str), row: Row) {
    on(Agent::Scripted, async |rig: &Rig| {
        let Some(disk) = Disk::over(rig, over, size) else {
            return;
        };
        let starter = disk.starter();
        let starter: Vec<&str> = starter.iter().map(String::as_str).collect();
        let row = Row {
            elsewhere: true,
            ..row
        };
        let outcome = play(rig, name, &row, &starter).await;
        disk.leave(rig);
        let (Work::Files(files) | Work::Kept(files) | Work::Late(files)) = row.work else {
            return;
        };
        assert_files(rig, &outcome, files);
    });
}

#[test]
fn full_worktree() {
    let row = Row {
        does: "echo done > half; dd if=/dev/zero of=fill.log bs=1M 2>/dev/null || echo x > more || true",
        work: Work::Files(HALF),
        ..HARMLESS
    };
    assert_full("full_worktree", ("worktrees", ROOM), row);
}

#[test]
fn full_state_directory() {
    let row = Row {
        does: "echo done > half; dd if=/dev/zero of=$RIG/state/fill bs=4k 2>/dev/null || true",
        mend: "rm state/fill",
        code: Some("disk_full"),
        work: Work::Kept(HALF),
        ..REFUSED
    };
    assert_full("full_state_directory", ("state", ROOM), row);
}

#[test]
fn full_object_store() {
    let row = Row {
        does: "echo done > half; dd if=/dev/zero of=$RIG/repo/.git/objects/fill bs=4k 2>/dev/null || true",
        mend: "rm repo/.git/objects/fill",
        code: Some("disk_full"),
        work: Work::Kept(HALF),
        ..REFUSED
    };
    assert_full("full_object_store", ("repo/.git/objects", "4m"), row);
}

#[test]
fn too_little_room_to_begin() {
    let row = Row {
        status: Status::Failed,
        code: Some("disk_full"),
        within: 5,
        said: "a run needs 100 MB",
        work: Work::Nothing,
        ..HARMLESS
    };
    assert_full("too_little_room_to_begin", ("worktrees", "64m"), row);
}
