//! What SECURITY.md says, held against the program. Its other tests are named there.

mod documented;
mod input;
mod shown;
