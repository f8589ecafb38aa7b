//! What SECURITY.md says, held against the program. Its other tests are named there.

#[path = "security/documented.rs"]
mod documented;
#[path = "security/input.rs"]
mod input;
#[path = "cli/place.rs"]
mod place;
#[path = "security/shown.rs"]
mod shown;
