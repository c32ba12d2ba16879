//! Where a log of these tests is kept.
#![allow(dead_code, reason = "each program uses its engine's part")]

use std::{any::Any, path::PathBuf};

use polylog_crds::validate::Capabilities;
use polylog_sidecar::{
    config,
    sources::{Database, StorePlace},
};

use crate::support::{
    mounted,
    process::{at, folder},
    server::{LogServer, Place},
};

/// What another program holds; let go when dropped.
pub type Held = Box<dyn Any>;

/// A database for one log, empty at first.
pub struct Home {
    pub database: Database,
    hold_appends: Box<dyn Fn() -> Held>,
}

impl Home {
    pub fn in_file(path: PathBuf) -> Self {
        let database = Database::Sqlite(path.clone());
        let hold_appends = move || -> Held {
            let other = rusqlite::Connection::open(&path).unwrap();
            other.execute_batch("BEGIN IMMEDIATE").unwrap();
            Box::new(other)
        };
        Self { database, hold_appends: Box::new(hold_appends) }
    }

    /// A place of a server, which is reached at this address.
    pub fn on<S: LogServer>(server: &'static S, place: Place, address: &str) -> Self {
        let manifests = folder(&mounted::store(server, &place));
        let placements = [at(address).parse().unwrap()];
        let declared = config::load(manifests.path(), &placements, &Capabilities::DEV).unwrap();
        let (store, databases) = (&declared.stores[0], &declared.databases);
        let places = StorePlace::of_voters(store, manifests.path(), &placements, databases, false).unwrap();
        let hold_appends = move || -> Held { Box::new(server.hold_appends(&place)) };
        Self { database: places[0].database.clone(), hold_appends: Box::new(hold_appends) }
    }

    pub fn hold_appends(&self) -> Held {
        (self.hold_appends)()
    }
}
