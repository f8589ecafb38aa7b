//! Settings of git's that could have a say in a result, or in a patch, and what they are to do.

use super::{PLAIN, Shape};

pub(super) const SETTINGS: [Shape; 29] = [
    Shape {
        name: "a file system monitor",
        make: "git -C repo config core.fsmonitor true; git -C repo config core.untrackedCache true; git -C repo update-index --untracked-cache 2>/dev/null || true",
        ..PLAIN
    },
    Shape {
        name: "a monitor that is a program",
        make: "printf '#!/bin/sh\\ntouch \"%s/monitored\"\\n' \"$PWD\" > monitor; chmod +x monitor; git -C repo config core.fsmonitor \"$PWD/monitor\"",
        ..PLAIN
    },
    Shape {
        name: "settings for many files",
        make: "cd repo; git config feature.manyFiles true; git config index.version 4; git config index.skipHash true; git config core.untrackedCache true; git update-index --index-version 4",
        does: "git update-index --force-write-index 2>/dev/null || git add src",
        ..PLAIN
    },
    Shape {
        name: "a work tree by configuration",
        make: "git -C repo config core.worktree \"$PWD/repo\"",
        ..PLAIN
    },
    Shape {
        name: "rules of this worktree alone",
        make: "cd repo; git config extensions.worktreeConfig true; echo '*.tmp' > ../rules; git config --worktree core.excludesFile \"$PWD/../rules\"; git config --worktree core.autocrlf input",
        does: "echo t > x.tmp; printf 'a\\r\\n' > crlf",
        holds: "test \"$(git config core.autocrlf)\" = input",
        ..PLAIN
    },
    Shape {
        name: "hooks that refuse",
        make: "mkdir hooks; for h in pre-commit post-checkout reference-transaction post-index-change; do printf '#!/bin/sh\\nexit 1\\n' > hooks/$h; chmod +x hooks/$h; done; git -C repo config core.hooksPath \"$PWD/hooks\"",
        ..PLAIN
    },
    Shape {
        name: "paths that are not quoted",
        make: "cd repo; git config core.quotePath false; echo u > 'ü \\\"q\\\"'; git add -A; git commit -qm u",
        does: "echo v >> 'ü \\\"q\\\"'; echo w > '日本'",
        ..PLAIN
    },
    Shape {
        name: "settings of differences",
        make: "cd repo; for s in diff.noprefix=true diff.mnemonicPrefix=true diff.external=false diff.renames=copies diff.algorithm=histogram color.ui=always diff.orderFile=/nonexistent diff.relative=true diff.ignoreSubmodules=all diff.submodule=log diff.context=0 diff.wsErrorHighlight=all diff.suppressBlankEmpty=true diff.noIndex=true core.abbrev=4 core.whitespace=trailing-space; do git config ${s%%=*} ${s#*=}; done",
        does: "printf 'one  \\n\\n2\\n' > README; git mv src/lib.rs src/moved.rs",
        ..PLAIN
    },
    Shape {
        name: "texts by a program",
        make: "cd repo; git config diff.up.textconv 'tr a-z A-Z'; git config diff.up.binary true; echo '*.rs diff=up' > .gitattributes; git add -A; git commit -qm up",
        does: "echo more >> src/lib.rs",
        ..PLAIN
    },
    Shape {
        name: "names of any case",
        make: "cd repo; git config core.ignoreCase true",
        does: "echo a > readme; echo b > Readme.TXT; mkdir SRC; echo c > SRC/other",
        ..PLAIN
    },
    Shape {
        name: "names that are composed",
        make: "cd repo; git config core.precomposeUnicode true; printf x > \"$(printf 'e\\314\\201')\"; git add -A; git commit -qm nfd",
        does: "echo y > \"$(printf 'o\\314\\210')\"",
        ..PLAIN
    },
    Shape {
        name: "no links",
        make: "cd repo; ln -s README link; git add -A; git commit -qm link; git config core.symlinks false; rm link; git checkout -q link",
        does: "ln -s README other",
        holds: "test -f link && test ! -L link",
        ..PLAIN
    },
    Shape {
        name: "no modes",
        make: "git -C repo config core.fileMode false",
        does: "chmod -x run.sh; printf '#!/bin/sh\\n' > new.sh; chmod +x new.sh",
        ..PLAIN
    },
    Shape {
        name: "defaults of new repositories",
        make: "git config -f home/.gitconfig init.defaultObjectFormat sha256; git config -f home/.gitconfig init.defaultRefFormat reftable; git config -f home/.gitconfig init.templateDir /nonexistent; git config -f home/.gitconfig safe.bareRepository explicit",
        ..PLAIN
    },
    Shape {
        name: "configuration by condition",
        make: "echo '*.tmp' > rules; printf '[core]\\n\\texcludesFile = %s/rules\\n' \"$PWD\" > here; git config -f home/.gitconfig \"includeIf.gitdir:$PWD/repo/.path\" \"$PWD/here\"; printf '[core]\\n\\tautocrlf = input\\n' > branch; git config -f home/.gitconfig 'includeIf.onbranch:cx-*.path' \"$PWD/branch\"",
        does: "echo t > x.tmp; printf 'a\\r\\n' > crlf",
        holds: "test \"$(git config core.autocrlf)\" = input",
        ..PLAIN
    },
    Shape {
        name: "excludes of three kinds",
        make: "echo '*.one' >> repo/.git/info/exclude; mkdir -p home/.config/git; echo '*.two' > home/.config/git/ignore; echo '*.three' >> repo/.gitignore",
        does: "touch a.one a.two a.three a.four",
        ..PLAIN
    },
    Shape {
        name: "excludes by a home",
        make: "echo '*.two' > home/rules; git config -f home/.gitconfig core.excludesFile '~/rules'; git config -f home/.gitconfig core.attributesFile '~/attributes'; echo '*.crlf text' > home/attributes",
        does: "touch a.two; printf 'a\\r\\n' > a.crlf",
        ..PLAIN
    },
    Shape {
        name: "commits that are signed",
        make: "cd repo; git config commit.gpgSign true; git config tag.gpgSign true; git config gpg.program false; git config user.signingKey none",
        ..PLAIN
    },
    Shape {
        name: "tidying at any time",
        make: "cd repo; git config gc.auto 1; git config gc.autoDetach false; git config gc.pruneExpire now; git config maintenance.strategy incremental; git config gc.worktreePruneExpire now",
        does: "git gc -q; git worktree prune",
        ..PLAIN
    },
    Shape {
        name: "files that are big soon",
        make: "git -C repo config core.bigFileThreshold 1",
        does: "seq 1000 > numbers; echo four >> README",
        ..PLAIN
    },
    Shape {
        name: "names of other systems",
        make: "cd repo; git config core.protectHFS true; git config core.protectNTFS true",
        does: "mkdir sub; echo x > 'sub/a:b'; echo y > 'con'; echo z > 'trailing '",
        ..PLAIN
    },
    Shape {
        name: "odd settings of storage",
        make: "cd repo; git config core.compression 0; git config core.looseCompression 9; git config pack.packSizeLimit 1m; git config core.fsync all; git config core.fsyncMethod batch; git config core.createObject rename; git config fetch.fsckObjects true; git config core.sharedRepository 0660; git config extensions.preciousObjects true",
        ..PLAIN
    },
    Shape {
        name: "refs without logs",
        make: "cd repo; git config core.logAllRefUpdates false; git config core.preferSymlinkRefs false; git config transfer.hideRefs refs/heads; git config core.packedRefsTimeout 1; git config gc.packRefs false",
        ..PLAIN
    },
    Shape {
        name: "status that is short of words",
        make: "cd repo; git config status.showUntrackedFiles no; git config status.short true; git config status.relativePaths true; git config advice.statusHints false; git config core.commentChar auto; git config alias.add 'reset --hard'; git config core.pager false; git config help.autocorrect immediate",
        ..PLAIN
    },
    Shape {
        name: "times that are not asked",
        make: "cd repo; git config core.trustctime false; git config core.checkStat minimal; git config core.ignoreStat true; git config core.preloadIndex false",
        does: "printf 'one\\ntwo\\nfour!\\n' > README",
        ..PLAIN
    },
    Shape {
        name: "line ends of another system",
        make: "cd repo; printf 'a\\r\\nb\\r\\n' > crlf; git add -A; git commit -qm crlf; git config core.autocrlf true; git config core.eol crlf; git config core.safecrlf warn",
        does: "printf 'a\\nb\\n' > lf; echo c >> crlf",
        ..PLAIN
    },
    Shape {
        name: "sparse without cones",
        make: "cd repo; mkdir docs; echo d > docs/d; git add -A; git commit -qm docs; git sparse-checkout set --no-cone '/*' '!/docs'",
        does: "echo more >> README",
        holds: "test ! -e docs",
        ..PLAIN
    },
    Shape {
        name: "a configuration with an include that is away",
        make: "git -C repo config include.path /nonexistent/config; git -C repo config includeIf.gitdir:/.path /nonexistent",
        ..PLAIN
    },
    Shape {
        name: "submodules along with everything",
        make: "git init -q sub; echo s > sub/file; git -C sub add file; git -C sub commit -qm s; cd repo; git -c protocol.file.allow=always submodule --quiet add ../sub sub; git commit -qm sub; git config submodule.recurse true; git config push.recurseSubmodules check; git config status.submoduleSummary true; git config diff.ignoreSubmodules all; git config submodule.sub.ignore all",
        does: "git -c protocol.file.allow=always submodule --quiet update --init",
        ..PLAIN
    },
];
