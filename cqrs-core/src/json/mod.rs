//! JSON as django-cqrs writes and reads it.

mod lenient;
mod object;

pub use lenient::{NotJson, normalise};
pub use object::Object;
