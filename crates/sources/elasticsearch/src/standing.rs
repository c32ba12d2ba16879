//! Whether the indices are fit for what the source is to be.

use std::collections::BTreeMap;

use elasticsearch::http::Method;
use polylog_log::{Failure, RefusedReason};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    connection::{Body, Handle},
    error::EngineError,
    schema::KINDS,
};

/// What is wrong with an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// It has further copies, and the source may vote.
    Copies(String),
    /// It forgets what was acknowledged when its machine fails.
    Forgets(String),
}

impl Flaw {
    /// What to do about it.
    pub(crate) fn fix(&self) -> &'static str {
        match self {
            Flaw::Copies(_) => "set elasticsearch.index.replicas to 0, or the source's role to Learner",
            Flaw::Forgets(_) => "set index.translog.durability to request",
        }
    }
}

impl std::fmt::Display for Flaw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Flaw::Copies(index) => write!(
                f,
                "index {index} has number_of_replicas above 0, and the source votes: a copy that its cluster has given up \
                 may still answer reads"
            ),
            Flaw::Forgets(index) => write!(
                f,
                "index {index} has index.translog.durability async: what is acknowledged may be lost"
            ),
        }
    }
}

impl Handle {
    /// Checks that the indices keep what they acknowledge, and that no other copy of a voter's answers for it.
    pub(crate) async fn check_standing(&self) -> Result<(), EngineError> {
        let tolerated = |flaw: &Flaw| matches!(flaw, Flaw::Forgets(_)) && self.config.allow_unsafe_durability;
        match self.flaws().await?.into_iter().find(|flaw| !tolerated(flaw)) {
            Some(flaw) => Err(flaw.failure().into()),
            None => Ok(()),
        }
    }

    /// What is wrong with the indices.
    pub(crate) async fn flaws(&self) -> Result<Vec<Flaw>, EngineError> {
        #[derive(Deserialize)]
        struct Declared {
            settings: BTreeMap<String, Value>,
        }
        let names: Vec<String> = KINDS.into_iter().map(|kind| kind.name(&self.config.indices)).collect();
        let path = format!("/{}/_settings?flat_settings=true", names.join(","));
        let reply = self.send(Method::Get, &path, Body::Nothing).await?.ok()?;
        let answer: BTreeMap<String, Declared> = reply.parse()?;
        let mut flaws = Vec::new();
        for (index, Declared { settings }) in answer {
            let is = |setting: &str, value: &str| settings.get(setting).is_some_and(|found| found == value);
            if self.config.may_vote && !is("index.number_of_replicas", "0") {
                flaws.push(Flaw::Copies(index.clone()));
            }
            if is("index.translog.durability", "async") || is("index.translog.durability", "ASYNC") {
                flaws.push(Flaw::Forgets(index));
            }
        }
        Ok(flaws)
    }
}

impl Flaw {
    /// In the contract's words.
    pub(crate) fn failure(&self) -> Failure {
        let message = format!("{self}: {}", self.fix());
        Failure::Refused { reason: RefusedReason::Unsuitable, message }
    }
}
