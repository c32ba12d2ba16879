//! What the messages of the gRPC interface mean: from and to the types that all surfaces share.

mod append;
mod event;
mod failure;
mod store;
mod time;

pub use append::{append_response, check_size, commit, expected};
pub use event::{event, write_event, write_event_frame};
pub use failure::{detail_of, error_detail, status_details};
pub use store::{locations, store};
pub use time::{duration, from_duration, from_time, time};

use crate::RequestError;

/// The same error with names as the messages have them: the shared rules know those of JSON.
fn named_as_here(error: RequestError) -> RequestError {
    let mut path = String::with_capacity(error.path.len() + 4);
    for letter in error.path.replace("expectedVersion", "expected").chars() {
        if letter.is_ascii_uppercase() {
            path.push('_');
        }
        path.push(letter.to_ascii_lowercase());
    }
    RequestError { path, ..error }
}
