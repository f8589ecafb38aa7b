//! The walk through a syntax tree, in the order in which a shell would run it.

use std::path::{Path, PathBuf};

use brush_parser::ast::{
    AndOr, AndOrList, Assignment, AssignmentName, AssignmentValue, Command,
    CommandPrefixOrSuffixItem as Item, CompoundCommand, CompoundList, ExtendedTestExpr, Pipeline,
    SeparatorOperator, SimpleCommand, UnaryPredicate,
};

use super::{Stdin, parse};
use crate::policy::act::{Act, EffectKind, Word};
use crate::policy::ground::Ground;
use crate::policy::programs::{self, Call};

/// How deep scripts may lie within scripts, and how many acts one may have.
const DEPTH: usize = 6;
const ACTS: usize = 300;
/// How many directories a command may be in.
const PLACES: usize = 4;

/// The directories in which a command may run; `None` if nobody can tell.
pub(crate) type Directories = Option<Vec<PathBuf>>;

/// A walk, and what was found on it.
pub(crate) struct Walk<'g> {
    pub(crate) ground: &'g Ground,
    pub(crate) directories: Directories,
    acts: Vec<Act>,
    depth: usize,
    /// Whether links may have been made on the way, so that paths lead elsewhere afterwards.
    pub(crate) has_links: bool,
    /// Whether `HOME` may have been set.
    has_home: bool,
}

impl<'g> Walk<'g> {
    pub(crate) fn new(directory: Option<&Path>, ground: &'g Ground) -> Self {
        Self {
            ground,
            directories: directory.map(|directory| vec![directory.to_owned()]),
            acts: Vec::new(),
            depth: 0,
            has_links: false,
            has_home: true,
        }
    }

    /// What was found; at least one act.
    pub(crate) fn into_acts(mut self) -> Vec<Act> {
        if self.acts.is_empty() {
            let mut nothing = Act::new("");
            nothing.add(EffectKind::Nothing);
            self.acts.push(nothing);
        }
        self.acts
    }

    pub(crate) fn push(&mut self, act: Act) {
        if self.acts.len() < ACTS {
            self.acts.push(act);
        } else if self.acts.len() == ACTS {
            self.acts.push(Act::doubtful(
                "…",
                format!("it does more than {ACTS} things"),
            ));
        }
    }

    pub(super) fn home(&self) -> Option<String> {
        let home = self.ground.home()?.to_str()?;
        self.has_home.then(|| home.to_owned())
    }

    /// A part that can't be understood.
    pub(super) fn unread(&mut self, text: &str) {
        self.push(Act::doubtful(text, "it can't be expanded for sure"));
    }

    /// A script within the one that is walked, in a shell of its own.
    pub(crate) fn inner(&mut self, script: &str) {
        let directories = self.directories.clone();
        self.script(script);
        self.directories = directories;
    }

    pub(super) fn substitution(&mut self, script: &str) {
        self.inner(script);
    }

    /// A script in the shell that is walked.
    pub(crate) fn script(&mut self, script: &str) {
        if self.depth >= DEPTH || self.acts.len() > ACTS {
            return self.push(Act::doubtful(script, "it is nested too deeply"));
        }
        self.depth += 1;
        let program = parse::with_room(|| {
            let parsed = parse::parse(script);
            match parsed {
                Ok(program) => {
                    for list in &program.complete_commands {
                        self.list(list);
                    }
                    // Also taken apart where there is room.
                    drop(program);
                    Ok(())
                }
                Err(why) => Err(why),
            }
        });
        match program {
            Some(Ok(())) => {}
            Some(Err(why)) => self.push(Act::doubtful(script, why)),
            None => self.push(Act::doubtful(script, "it can't be parsed")),
        }
        self.depth -= 1;
    }

    pub(super) fn list(&mut self, list: &CompoundList) {
        for item in &list.0 {
            if self.acts.len() > ACTS {
                return;
            }
            let directories = self.directories.clone();
            self.and_or(&item.0);
            if matches!(item.1, SeparatorOperator::Async) {
                self.directories = directories;
            }
        }
    }

    /// `cd` counts for what follows it: for sure after `&&`, else perhaps.
    fn and_or(&mut self, list: &AndOrList) {
        let (mut good, mut bad) = self.pipeline(&list.first);
        for next in &list.additional {
            let pipeline = match next {
                AndOr::And(pipeline) => {
                    self.directories.clone_from(&good);
                    pipeline
                }
                AndOr::Or(pipeline) => {
                    self.directories.clone_from(&bad);
                    pipeline
                }
            };
            let (then_good, then_bad) = self.pipeline(pipeline);
            (good, bad) = match next {
                AndOr::And(_) => (then_good, either(bad, then_bad)),
                AndOr::Or(_) => (either(good, then_good), then_bad),
            };
        }
        self.directories = either(good, bad);
    }

    /// Where the shell is afterwards: where it succeeded, and where it failed.
    fn pipeline(&mut self, pipeline: &Pipeline) -> (Directories, Directories) {
        let before = self.directories.clone();
        let is_alone = pipeline.seq.len() == 1;
        for (at, command) in pipeline.seq.iter().enumerate() {
            let stdin = if at == 0 {
                Stdin::Inherited
            } else {
                Stdin::Unknown
            };
            self.command(command, stdin);
            if !is_alone {
                // The last may run in the shell itself: then nobody knows where that is.
                let has_moved = self.directories != before;
                self.directories = if has_moved { None } else { before.clone() };
            }
        }
        let is_cd = matches!(pipeline.seq.as_slice(), [Command::Simple(_)]);
        let after = self.directories.clone();
        match (is_cd, pipeline.bang) {
            (true, false) => (after, before),
            (true, true) => (before, after),
            (false, _) => (after.clone(), after),
        }
    }

    fn command(&mut self, command: &Command, stdin: Stdin) {
        match command {
            Command::Simple(simple) => self.simple(simple, stdin),
            Command::Compound(compound, redirects) => {
                self.redirects(redirects.iter().flat_map(|list| &list.0), stdin);
                self.compound(compound);
            }
            Command::Function(function) => {
                let name = &function.fname.value;
                if programs::is_known(name) {
                    let why = "it replaces a program by a function";
                    self.push(Act::doubtful(format!("{name}()"), why));
                }
                let directories = self.directories.take();
                let redirects = function.body.1.iter().flat_map(|list| &list.0);
                self.redirects(redirects, Stdin::Unknown);
                self.compound(&function.body.0);
                self.directories = directories;
            }
            Command::ExtendedTest(test, redirects) => {
                self.redirects(redirects.iter().flat_map(|list| &list.0), stdin);
                self.test(&test.expr);
            }
        }
    }

    fn compound(&mut self, compound: &CompoundCommand) {
        match compound {
            CompoundCommand::BraceGroup(group) => self.list(&group.list),
            CompoundCommand::Subshell(subshell) => {
                let directories = self.directories.clone();
                self.list(&subshell.list);
                self.directories = directories;
            }
            CompoundCommand::ForClause(clause) => {
                for word in clause.values.iter().flatten() {
                    self.expand(&word.value);
                }
                self.assigned(&clause.variable_name);
                self.repeated(|walk| walk.list(&clause.body.list));
            }
            CompoundCommand::WhileClause(clause) | CompoundCommand::UntilClause(clause) => {
                self.repeated(|walk| {
                    walk.list(&clause.0);
                    walk.list(&clause.1.list);
                });
            }
            CompoundCommand::IfClause(clause) => {
                let mut after = Some(Vec::new());
                self.list(&clause.condition);
                let mut start = self.directories.clone();
                let elses = clause.elses.iter().flatten();
                let mut branches = vec![(None, &clause.then)];
                branches.extend(elses.map(|other| (other.condition.as_ref(), &other.body)));
                for (condition, body) in branches {
                    self.directories.clone_from(&start);
                    if let Some(condition) = condition {
                        self.list(condition);
                        // The branches that follow are reached through it.
                        start = either(start, self.directories.clone());
                    }
                    self.list(body);
                    after = either(after, self.directories.clone());
                }
                self.directories = either(after, start);
            }
            CompoundCommand::CaseClause(clause) => {
                self.expand(&clause.value.value);
                let start = self.directories.clone();
                let mut after = start.clone();
                for case in &clause.cases {
                    for pattern in &case.patterns {
                        self.expand(&pattern.value);
                    }
                    if let Some(body) = &case.cmd {
                        // One body is run, or `;&` goes on to the next one.
                        self.directories.clone_from(&after);
                        self.list(body);
                        after = either(after, self.directories.clone());
                    }
                }
                self.directories = either(start, after);
            }
            CompoundCommand::Arithmetic(_)
            | CompoundCommand::ArithmeticForClause(_)
            | CompoundCommand::Coprocess(_) => self.unread(&compound.to_string()),
        }
    }

    /// A loop's body: where it leaves the directory, nobody knows in which it is.
    fn repeated(&mut self, body: impl Fn(&mut Self)) {
        let before = self.directories.clone();
        body(self);
        if self.directories != before {
            self.directories = None;
            body(self);
        }
    }

    fn test(&mut self, test: &ExtendedTestExpr) {
        match test {
            ExtendedTestExpr::And(left, right) | ExtendedTestExpr::Or(left, right) => {
                self.test(left);
                self.test(right);
            }
            ExtendedTestExpr::Not(inner) | ExtendedTestExpr::Parenthesized(inner) => {
                self.test(inner)
            }
            ExtendedTestExpr::UnaryTest(predicate, word) => {
                let is_variable = matches!(
                    predicate,
                    UnaryPredicate::ShellVariableIsSetAndAssigned
                        | UnaryPredicate::ShellVariableIsSetAndNameRef
                );
                self.test_word(&word.value, is_variable);
            }
            ExtendedTestExpr::BinaryTest(_, left, right) => {
                self.test_word(&left.value, false);
                self.test_word(&right.value, false);
            }
        }
    }

    /// An index of an array is evaluated, and may run a command.
    fn test_word(&mut self, raw: &str, is_variable: bool) {
        let word = self.expand(raw);
        let has_index = raw.contains('[') && raw.contains(['$', '`']);
        if is_variable || has_index || word == Word::Unknown && raw.contains('[') {
            self.unread(raw);
        }
    }

    fn simple(&mut self, simple: &SimpleCommand, stdin: Stdin) {
        let prefix = simple.prefix.iter().flat_map(|prefix| &prefix.0);
        let suffix = simple.suffix.iter().flat_map(|suffix| &suffix.0);
        let mut call = Call {
            words: Vec::new(),
            stdin,
            doubts: Vec::new(),
        };
        let name = simple.word_or_name.as_ref();
        for item in prefix {
            self.item(item, &mut call, name.is_none());
        }
        if let Some(name) = name {
            let word = self.expand(&name.value);
            call.words.insert(0, word);
        }
        for item in suffix {
            self.item(item, &mut call, false);
        }
        if call.words.is_empty() && call.doubts.is_empty() {
            return;
        }
        programs::act(self, call);
    }

    fn item(&mut self, item: &Item, call: &mut Call, is_bare: bool) {
        match item {
            Item::Word(word) => {
                let word = self.expand(&word.value);
                call.words.push(word);
            }
            // Before a command it is its environment, else an argument such as `of=file`.
            Item::AssignmentWord(assignment, _) if call.words.is_empty() => {
                self.assignment(assignment, call, is_bare);
            }
            Item::AssignmentWord(_, word) => {
                let word = self.expand(&word.value);
                call.words.push(word);
            }
            Item::IoRedirect(redirect) => {
                let stdin = std::mem::replace(&mut call.stdin, Stdin::Unknown);
                call.stdin = self.redirects([redirect], stdin);
            }
            Item::ProcessSubstitution(_, subshell) => {
                let directories = self.directories.clone();
                self.list(&subshell.list);
                self.directories = directories;
                call.words.push(Word::Unknown);
            }
        }
    }

    /// `NAME=VALUE` before a command, or alone: then it is the shell's own.
    fn assignment(&mut self, assignment: &Assignment, call: &mut Call, is_bare: bool) {
        let (AssignmentName::VariableName(name), AssignmentValue::Scalar(value)) =
            (&assignment.name, &assignment.value)
        else {
            call.doubts.push("it sets an array".to_owned());
            return self.unread(&assignment.to_string());
        };
        // For the commands in it; what is set is not followed.
        self.expand(&value.value);
        let is_mild = if is_bare {
            self.assigned(name)
        } else {
            programs::is_harmless_variable(name)
        };
        if !is_mild {
            call.doubts.push(format!("it sets {name}"));
        }
    }

    /// Whether a variable of the shell may be set without a word of somebody: one that programs don't heed.
    pub(crate) fn assigned(&mut self, name: &str) -> bool {
        if name == "HOME" {
            self.has_home = false;
        }
        let is_ours = programs::is_private_variable(name);
        if !is_ours {
            self.push(Act::doubtful(format!("{name}="), format!("it sets {name}")));
        }
        is_ours
    }
}

fn either(left: Directories, right: Directories) -> Directories {
    let mut all = left?;
    for directory in right? {
        if !all.contains(&directory) {
            all.push(directory);
        }
    }
    (all.len() <= PLACES).then_some(all)
}
