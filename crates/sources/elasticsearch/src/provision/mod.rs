//! Making indices hold a log: look at what is there, plan the steps, carry out those that are approved. With a credential
//! of its own: the user that a source works as needs no right to create anything.

mod apply;
mod grants;
mod inspect;
mod plan;
mod wipe;

use std::collections::BTreeMap;

use polylog_log::Identity;
use serde_json::Value;

use crate::{Indices, Layout};

pub use crate::schema::{Flavor, Kind};
pub use apply::apply;
pub use grants::role_grants;
pub use inspect::inspect;
pub(crate) use inspect::{look, server};
pub use plan::plan;
pub use polylog_log::{Applied, Approval, Desired, IndexOptions};
pub use wipe::wipe;

/// Where the log shall be, and how its indices are set up.
#[derive(Debug, Clone)]
pub struct Place {
    /// The indices, and the key of the log in them.
    pub indices: Indices,
    /// How they are set up. What cannot be changed in place is refused once they are there.
    pub layout: Layout,
    /// Which product it has to be, if that is said.
    pub flavor: Option<Flavor>,
}

/// What is there.
#[derive(Debug, Clone, PartialEq)]
pub struct Actual {
    /// What kind of server it is.
    pub flavor: Flavor,
    /// Its version.
    pub version: String,
    /// Our indices that exist.
    pub indices: BTreeMap<Kind, StoredIndex>,
    /// The identity of the log with our key; absent = it was never provisioned to the end.
    pub identity: Option<Identity>,
    /// Its stored format.
    pub format: Option<u32>,
    /// How many events there are where nothing says of which log.
    pub events: u64,
}

/// An index as the server declares it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredIndex {
    /// Its own name, which an alias may stand before.
    pub name: String,
    /// Its settings, flat.
    pub settings: Value,
    /// Its mapping.
    pub mapping: Value,
}
