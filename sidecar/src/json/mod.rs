//! Editing JSON text by spans: whatever is not removed or inserted stays byte for byte.

mod insert;
mod remove;
mod scan;

pub use insert::insert_members;
pub use remove::Pointers;
pub use scan::NotJson;
