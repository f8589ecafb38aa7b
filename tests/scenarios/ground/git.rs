//! What happens to the repository.

use super::{HARMLESS, REFUSED, Row, Status, Work, table};

const HALF: &[(&str, &str)] = &[("half", "done\n")];

table! {
    nested_repository = Row {
        does: "git init -q n; cd n; echo done > in; git add in; git commit -qm in; echo more > out",
        work: Work::Files(&[("n/in", "done\n"), ("n/out", "more\n")]),
        said: "n has a repository of its own: its files are stored, its history is kept as refs/cx-operator/",
        ..HARMLESS
    };
    nested_worktree = Row {
        does: "git worktree add -q --detach nested; echo done > nested/half",
        work: Work::Files(&[("nested/half", "done\n")]),
        said: "nested has a repository of its own",
        in_repository: true,
        mend: "git -C repo worktree prune",
        ..HARMLESS
    };
    nested_worktree_on_a_branch = Row {
        does: "git worktree add -q -b topic nested; echo done > nested/half",
        work: Work::Files(&[("nested/half", "done\n")]),
        said: "is removed from git with it",
        in_repository: true,
        ..HARMLESS
    };
    worktree_moved_by_git = Row {
        does: "echo done > half; git worktree move -f -f \"$PWD\" $RIG/worktrees/elsewhere",
        work: Work::Files(HALF),
        said: "/worktrees/elsewhere during the run",
        // Its directory went away under it.
        status: Status::AgentDied,
        code: Some("agent_died"),
        ..HARMLESS
    };
    users_branch_moved = Row {
        does: "echo done > half; git update-ref refs/heads/main $(git commit-tree -p HEAD -m new HEAD^{tree})",
        work: Work::Files(HALF),
        said: "moved in the repository during the run, by the agent or by another program: refs/heads/main from ",
        in_repository: true,
        ..HARMLESS
    };
    users_branch_deleted = Row {
        does: "echo done > half; git update-ref -d refs/heads/main",
        work: Work::Files(HALF),
        said: "refs/heads/main, which was at ",
        in_repository: true,
        ..HARMLESS
    };
    repository_of_its_own = Row {
        does: "rm .git; git init -q; git add -A; git commit -qm own; echo done > half",
        work: Work::Files(HALF),
        said: "the worktree has a repository of its own",
        ..HARMLESS
    };
    submodule_added = Row {
        does: "git init -q $RIG/sub; cd $RIG/sub; echo s > s; git add s; git commit -qm s; cd $OLDPWD; git -c protocol.file.allow=always submodule --quiet add $RIG/sub sub; echo more > sub/more",
        work: Work::Files(&[]),
        said: "the submodule sub has uncommitted changes: they are kept as refs/cx-operator/",
        mend: "rm -rf sub",
        in_repository: true,
        ..HARMLESS
    };
    committed = Row { does: "echo done > half; git add half; git commit -qm half; echo more >> half", work: Work::Files(&[("half", "done\nmore\n")]), ..HARMLESS };
    branch_deleted = Row { does: "echo done > half; git update-ref -d refs/heads/cx-t", work: Work::Files(HALF), said: "HEAD has no commit", ..HARMLESS };
    branch_moved = Row {
        does: "echo done > half; git add half; git commit -qm half; git checkout -q --detach; git branch -qf cx-t HEAD~1; echo more > more",
        work: Work::Files(&[("half", "done\n"), ("more", "more\n")]),
        ..HARMLESS
    };
    branch_renamed = Row {
        does: "echo done > half; git add half; git commit -qm half; git branch -m mine; echo more > more",
        work: Work::Files(&[("half", "done\n"), ("more", "more\n")]),
        said: "the agent left the branch refs/heads/mine: it stays",
        in_repository: true,
        ..HARMLESS
    };
    base_collected = Row {
        does: "echo done > half; git checkout -q --orphan other; git branch -qD cx-t; new=$(git -C $RIG/repo commit-tree -m new $(git -C $RIG/repo mktree </dev/null)); cp -r $RIG/repo/.git/objects $RIG/objects; git -C $RIG/repo update-ref refs/heads/main $new; git -C $RIG/repo reflog expire --expire=now --all; rm -f $RIG/repo/.git/index $(git rev-parse --git-dir)/index; git -C $RIG/repo gc -q --prune=now",
        mend: "cp -rn objects repo/.git/",
        said: "failed to read the base commit",
        work: Work::Kept(HALF),
        in_repository: true,
        ..REFUSED
    };
    repository_deleted = Row {
        does: "echo done > half; cp -a $RIG/repo $RIG/backup; rm -rf $RIG/repo",
        mend: "mv backup repo",
        work: Work::Kept(HALF),
        ..REFUSED
    };
    repository_replaced = Row {
        does: "echo done > half; mv $RIG/repo $RIG/backup; git init -q $RIG/repo",
        mend: "rm -rf repo; mv backup repo",
        work: Work::Kept(HALF),
        ..REFUSED
    };
    collected_meanwhile = Row {
        does: "echo done > half; git add half; git commit -qm half; git -C $RIG/repo reflog expire --expire=now --all; git -C $RIG/repo gc -q --prune=now",
        work: Work::Files(HALF),
        in_repository: true,
        ..HARMLESS
    };
    pruned_meanwhile = Row { does: "echo done > half; git -C $RIG/repo worktree prune --expire=now", work: Work::Files(HALF), ..HARMLESS };
    pruned_while_away = Row {
        does: "echo done > half; mv $PWD $RIG/away; git -C $RIG/repo worktree prune --expire=now; mv $RIG/away $PWD",
        work: Work::Files(HALF),
        ..HARMLESS
    };
    unregistered = Row {
        does: "echo done > half; git add half; git commit -qm half; echo more >> half; rm -rf $(git rev-parse --git-dir)",
        work: Work::Left(&[("half", "done\nmore\n")]),
        said: "nothing proves that the worktree",
        in_repository: true,
        mend: "rm -rf worktrees/cx-t; git -C repo branch -qD cx-t; rmdir repo/.git/worktrees",
        ..HARMLESS
    };
    repository_moved = Row {
        does: "echo done > half; mv $RIG/repo $RIG/moved",
        mend: "mv moved repo",
        work: Work::Kept(HALF),
        ..REFUSED
    };
    index_locked = Row {
        does: "echo done > half; touch $(git rev-parse --git-dir)/index.lock $RIG/repo/.git/index.lock",
        work: Work::Files(HALF),
        in_repository: true,
        mend: "rm repo/.git/index.lock",
        ..HARMLESS
    };
    head_locked = Row {
        does: "echo done > half; touch $(git rev-parse --git-dir)/HEAD.lock $RIG/repo/.git/HEAD.lock",
        work: Work::Files(HALF),
        in_repository: true,
        mend: "rm repo/.git/HEAD.lock",
        ..HARMLESS
    };
    packed_refs_locked = Row {
        does: "echo done > half; touch $RIG/repo/.git/packed-refs.lock",
        work: Work::Late(HALF),
        said: "packed-refs.lock",
        in_repository: true,
        mend: "rm repo/.git/packed-refs.lock",
        ..HARMLESS
    };
    refs_packed_and_locked = Row {
        does: "echo done > half; git pack-refs --all; touch $RIG/repo/.git/packed-refs.lock",
        in_repository: true,
        mend: "rm repo/.git/packed-refs.lock",
        work: Work::Late(HALF),
        said: "failed to ",
        ..HARMLESS
    };
    branch_locked = Row {
        does: "echo done > half; touch $RIG/repo/.git/refs/heads/cx-t.lock",
        in_repository: true,
        mend: "rm repo/.git/refs/heads/cx-t.lock",
        work: Work::Late(HALF),
        said: "cx-t.lock",
        ..HARMLESS
    };
}
