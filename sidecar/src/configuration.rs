//! What became of the mounted configuration of each store.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use polylog_api::ConfigurationStatus;

/// What stands in the way of a mounted configuration, one slot for each that can do so on its own. The first is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Obstacle {
    /// The manifests cannot be served: the old ones are in force.
    Manifests,
    /// Certificate or keys for other pods cannot be used: the old ones are.
    Entrance,
    /// The database cannot be reached as mounted: the old connection is in use, or the store is not open yet.
    Connection,
    /// What the log says was not brought to what is mounted.
    Log,
    /// Something takes effect only with a new process.
    Restart,
}

impl Obstacle {
    fn state(self) -> &'static str {
        match self {
            Obstacle::Manifests | Obstacle::Connection | Obstacle::Entrance => "Refused",
            Obstacle::Log => "Differs",
            Obstacle::Restart => "RestartNeeded",
        }
    }
}

/// Why, with its stable code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reason {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

/// By store: what is in the way of its mounted configuration. Empty = it is in force.
#[derive(Debug, Default)]
pub(crate) struct Configurations(Mutex<BTreeMap<String, BTreeMap<Obstacle, Reason>>>);

impl Configurations {
    /// Notes what is in the way, or that nothing is; says whether that is news.
    pub(crate) fn note(&self, store: &str, obstacle: Obstacle, reason: Option<Reason>) -> bool {
        let mut stores = self.0.lock();
        let known = stores.entry(store.to_owned()).or_default();
        match reason {
            Some(reason) => known.insert(obstacle, reason.clone()).is_none_or(|before| before != reason),
            None => known.remove(&obstacle).is_some(),
        }
    }

    /// Nothing is mounted for it any more.
    pub(crate) fn forget(&self, store: &str) {
        self.0.lock().remove(store);
    }

    /// What is shown of it; `None` = its configuration is not mounted.
    pub(crate) fn status(&self, store: &str) -> Option<ConfigurationStatus> {
        let stores = self.0.lock();
        let status = match stores.get(store)?.iter().next() {
            None => ConfigurationStatus { state: "InForce".into(), code: None, message: String::new() },
            Some((obstacle, reason)) => ConfigurationStatus {
                state: obstacle.state().into(),
                code: Some(reason.code.into()),
                message: reason.message.clone(),
            },
        };
        Some(status)
    }

    /// Every store with whether its mounted configuration is in force.
    pub(crate) fn in_force(&self) -> Vec<(String, bool)> {
        self.0.lock().iter().map(|(store, obstacles)| (store.clone(), obstacles.is_empty())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_obstacle_is_shown_until_it_is_gone() {
        let configurations = Configurations::default();
        let reason = |message: &str| Some(Reason { code: "invalid_configuration", message: message.into() });
        assert_eq!(configurations.status("a"), None);
        assert!(!configurations.note("a", Obstacle::Restart, None), "no news");
        assert_eq!(configurations.status("a").expect("noted").state, "InForce");
        assert!(configurations.note("a", Obstacle::Restart, reason("port")));
        assert!(configurations.note("a", Obstacle::Manifests, reason("bad")));
        assert!(!configurations.note("a", Obstacle::Manifests, reason("bad")), "known already");
        let shown = configurations.status("a").expect("noted");
        assert_eq!((shown.state.as_str(), shown.message.as_str()), ("Refused", "bad"));
        assert!(configurations.note("a", Obstacle::Manifests, None));
        assert_eq!(configurations.status("a").expect("noted").state, "RestartNeeded");
        assert_eq!(configurations.in_force(), [("a".to_owned(), false)]);
    }
}
