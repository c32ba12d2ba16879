//! Tests that every engine runs.
