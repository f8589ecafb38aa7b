//! What the agent does to its worktree.

use cx_operator::worktree::Changes;

use super::{HARMLESS, Row, Status, Work, table};

const HALF: &[(&str, &str)] = &[("half", "done\n")];

table! {
    nothing = Row { does: "true", ..HARMLESS };
    worktree_deleted = Row {
        does: "echo done > half; rm -rf \"$PWD\"",
        status: Status::Failed,
        code: Some("worktree_gone"),
        said: "the worktree's directory is gone",
        changes: Some(Changes::Unknown),
        work: Work::Nothing,
        ..HARMLESS
    };
    worktree_moved_away = Row {
        does: "echo done > half; mv \"$PWD\" $RIG/elsewhere",
        status: Status::Failed,
        code: Some("worktree_gone"),
        said: "the worktree's directory is gone",
        changes: Some(Changes::Unknown),
        work: Work::Nothing,
        mend: "rm -rf elsewhere",
        ..HARMLESS
    };
    worktree_emptied = Row { does: "find . -mindepth 1 ! -name .git -delete", ..HARMLESS };
    worktree_read_only = Row { does: "echo done > half; chmod -R a-w .", work: Work::Files(HALF), ..HARMLESS };
    symlink_loops = Row { does: "ln -s a b; ln -s b a; ln -s . here; mkdir d; ln -s .. d/up; ln -s /dev/zero zero", ..HARMLESS };
    fifo = Row { does: "echo done > half; mkfifo pipe; mkdir d; mkfifo d/pipe", said: "pipe is neither a file nor a link: not stored", ..HARMLESS };
    fifo_in_place_of_a_file = Row { does: "echo done > half; rm README; mkfifo README", said: "README is neither a file nor a link: not stored", work: Work::Files(HALF), ..HARMLESS };
    fifo_as_ignore_rules = Row {
        does: "echo done > half; rm .gitignore; mkfifo .gitignore",
        said: ".gitignore is neither a file nor a link: not stored",
        work: Work::Files(HALF),
        ..HARMLESS
    };
    fifo_as_attributes = Row {
        does: "mkdir d; echo done > d/half; mkfifo d/.gitattributes",
        said: "d/.gitattributes is neither a file nor a link: not stored",
        work: Work::Files(&[("d/half", "done\n")]),
        ..HARMLESS
    };
    fifo_as_the_list_of_submodules = Row {
        does: "echo done > half; mkfifo .gitmodules",
        said: ".gitmodules is neither a file nor a link: not stored",
        work: Work::Files(HALF),
        ..HARMLESS
    };
    link_to_a_fifo_as_ignore_rules = Row {
        does: "echo done > half; mkfifo pipe; rm .gitignore; ln -s pipe .gitignore",
        work: Work::Files(HALF),
        ..HARMLESS
    };
    sockets_and_devices = Row {
        does: "echo done > half; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"s\")'; mknod null c 1 3 || mkfifo null",
        said: "s is neither a file nor a link: not stored",
        work: Work::Files(HALF),
        ..HARMLESS
    };
    git_file_elsewhere = Row {
        does: "echo done > half; git init -q $RIG/elsewhere; echo \"gitdir: $RIG/elsewhere/.git\" > .git",
        work: Work::Files(HALF),
        mend: "rm -rf elsewhere",
        ..HARMLESS
    };
    git_directory_with_a_hostile_configuration = Row {
        does: "rm .git; git init -q .; git config core.fsmonitor 'touch $RIG/owned'; git config filter.x.clean 'touch $RIG/owned; cat'; git config filter.x.process 'touch $RIG/owned'; echo '* filter=x' > .gitattributes; printf '#!/bin/sh\\ntouch $RIG/owned\\n' > .git/hooks/post-index-change; chmod +x .git/hooks/*; echo done > half",
        work: Work::Files(HALF),
        mend: "test ! -e owned",
        ..HARMLESS
    };
    git_fifo = Row { does: "echo done > half; rm .git; mkfifo .git", work: Work::Files(HALF), ..HARMLESS };
    names_of_all_bytes = Row {
        does: "touch \"$(printf 'new\\nline')\" \"$(printf 'bad\\377utf8')\" \"$(printf 'tab\\tand\\\\back')\" -- -rf ' lead' \"$(printf 'esc\\033[31m')\" '\"quoted\"'; mkdir \"$(printf 'dir\\nn')\"; echo done > \"$(printf 'dir\\nn/f')\"; echo n > \"$(head -c 255 /dev/zero | tr '\\0' n)\"",
        ..HARMLESS
    };
    deep_directories = Row {
        does: "i=0; p=.; while [ $i -lt 150 ]; do p=$p/dddddddddd; i=$((i+1)); done; mkdir -p $p; echo done > $p/half",
        ..HARMLESS
    };
    deeper_than_a_path_can_be = Row {
        does: "echo done > half; n=$(head -c 200 /dev/zero | tr '\\0' d); i=0; while [ $i -lt 25 ]; do mkdir $n; cd -P ./$n; i=$((i+1)); done; echo deep > half",
        said: "only it has these files, which could not be read or stored: ddd",
        mend: "mv worktrees/cx-t/dd* deep; rm -rf deep",
        work: Work::Kept(HALF),
        ..HARMLESS
    };
    more_levels_than_files_may_be_open = Row {
        does: "echo done > half; i=0; p=.; while [ $i -lt 500 ]; do p=$p/d; i=$((i+1)); done; mkdir -p $p; echo done > $p/half",
        under: &["prlimit", "--nofile=256:256"],
        ..HARMLESS
    };
}
