//! Finding events by what they say.
//!
//! A source that has an index of its own is asked for the hits. Else the log is looked at from its beginning up to where it
//! may be shown; the source narrows it down, and what it gives is looked at here, as the caller sees it: nobody finds what
//! is redacted for them.

mod asked;
mod best;
mod cursor;
mod indexed;
mod run;

pub(crate) use asked::{AskedSearch, LARGEST_PAGE, MOST_METADATA, Sort};
pub(crate) use cursor::Fingerprint;
pub(crate) use run::{search, too_long};
