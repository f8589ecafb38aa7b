//! Repositories that are laid out in another way than most, or have more in them.

use super::{PLAIN, Shape};

/// A repository with a submodule.
const SUBMODULE: &str = "git init -q sub; echo s > sub/file; git -C sub add file; git -C sub commit -qm s; cd repo; git -c protocol.file.allow=always submodule --quiet add ../sub sub; git commit -qm sub";

/// Those of the sample come first.
pub(super) const SHAPES: [Shape; 26] = [
    Shape {
        name: "a separate git directory inside another repository",
        make: "git init -q outer; git -C repo init -q --separate-git-dir ../outer/store",
        ..PLAIN
    },
    Shape {
        name: "a checkout of a bare repository",
        make: "git clone -q --bare repo bare.git; rm -rf repo; git -C bare.git worktree add -q ../repo main",
        ..PLAIN
    },
    Shape {
        name: "a sparse checkout of its own",
        make: "mv repo first; git -C first checkout -q -b other; git -C first worktree add -q ../repo main; git -C repo sparse-checkout set --cone src",
        holds: "test -e src/lib.rs && test ! -e docs",
        repository: "first",
        ..PLAIN
    },
    Shape {
        name: "no commit yet on its branch",
        make: "git -C repo branch base; git -C repo checkout -q --orphan empty; git -C repo rm -rqf .",
        arguments: &["--base", "base"],
        ..PLAIN
    },
    Shape {
        name: "the git directory is a link",
        make: "mv repo/.git store; ln -s ../store repo/.git",
        ..PLAIN
    },
    Shape {
        name: "a clone without trees and an older base",
        make: "git -C repo commit -q --allow-empty -m later; echo x > repo/x; git -C repo add x; git -C repo commit -qm more; mv repo origin; git -C origin config uploadpack.allowFilter true; git -C origin config uploadpack.allowAnySHA1InWant true; git clone -q --filter=tree:0 \"file://$PWD/origin\" repo",
        arguments: &["--base", "HEAD~2"],
        ..PLAIN
    },
    Shape {
        name: "a partial and sparse clone",
        make: "mv repo origin; git -C origin config uploadpack.allowFilter true; git -C origin config uploadpack.allowAnySHA1InWant true; git clone -q --filter=blob:none --sparse \"file://$PWD/origin\" repo",
        does: "mkdir -p src; echo new > src/new",
        ..PLAIN
    },
    Shape {
        name: "shared with a group",
        make: "git -C repo config core.sharedRepository group; chmod -R g+ws repo/.git",
        mend: "test -z \"$(find repo/.git/objects repo/.git/refs -type d ! -perm -2070)\"",
        ..PLAIN
    },
    Shape {
        name: "a split index",
        make: "git -C repo update-index --split-index",
        ..PLAIN
    },
    Shape {
        name: "a sparse index",
        make: "git -C repo sparse-checkout set --cone --sparse-index src",
        ..PLAIN
    },
    Shape {
        name: "a submodule that is ahead",
        make: "git init -q sub; git -C sub commit -q --allow-empty -m s; cd repo; git -c protocol.file.allow=always submodule --quiet add ../sub sub; git commit -qm sub; git -C sub commit -q --allow-empty -m ahead",
        ..PLAIN
    },
    Shape {
        name: "a submodule itself",
        make: "mv repo sub; git init -q super; git -C super -c protocol.file.allow=always submodule --quiet add ../sub sub; ln -s super/sub repo",
        ..PLAIN
    },
    Shape {
        name: "large files outside",
        make: "cd repo; git lfs install --local >/dev/null; echo '*.bin filter=lfs diff=lfs merge=lfs -text' > .gitattributes; echo large > a.bin; git add -A; git commit -qm lfs",
        does: "echo larger > a.bin; echo new > b.bin",
        mend: "test $(find repo/.git/lfs/objects -type f | wc -l) -ge 3",
        needs: "git-lfs",
        ..PLAIN
    },
    Shape {
        name: "line ends that are checked",
        make: "git -C repo config core.autocrlf input; git -C repo config core.safecrlf true",
        ..PLAIN
    },
    Shape {
        name: "objects of another repository",
        make: "mv repo first; git clone -q --shared first repo",
        ..PLAIN
    },
    Shape {
        name: "a commit that is replaced",
        make: "cd repo; old=$(git rev-parse HEAD); echo else > else; git add else; git commit -qm else; git replace $old HEAD; git reset -q --hard $old",
        mend: "git -C repo replace -d $(git -C repo replace -l) >/dev/null",
        ..PLAIN
    },
    Shape {
        name: "a configuration for each worktree",
        make: "cd repo; git config extensions.worktreeConfig true; git config --worktree user.name Eve",
        ..PLAIN
    },
    Shape {
        name: "names of any bytes",
        make: "cd repo; echo n > \"$(printf 'n\\377\\n')\"; git add -A; git commit -qm bytes",
        does: "echo m > \"$(printf 'm\\377\\n')\"; rm \"$(printf 'n\\377\\n')\"",
        ..PLAIN
    },
    Shape {
        name: "a submodule that is dirty",
        make: SUBMODULE,
        does: "git -c protocol.file.allow=always submodule --quiet update --init; echo dirty > sub/file",
        mend: "git -C repo show \"$(git -C repo for-each-ref --format='%(refname)' | grep inside.1$):file\" | grep -q dirty",
        ..PLAIN
    },
    Shape {
        name: "a submodule that moves",
        make: SUBMODULE,
        does: "git -c protocol.file.allow=always submodule --quiet update --init; mkdir libs; git mv sub libs/sub",
        ..PLAIN
    },
    Shape {
        name: "a submodule that the agent commits in",
        make: SUBMODULE,
        does: "git -c protocol.file.allow=always submodule --quiet update --init; git -C sub -c user.name=A -c user.email=a@example.com commit -q --allow-empty -m more",
        mend: "git -C repo log -1 --format=%s \"$(git -C repo for-each-ref --format='%(refname)' | grep inside.1$)\" | grep -qx more",
        ..PLAIN
    },
    Shape {
        name: "large files that stay outside",
        make: "cd repo; git lfs install --local >/dev/null; echo '*.bin filter=lfs diff=lfs merge=lfs -text' > .gitattributes; echo large > a.bin; git add -A; git commit -qm lfs",
        does: "echo new > b.bin",
        variables: &[("GIT_LFS_SKIP_SMUDGE", "1")],
        holds: "grep -q git-lfs a.bin",
        needs: "git-lfs",
        ..PLAIN
    },
    Shape {
        name: "a shallow clone",
        make: "git -C repo commit -q --allow-empty -m later; mv repo origin; git clone -q --depth 1 \"file://$PWD/origin\" repo",
        ..PLAIN
    },
    Shape {
        name: "objects of a repository that has them of another",
        make: "mv repo first; git clone -q --shared first second; git clone -q --shared second repo",
        ..PLAIN
    },
    Shape {
        name: "packs with indexes and graphs of their own",
        make: "cd repo; git repack -qad; echo x > x; git add x; git commit -qm x; git repack -qd; git multi-pack-index write --no-progress; git commit-graph write --reachable --split --no-progress; git pack-refs --all",
        ..PLAIN
    },
    Shape {
        name: "a merge that is not finished",
        make: "cd repo; git checkout -q -b other; echo a > README; git commit -qam a; git checkout -q main; echo b > README; git commit -qam b; git merge -q other >/dev/null || true",
        ..PLAIN
    },
];
