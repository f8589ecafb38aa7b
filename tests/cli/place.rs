//! The world in which a person calls the programs, with what the commands' tests add to it.

use std::ops::{Deref, DerefMut};

use testkit::world::{World, names};

/// A world whose codex is signed in.
pub(crate) struct Place(World);

impl Place {
    /// A repository with one commit that is empty.
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// A repository with one commit that has these files.
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let world = World::new(files);
        world.sign_in();
        Self(world)
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
        &self.0
    }
}

impl DerefMut for Place {
    fn deref_mut(&mut self) -> &mut World {
        &mut self.0
    }
}
