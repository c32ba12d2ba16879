//! SQLite as a source
