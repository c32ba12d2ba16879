//! What verification found.

use polylog_replication::SourceStatus;
use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{
    Decimal,
    labels::{OfFinding, OfSource},
    registered::register,
};
use crate::catalogue;

pub(super) struct VerifiedFamilies {
    consistency: Family<OfSource, Decimal>,
    coverage: Family<OfSource, Decimal>,
    age: Family<OfSource, Decimal>,
    inconsistent: Family<OfFinding, Gauge>,
    repaired: Family<OfSource, Counter>,
    truncations: Family<OfSource, Gauge>,
    quarantined: Family<OfSource, Gauge>,
}

impl VerifiedFamilies {
    pub(super) fn new(registry: &mut Registry) -> Self {
        Self {
            consistency: register(registry, catalogue::CONSISTENCY, Family::default()),
            coverage: register(registry, catalogue::VERIFIED, Family::default()),
            age: register(registry, catalogue::VERIFIED_AGE, Family::default()),
            inconsistent: register(registry, catalogue::INCONSISTENT, Family::default()),
            repaired: register(registry, catalogue::REPAIRED, Family::default()),
            truncations: register(registry, catalogue::TRUNCATIONS, Family::default()),
            quarantined: register(registry, catalogue::QUARANTINED, Family::default()),
        }
    }

    /// Takes over what is known of a source. A share that was not read says nothing: then none is shown.
    pub(super) fn observe(&self, of: &OfSource, source: &SourceStatus) {
        self.truncations.get_or_create(of).set(i64::try_from(source.cuts).unwrap_or(i64::MAX));
        match source.quarantined {
            Some(events) => {
                self.quarantined.get_or_create(of).set(i64::try_from(events).unwrap_or(i64::MAX));
            }
            None => {
                self.quarantined.remove(of);
            }
        }
        let Some(verified) = &source.verified else { return self.forget(of) };
        self.consistency.get_or_create(of).set(verified.consistency());
        self.coverage.get_or_create(of).set(verified.coverage());
        self.age.get_or_create(of).set(verified.since.elapsed().unwrap_or_default().as_secs_f64());
        for (finding, count) in
            findings(of).into_iter().zip([verified.missing, verified.differing, verified.extra])
        {
            self.inconsistent.get_or_create(&finding).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        let repaired = self.repaired.get_or_create_owned(of);
        repaired.inc_by(verified.repaired.saturating_sub(repaired.get()));
    }

    /// Nothing is known of it any more.
    pub(super) fn forget(&self, of: &OfSource) {
        for gauge in [&self.consistency, &self.coverage, &self.age] {
            gauge.remove(of);
        }
        for finding in findings(of) {
            self.inconsistent.remove(&finding);
        }
    }

    /// The source is no part of its log any more.
    pub(super) fn gone(&self, of: &OfSource) {
        self.forget(of);
        self.truncations.remove(of);
        self.quarantined.remove(of);
    }
}

fn findings(of: &OfSource) -> [OfFinding; 3] {
    ["missing", "differing", "extra"].map(|finding| OfFinding {
        store: of.store.clone(),
        source: of.source.clone(),
        finding,
    })
}
