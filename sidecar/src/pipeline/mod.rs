//! The interceptors, in the order in which an append passes them: access, validation, enrichment, limits; and those of
//! answers: access and redaction.

mod access;
mod caller;
mod enrichment;
mod limits;
mod redaction;
mod routes;
mod validation;

pub(crate) use access::{Reader, check_append, denied, require_any};
pub(crate) use caller::Caller;
pub(crate) use limits::problem as limit_exceeded;
pub(crate) use routes::{Routes, check as check_routes};

use polylog_api::Problem;
use polylog_log::{Commit, Limits};

use crate::policy::{Policy, Violation};

/// What the interceptors of an append look at beside the commit. Access was checked before: it needs the log.
pub(crate) struct Incoming<'a> {
    /// The policy in force.
    pub(crate) policy: &'a Policy,
    /// Who appends.
    pub(crate) caller: &'a Caller,
    /// What the source can hold at most.
    pub(crate) source_limits: Limits,
    /// Which source keeps the data of which events.
    pub(crate) routes: &'a Routes,
}

/// Runs a commit through validation, enrichment and limits. Returns violations that are only warned of.
///
/// Identity and fingerprint of the commit stay as they are: they are those of what the caller sent.
pub(crate) fn intercept(incoming: &Incoming<'_>, commit: &mut Commit) -> Result<Vec<Violation>, Problem> {
    let warnings = validation::check(&incoming.policy.schemas, commit)?;
    enrichment::enrich(&incoming.policy.enrich, incoming.caller, commit);
    incoming.routes.stamp(commit);
    limits::check(incoming.policy.limits, incoming.source_limits, commit)?;
    Ok(warnings)
}
