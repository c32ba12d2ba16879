//! Editing JSON text by spans: whatever is not removed stays byte for byte.

mod remove;
mod scan;

pub(crate) use remove::Pointers;
