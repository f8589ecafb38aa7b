//! The world in which a person calls the programs, with what the commands' tests add to it.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use testkit::world::{World, names};

use crate::wording::settled;

/// A world whose codex is signed in.
pub(crate) struct Place {
    world: World,
    /// What people were told, refusal by refusal.
    told: Mutex<String>,
}

impl Place {
    /// A repository with one commit that is empty.
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// A repository with one commit that has these files.
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let world = World::new(files);
        world.sign_in();
        Self {
            world,
            told: Mutex::default(),
        }
    }

    /// Takes down what a refusal told.
    pub(crate) fn take_down(&self, code: &str, text: &str) {
        let text = settled(self, text);
        self.told().push_str(&format!("{code}\n{text}\n"));
    }

    fn told(&self) -> MutexGuard<'_, String> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asserts that the words of all refusals are those of the snapshot.
    pub(crate) fn assert_told(&self, name: &str) {
        insta::assert_snapshot!(format!("refused-{name}"), self.told().as_str());
    }

    /// Asserts that no run left anything here.
    pub(crate) fn assert_untouched(&self, branches: &str) {
        assert_eq!(names(&self.path("state/runs")), [""; 0], "records");
        assert_eq!(self.git(&["branch", "--format=%(refname)"]), branches);
    }
}

impl Deref for Place {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl DerefMut for Place {
    fn deref_mut(&mut self) -> &mut World {
        &mut self.world
    }
}
