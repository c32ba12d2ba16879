//! What the user of a source must be granted on each table: the same on every server.

use std::collections::{BTreeMap, BTreeSet};

use polylog_log::{CheckTopic, Failure, Preflight, RefusedReason};

/// What is granted on each table. UPDATE and DELETE on the events are for truncation and repair only.
pub const RIGHTS: [(&str, &[&str]); 6] = [
    ("polylog_events", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
    ("polylog_configs", &["SELECT", "INSERT", "DELETE"]),
    ("polylog_cuts", &["SELECT", "INSERT"]),
    ("polylog_quarantine", &["SELECT", "INSERT"]),
    ("polylog_leases", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
    ("polylog_head", &["SELECT", "UPDATE"]),
];

/// What an open source does with each table: what must be granted before it is used.
pub const NEEDED: [(&str, &[&str]); 6] = [
    ("polylog_events", &["SELECT", "INSERT"]),
    ("polylog_configs", &["SELECT", "INSERT"]),
    ("polylog_cuts", &["SELECT"]),
    ("polylog_quarantine", &["SELECT"]),
    ("polylog_leases", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
    ("polylog_head", &["SELECT", "UPDATE"]),
];

/// Every right on a table.
pub const ALL: [&str; 4] = ["SELECT", "INSERT", "UPDATE", "DELETE"];

/// What a user may do with each table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableRights(BTreeMap<String, BTreeSet<String>>);

impl TableRights {
    /// Adds rights on a table.
    pub fn add<'a>(&mut self, table: &str, rights: impl IntoIterator<Item = &'a str>) {
        self.0.entry(table.into()).or_default().extend(rights.into_iter().map(String::from));
    }

    /// Takes a right on a table out.
    pub fn remove(&mut self, table: &str, right: &str) {
        if let Some(rights) = self.0.get_mut(table) {
            rights.remove(right);
        }
    }

    /// Of what a source is granted: what is not here, by table.
    pub fn lacking(&self) -> Vec<(&'static str, Vec<&'static str>)> {
        let of = |(table, rights): (&'static str, &'static [&'static str])| {
            let has = self.0.get(table);
            let is_lacking = |right: &&'static str| !has.is_some_and(|has| has.contains(*right));
            let lacking: Vec<&str> = rights.iter().copied().filter(is_lacking).collect();
            (!lacking.is_empty()).then_some((table, lacking))
        };
        RIGHTS.into_iter().filter_map(of).collect()
    }

    /// As if everything were granted that an open source can do without.
    #[must_use]
    pub fn with_optional(&self) -> Self {
        let mut all = self.clone();
        for (table, needed) in NEEDED {
            all.add(table, ALL.into_iter().filter(|right| !needed.contains(right)));
        }
        all
    }
}

/// Says that a user may not do something.
pub fn lacking(what: String) -> Failure {
    Failure::Refused { reason: RefusedReason::Rights, message: what }
}

/// What reading and writing rows takes; each lack is a line of its own. `statements` are those that give what is lacking.
pub fn report(
    report: &mut Preflight,
    user: &str,
    place: &str,
    granted: &TableRights,
    statements: impl Fn(&TableRights) -> Vec<String>,
) {
    let lacks = statements(granted);
    let needs = statements(&granted.with_optional());
    for statement in &needs {
        report.failed(CheckTopic::Rights, lacking(format!("{user} lacks a right")), statement);
    }
    if lacks.is_empty() {
        report.passed(CheckTopic::Rights, format!("may read and write rows in {place}"));
    }
    for statement in lacks.into_iter().filter(|_| needs.is_empty()) {
        let seen = "a right is withheld that only truncation and repair need";
        report.warning(CheckTopic::Rights, seen, statement);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_is_granted() {
        for ((table, needed), (other, granted)) in NEEDED.into_iter().zip(RIGHTS) {
            assert_eq!(table, other);
            assert!(needed.iter().all(|right| granted.contains(right)), "{table}");
        }
    }

    #[test]
    fn what_is_lacking_is_what_was_not_added() {
        let mut rights = TableRights::default();
        for (table, granted) in RIGHTS {
            rights.add(table, granted.iter().copied());
        }
        assert_eq!(rights.lacking(), []);
        let mut rights = TableRights::default();
        for (table, needed) in NEEDED {
            rights.add(table, needed.iter().copied());
        }
        assert_eq!(rights.lacking()[0], ("polylog_events", vec!["UPDATE", "DELETE"]));
        assert_eq!(rights.with_optional().lacking(), []);
        assert_eq!(TableRights::default().with_optional().lacking().len(), NEEDED.len());
    }
}
