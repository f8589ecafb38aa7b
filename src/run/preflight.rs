//! Is everything there? Asked before anything is created, and by `doctor`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::agent::conversation::Drive;
use crate::agent::environment::agent_environment;
use crate::agent::executor::{Installed, Place, Resumed, TrustPolicy};
use crate::agent::helper::Helper;
use crate::error::{Error, io as io_error};
use crate::os::chain::chain;
use crate::os::files::private_file;
use crate::os::given;
use crate::os::search_path::{find_program, search_path};
use crate::record::{Store, TRANSCRIPT};
use crate::run::shared::Shared;
use crate::task::Task;
use crate::task::judge::is_gone;
use crate::task::name::{Names, RunId};
use crate::task::policy::{Keep, Permissions};
use crate::tmux::{self, Server};
use crate::worktree::{CommitId, Dirty, Repository, owned, refuse_unspeakable};

use directory::find_directory;
pub use doctor::{Check, Level, Readiness, doctor};

mod directory;
mod doctor;

/// Below this much free space a run doesn't start, in MB.
const DISK_NEEDED_MB: u64 = 100;
/// What a run starts from.
pub(crate) struct Ready {
    pub(crate) repository: Repository,
    pub(crate) base: CommitId,
    /// Whether that has the caller's uncommitted changes.
    pub(crate) base_dirty: bool,
    /// Where the agent works, relative to the worktree's top.
    pub(crate) directory: PathBuf,
    pub(crate) program: Arc<dyn Installed>,
    /// The way in which it is driven: by requests or by keys.
    pub(crate) drive: Drive,
    /// Settings that the user's configuration makes necessary.
    pub(crate) settings: Vec<String>,
    pub(crate) helper: Helper,
    /// The session that the agent goes on with.
    pub(crate) resumed: Option<Resumed>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) notices: Vec<String>,
}

/// Checks what `task` needs, and creates nothing.
pub(crate) async fn check(
    shared: &Shared,
    task: &Task,
    names: &Names,
    run_id: &RunId,
) -> Result<Ready, Error> {
    check_git()?;
    let store = &shared.store;
    let (options, executor) = (&task.agent, task.agent.executor);
    let mut environment = agent_environment(&*executor, &task.environment, run_id.as_str());
    let repository = {
        let (task, names) = (task.clone(), names.clone());
        tokio::task::spawn_blocking(move || check_repository(&task, &names))
    };
    let here = existing(&task.repository);
    let place = Place {
        environment: &environment,
        repository: here,
        directory: here,
        state: store.root(),
    };
    let (tmux, program, repository) =
        tokio::join!(check_tmux(), executor.find(options, place), repository);
    let program = program?;
    let drive = program.drive(options).map_err(Error::Usage)?;
    if options.output_schema.is_some() && !program.takes_schema() {
        let name = executor.name();
        return Err(Error::Usage(format!(
            "{name} can't be held to --output-schema: use a headless executor (`cx-operator doctor --help` lists them)"
        )));
    }
    if let Some(policy) = task.policy.as_ref().filter(|policy| is_gone(policy)) {
        let name = policy.name();
        return Err(Error::Usage(format!(
            "the policy `{name}` was code of the program that began the earlier run: name one with --policy, or set Task::policy"
        )));
    }
    if task.budget.is_set() && task.keep == Keep::Session {
        let why = "nobody watches what a session uses that is kept: with a budget it must be --keep branch or worktree";
        return Err(Error::Usage(why.to_owned()));
    }
    if drive == Drive::Headless {
        check_headless(task, &*program)?;
    } else {
        tmux?;
    }
    let Start {
        repository,
        base,
        base_dirty,
        directory,
        mut notices,
    } = repository.map_err(|panic| io_error("check the repository")(io::Error::other(panic)))??;
    environment.extend(repository.git_variables(&names.worktree)?);
    let helper = find_helper(shared.helpers.as_deref())?;
    check_disk(&task.worktree_root, "--worktree-root")?;
    check_disk(store.root(), "--state-dir")?;
    if drive != Drive::Headless {
        check_session(store, task, names).await?;
    }
    let stands = repository.checkout().map(|top| below(top, &directory));
    let stands = stands.filter(|place| place.is_dir());
    let place = Place {
        environment: &environment,
        repository: trusted(&repository),
        directory: stands.as_deref().unwrap_or(repository.root()),
        state: store.root(),
    };
    let access = program.query_access(options, place).await?;
    let resumed = find_session(store, task, &environment);
    notices.extend(resumed.as_ref().err().cloned());
    let name = executor.name();
    if access.is_billed && note_once(store, "cost-note-shown") {
        notices.push(format!(
            "{name} uses an API key: it is billed by use, with no spending cap"
        ));
    }
    if task.budget.is_set() && executor.tells_tokens_late() {
        notices.push(format!(
            "{name} tells what it used only at its end: the budget can't end it before"
        ));
    }
    if !program.is_known() {
        let (oldest, newest) = executor.known_versions();
        notices.push(format!(
            "{name} {} was never tried with this cx-operator ({oldest} to {newest} were)",
            program.version()
        ));
    }
    Ok(Ready {
        repository,
        base,
        base_dirty,
        directory,
        program,
        drive,
        settings: access.settings,
        helper,
        resumed: resumed.ok().flatten(),
        environment,
        notices,
    })
}

/// The session of an earlier run that the agent goes on with; else why a summary has to do.
fn find_session(
    store: &Store,
    task: &Task,
    environment: &[(String, String)],
) -> Result<Option<Resumed>, String> {
    let Some((earlier, session_id)) = task
        .earlier
        .as_ref()
        .and_then(|earlier| Some((earlier, earlier.session.clone()?)))
    else {
        return Ok(None);
    };
    let executor = task.agent.executor;
    let name = executor.name();
    if name != earlier.executor.name() {
        return Err(format!(
            "{name} can't go on with a session of {}: a summary of {} is put before the brief",
            earlier.executor.name(),
            earlier.run
        ));
    }
    let run = store.load(&earlier.run).ok();
    let kept = run.map(|run| run.path().join(TRANSCRIPT));
    let kept = kept.unwrap_or_default();
    let found = executor.find_session(&session_id, &kept, environment);
    let length = |path: &PathBuf| Some(fs::metadata(path).ok()?.len());
    let found = found.and_then(|path| Some((length(&path)?, path)));
    let (length, transcript) = found.ok_or_else(|| {
        format!(
            "{name} can't go on with the session of {}: a summary is put before the brief",
            earlier.run
        )
    })?;
    Ok(Some(Resumed {
        session_id,
        transcript,
        length,
    }))
}

/// Refuses what a headless program can't do.
fn check_headless(task: &Task, program: &dyn Installed) -> Result<(), Error> {
    let name = task.agent.executor.name();
    if task.keep == Keep::Session {
        let why =
            format!("{name} is headless: it has no session to keep (--keep branch or worktree)");
        return Err(Error::Usage(why));
    }
    match program.refuses_approvals() {
        Some(why) if task.permissions == Permissions::Allow => Err(Error::Usage(why)),
        _ => Ok(()),
    }
}

/// The directory, or the root if it is not one.
fn existing(path: &Path) -> &Path {
    if path.is_dir() { path } else { Path::new("/") }
}

/// The directory that contains the repository's git directory, which an agent may trust in place of each worktree.
pub(crate) fn trusted(repository: &Repository) -> &Path {
    repository.common_dir().parent().unwrap_or(Path::new("/"))
}

/// A directory below another, which may be that one itself: joined by parts, as an empty path would add a slash, which the
/// agent's shell then shows.
pub(crate) fn below(top: &Path, directory: &Path) -> PathBuf {
    top.join(directory).components().collect()
}

/// Git fills worktrees and reads the caller's checkout where libgit2 can't.
fn check_git() -> Result<String, Error> {
    let git = find_program(Path::new("git"), &search_path());
    Ok(git.ok_or(Error::GitMissing)?.display().to_string())
}

async fn check_tmux() -> Result<String, Error> {
    let version = tmux::query_version().await?;
    if tmux::is_recent(&version) {
        Ok(version)
    } else {
        Err(Error::TmuxTooOld { version })
    }
}

/// What the repository tells before a run.
struct Start {
    repository: Repository,
    base: CommitId,
    /// Whether that has the caller's uncommitted changes.
    base_dirty: bool,
    directory: PathBuf,
    notices: Vec<String>,
}

fn check_repository(task: &Task, names: &Names) -> Result<Start, Error> {
    let repository = Repository::discover(&task.repository)?;
    let root = task.worktree_root.canonicalize();
    refuse_unspeakable(&root.unwrap_or_else(|_| task.worktree_root.clone()))?;
    let base = repository.resolve_base(&task.base)?;
    check_names(&repository, names)?;
    let mut notices = Vec::new();
    let dirty = match repository.query_dirty() {
        Err(error) if !task.include_dirty => {
            let why = chain(&error);
            notices.push(format!(
                "your uncommitted changes, which the agent won't see, are unknown: {why}"
            ));
            Dirty::default()
        }
        found => found?,
    };
    if !dirty.is_clean() && !task.include_dirty {
        let (modified, untracked) = (dirty.modified, dirty.untracked);
        notices.push(format!(
            "the agent won't see your uncommitted changes ({modified} modified, {untracked} untracked): commit them, or use --include-dirty"
        ));
    }
    let base_dirty = task.include_dirty && !dirty.is_clean();
    let base = if base_dirty {
        let message = "cx-operator: uncommitted changes of the caller's checkout";
        let (dirty, left_out) = repository.snapshot_dirty(base, message)?;
        notices.extend(left_out);
        dirty
    } else {
        base
    };
    let directory = find_directory(&repository, base, task, &mut notices)?;
    if task.agent.trust == TrustPolicy::Accept {
        let agent = task.agent.executor.name();
        let files = task.agent.executor.repository_settings();
        for (above, file) in directory
            .ancestors()
            .flat_map(|above| files.iter().map(move |file| (above, file)))
        {
            let settings = above.join(file);
            if repository.has_at(base, &settings)? {
                let settings = settings.display();
                notices.push(format!("{agent} obeys {settings} of the repository, which may start programs outside of the sandbox: --trust ask leaves the decision to you"));
            }
        }
    }
    Ok(Start {
        repository,
        base,
        base_dirty,
        directory,
        notices,
    })
}

/// The owner of the branch or the worktree that a run needs, if there is one.
pub(crate) fn find_holder(repository: &Repository, names: &Names) -> Option<Error> {
    check_names(repository, names).err()
}

fn check_names(repository: &Repository, names: &Names) -> Result<(), Error> {
    let (branch, worktree) = (names.branch.clone(), &names.worktree);
    let taken = |what, name, otherwise: &dyn Fn() -> String| Error::Taken {
        what,
        name,
        holder: find_owner(repository, names).unwrap_or_else(otherwise),
    };
    if let Some(holder) = repository.find_branch_holder(&branch)? {
        let otherwise = || match &holder.worktree {
            _ if holder.branch != branch => {
                format!(
                    "the branch {} exists, which excludes that name",
                    holder.branch
                )
            }
            Some(path) => format!("it is checked out in {}", path.display()),
            None => "a branch of that name exists".to_owned(),
        };
        return Err(taken("branch", branch.clone(), &otherwise));
    }
    if fs::symlink_metadata(worktree).is_ok() {
        let otherwise = || "the path exists already".to_owned();
        return Err(taken(
            "worktree",
            worktree.display().to_string(),
            &otherwise,
        ));
    }
    Ok(())
}

/// The run that has that branch or worktree, by its marker: that is there before either is made.
fn find_owner(repository: &Repository, names: &Names) -> Option<String> {
    let root = names.worktree.parent()?.canonicalize();
    let worktree = root.map_or_else(|_| names.worktree.clone(), |root| root.join(&names.branch));
    let mut owned = owned(repository).ok()?.into_iter().map(|owned| owned.spec);
    let spec = owned.find(|spec| spec.path == worktree || spec.branch == names.branch)?;
    Some(format!(
        "it belongs to run {}, whose worktree is {}",
        spec.owner.run_id,
        spec.path.display()
    ))
}

async fn check_session(store: &Store, task: &Task, names: &Names) -> Result<(), Error> {
    let session = names.session.clone();
    if Server::at(store.tmux_socket())
        .query_session(&session)
        .await?
    {
        let running = store
            .load_runs()?
            .into_iter()
            .rev()
            .find(|run| run.task() == Some(task.name.as_str()) && run.is_alive());
        let holder = running.map_or_else(
            || "a session of that name exists".to_owned(),
            |run| format!("run {} uses it", run.name()),
        );
        return Err(Error::Taken {
            what: "tmux session",
            name: session,
            holder,
        });
    }
    Ok(())
}

/// The program that serves as hooks and launcher, in the directory `named`, else in that of `CX_OPERATOR_HOOKS`, else where
/// [`Helper::find`] looks.
///
/// # Errors
/// [`Error::HooksMissing`].
pub fn find_helper(named: Option<&Path>) -> Result<Helper, Error> {
    let variable = given::variable("CX_OPERATOR_HOOKS").map(Path::new);
    let named = named.or(variable);
    Helper::find(named).ok_or_else(|| {
        let place = match named {
            Some(dir) => format!("in {}", dir.display()),
            None => {
                let executable = given::program().unwrap_or_default();
                format!("beside {} or on PATH", executable.display())
            }
        };
        Error::HooksMissing { place }
    })
}

/// `flag` is what chooses another place.
fn check_disk(path: &Path, flag: &'static str) -> Result<u64, Error> {
    let available_mb = available_mb(path)?;
    if available_mb < DISK_NEEDED_MB {
        return Err(Error::DiskFull {
            path: path.to_owned(),
            available_mb,
            needed_mb: DISK_NEEDED_MB,
            flag,
        });
    }
    Ok(available_mb)
}

fn available_mb(path: &Path) -> Result<u64, Error> {
    let stat = rustix::fs::statvfs(path).map_err(|errno| {
        io_error(format!("read the free space of {}", path.display()))(errno.into())
    })?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize) >> 20)
}

/// Whether this is the first time that the state directory is told so.
fn note_once(store: &Store, name: &str) -> bool {
    let file = store.root().join(name);
    private_file().create_new(true).open(file).is_ok()
}
