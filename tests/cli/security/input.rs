//! What a parent may name: answers files, briefs, responders, and an environment, of which none is well meant.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use cx_operator::task::question::{Question, QuestionKind};
use cx_operator::task::respond::{self, Answers, Context, RespondError, Responder};

use testkit::built;
use testkit::world::Ran;

use crate::place::Place;

/// Far above what anything here takes, and far below what it would take without a limit.
const LIMIT: Duration = Duration::from_secs(60);

fn refused_answers(place: &Place, file: &Path) -> Ran {
    let begun = Instant::now();
    let mut command = place.delegate("t");
    let ran = Ran::of(command.arg("--answers").arg(file), b"brief");
    assert!(begun.elapsed() < LIMIT, "{file:?}: {:?}", begun.elapsed());
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (2, ""),
        "{file:?}: {}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains("answers file") && ran.is_harmless(),
        "{}",
        ran.stderr
    );
    place.assert_untouched("refs/heads/main");
    ran
}

#[test]
fn an_answers_file_has_an_end_and_somebody_writes_it() {
    let place = Place::new();
    let ran = refused_answers(&place, Path::new("/dev/zero"));
    assert!(ran.stderr.contains("longer than"), "{}", ran.stderr);
    let huge = place.path("huge.toml");
    let file = fs::File::create(&huge).expect("a file");
    file.set_len(100 << 20).expect("100 MB of nothing");
    assert!(
        refused_answers(&place, &huge)
            .stderr
            .contains("longer than")
    );
    let pipe = place.path("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .expect("mkfifo runs")
            .success()
    );
    assert!(
        refused_answers(&place, &pipe)
            .stderr
            .contains("it sent nothing")
    );
    refused_answers(&place, &place.repo());
}

#[test]
fn patterns_that_would_take_all_memory_are_refused() {
    let place = Place::new();
    let file = place.path("answers.toml");
    for pattern in [
        "(\\w{1000}){1000}",
        "((a{0,100}){0,100}){0,100}",
        "(?:\\pL{200}|\\pN{200}){200}",
    ] {
        fs::write(
            &file,
            format!("[[answer]]\npattern = '{pattern}'\nreply = 'x'\n"),
        )
        .expect("written");
        assert!(refused_answers(&place, &file).stderr.contains("size limit"));
    }
    let many = "[[answer]]\npattern = 'a'\nreply = 'x'\n".repeat(300);
    fs::write(&file, many).expect("written");
    assert!(refused_answers(&place, &file).stderr.contains("256"));
}

fn question(text: String) -> Question {
    Question::new(QuestionKind::Question, text)
}

fn context() -> Context {
    Context::new("r", "t", PathBuf::from("/"))
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(work)
}

/// Patterns that take an exponential time elsewhere.
#[test]
fn catastrophic_patterns_take_a_linear_time() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("answers.toml");
    for pattern in [
        "(a*)*b",
        "(a|a)*c",
        "(a|aa)+$d",
        "^(([a-z])+.)+[A-Z]([a-z])+e$",
    ] {
        fs::write(
            &file,
            format!("[[answer]]\npattern = '{pattern}'\nreply = 'x'\n"),
        )
        .expect("written");
        let answers = Answers::load(&file).expect("valid");
        let begun = Instant::now();
        let answer = wait(answers.respond(&question("a".repeat(100_000)), &context()));
        assert!(matches!(answer, Ok(None)), "{pattern}");
        assert!(begun.elapsed() < LIMIT, "{pattern}: {:?}", begun.elapsed());
    }
}

/// Memory is what would run out first: the flood goes on for as long as somebody reads.
#[test]
fn a_responder_that_floods_is_cut_off() {
    for flood in ["yes", "yes >&2; exit 1", "yes & yes >&2"] {
        let responder = respond::Command::new(flood.to_owned(), LIMIT);
        let begun = Instant::now();
        let answer = wait(responder.respond(&question("Why?".to_owned()), &context()));
        assert!(
            matches!(
                answer,
                Err(RespondError::Answer(_) | RespondError::Failed(_))
            ),
            "{flood}: {answer:?}"
        );
        assert!(
            begun.elapsed() < LIMIT / 2,
            "{flood}: {:?}",
            begun.elapsed()
        );
    }
}

fn plant(path: &Path, script: &str) {
    fs::write(path, format!("#!/bin/sh\n{script}\n")).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("executable");
}

/// A PATH with `.` in it, and programs in the repository that have the names of those that are run.
#[test]
fn a_program_of_the_repository_is_never_taken_for_one_of_the_system() {
    let place = Place::new();
    let seen = place.path("seen");
    for name in ["git", "tmux", "codex", "sh", "env", "cat", "rm"] {
        plant(
            &place.repo().join(name),
            &format!("echo {name} >>'{}'", seen.display()),
        );
    }
    place.commit("programs");
    let system = std::env::var("PATH").expect("a PATH");
    for path in [
        format!(".:{system}"),
        format!(":{system}"),
        format!("./:../repo:{system}"),
    ] {
        let mut command = place.delegate("t");
        command.env("PATH", &path).current_dir(place.repo());
        let ran = Ran::of(&mut command, b"[[say Done.]]");
        let seen = fs::read_to_string(&seen).unwrap_or_default();
        assert_eq!(seen, "", "{path}: {}", ran.stderr);
        assert_eq!(ran.code, 0, "{path}: {}", ran.stderr);
        let doctor = ["doctor", "--json"];
        let mut command = place.command(built::operator());
        Ran::of(
            command
                .args(doctor)
                .env("PATH", &path)
                .current_dir(place.repo()),
            b"",
        );
        assert!(!place.path("seen").exists(), "doctor");
    }
}
