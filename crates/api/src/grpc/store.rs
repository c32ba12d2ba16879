use std::time::Duration;

use super::{from_duration, from_time};
use crate::{
    ConfigurationStatus, LocationsAnswer, SourceStatus, StoreStatus, VerifiedStatus, proto::polylog::v1,
};

/// State of a store, as messages have it.
pub fn store(status: StoreStatus) -> v1::Store {
    v1::Store {
        name: status.name,
        id: status.store_id.map(|id| id.to_string()).unwrap_or_default(),
        primary: status.primary.map(|source| source.as_str().to_owned()).unwrap_or_default(),
        term: status.term.get(),
        positions: status.positions.into_iter().map(|position| position.get()).collect(),
        sources: status.sources.into_iter().map(source).collect(),
        consistency_percent: status.consistency_percent.unwrap_or_default(),
        verified_percent: status.verified_percent.unwrap_or_default(),
        config_position: status.config_position.get(),
        sidecar_version: status.sidecar_version,
        verbs: status.verbs,
        configuration: status.configuration.map(configuration),
    }
}

fn configuration(status: ConfigurationStatus) -> v1::ConfigurationStatus {
    v1::ConfigurationStatus {
        state: status.state,
        code: status.code.unwrap_or_default(),
        message: status.message,
    }
}

fn source(status: SourceStatus) -> v1::SourceStatus {
    v1::SourceStatus {
        name: status.name.as_str().to_owned(),
        engine: status.engine,
        role: status.role,
        state: status.state,
        term: status.term.map(|term| term.get()).unwrap_or_default(),
        position: status.position.map(|position| position.get()).unwrap_or_default(),
        lag_events: status.lag_events.unwrap_or_default(),
        lag: status.lag_seconds.map(Duration::from_secs).map(from_duration),
        message: status.message,
        verified: status.verified.map(verified),
    }
}

fn verified(found: VerifiedStatus) -> v1::Verified {
    v1::Verified {
        through: found.through.get(),
        end: found.end.get(),
        since: Some(from_time(found.since)),
        missing: found.missing,
        differing: found.differing,
        extra: found.extra,
        repaired: found.repaired,
        answered: found.answered,
    }
}

/// Where an event is, as messages have it.
pub fn locations(answer: LocationsAnswer) -> v1::LocateEventResponse {
    let location = |location: crate::Location| v1::Location {
        source: location.source.as_str().to_owned(),
        present: location.present,
        term: location.term.map(|term| term.get()).unwrap_or_default(),
        digest: location.digest.map(|digest| digest.as_bytes().to_vec().into()).unwrap_or_default(),
        note: location.note,
    };
    v1::LocateEventResponse {
        position: answer.position.get(),
        locations: answer.locations.into_iter().map(location).collect(),
    }
}
