//! What a database becomes that holds no log yet.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use polylog_log::{DatabaseId, Identity, Incarnation, LogId};
use uuid::Uuid;

/// The log that a new EventStore begins. Always the same for the same object: a process that ends in the middle is
/// followed by one that makes the same plan, with the same hash.
pub(crate) fn new_log(uid: &str) -> LogId {
    LogId::new(derived(&["log", uid]))
}

/// What a source is of a log that begins now; always the same, as the log.
pub(super) fn first(uid: &str, source: &str, log: LogId) -> Identity {
    Identity {
        log,
        database: DatabaseId::new(derived(&["database", uid, source])),
        incarnation: Incarnation::new(derived(&["incarnation", uid, source])),
    }
}

fn derived(parts: &[&str]) -> Uuid {
    let name: String = parts.iter().map(|part| format!("{}:{part}", part.len())).collect();
    Uuid::new_v5(&Uuid::new_v5(&Uuid::NAMESPACE_DNS, b"polylog.dev"), name.as_bytes())
}

/// What databases become that come to a log which is there already: each time something that never was.
///
/// An empty one may have been a voter of that log, and was emptied. Under its old identity it would count again, with
/// neither the events that it acknowledged nor the promises that it gave.
#[derive(Debug, Default)]
pub(crate) struct Newcomers(Mutex<BTreeMap<String, (DatabaseId, Incarnation)>>);

impl Newcomers {
    /// What this source becomes: the same until it is used, so that a plan and its hash stay what somebody approves.
    pub(super) fn identity(&self, source: &str, log: LogId) -> Identity {
        let fresh = || (DatabaseId::new(Uuid::now_v7()), Incarnation::new(Uuid::now_v7()));
        let (database, incarnation) = *self.0.lock().entry(source.to_owned()).or_insert_with(fresh);
        Identity { log, database, incarnation }
    }

    /// It may stand in a database now, whatever came of it: no other one gets it.
    pub(super) fn used(&self, source: &str) {
        self.0.lock().remove(source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identity_of_a_new_store_is_always_the_same_and_another_for_each() {
        let first = |uid, source| first(uid, source, new_log(uid));
        assert_eq!(first("1", "ledger"), first("1", "ledger"));
        assert_ne!(first("1", "ledger").database, first("1", "copy").database);
        assert_eq!(first("1", "ledger").log, first("1", "copy").log);
        assert_ne!(new_log("1"), new_log("2"));
        assert_ne!(derived(&["ab", "c"]), derived(&["a", "bc"]));
    }

    #[test]
    fn a_database_that_comes_to_a_log_never_is_what_one_was_before() {
        let (newcomers, log) = (Newcomers::default(), new_log("1"));
        let planned = newcomers.identity("copy", log);
        assert_eq!(newcomers.identity("copy", log), planned, "a plan stays what was approved");
        assert_ne!(newcomers.identity("other", log).database, planned.database);
        newcomers.used("copy");
        let again = newcomers.identity("copy", log);
        let before = [planned, first("1", "copy", log)];
        assert!(
            before.iter().all(|one| one.incarnation != again.incarnation && one.database != again.database)
        );
        assert_eq!(again.log, log);
    }
}
