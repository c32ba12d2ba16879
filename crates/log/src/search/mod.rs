//! Search and counts: what a word is and what matches is said here once, so that every engine finds and counts the same.
//!
//! An engine narrows down ([`Narrow`]); what it gives may be more than what was asked for, never less, and is looked at
//! again with these rules. Without anything of its own an engine reads its log for it. An engine that has an index of its
//! own answers whole searches ([`Sought`]), with the same hits and counts.

mod index;
mod json;
mod metadata;
mod select;
mod tally;
mod text;
mod words;

pub use index::{Count, Counted, Find, Findings, Order, Sought};
pub use metadata::{metadata_members, metadata_values};
pub use select::{Narrow, Select, Selected};
pub(crate) use select::{select_by_reading, tally_by_selecting};
pub use tally::{Tallied, Tallies, Tally, TallyRow};
pub use text::{LONGEST_TEXT, search_text};
pub use words::{InvalidWords, LONGEST_WORD, MOST_WORDS, Words};

#[cfg(test)]
mod tests;
