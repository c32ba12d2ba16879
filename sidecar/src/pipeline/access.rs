use polylog_api::{Code, Problem};
use polylog_log::{Category, Event};

use super::redaction::{Shown, redact};
use crate::{
    identity::Subject,
    policy::{Access, Policy, Scope, Verb},
};

/// An `access_denied` that says what is missing in the store's access list.
pub(crate) fn denied(subject: &Subject, verb: Verb, category: Option<&str>) -> Problem {
    let on = category.map_or(String::new(), |category| format!(" on category {category}"));
    let problem = Problem::new(Code::AccessDenied, format_args!("{subject} may not {verb}{on}"))
        .next_step(format!("have verb {verb}{on} granted to {subject} in spec.access of the EventStore"))
        .fact("subject", subject)
        .fact("verb", verb);
    match category {
        Some(category) => problem.fact("category", category),
        None => problem,
    }
}

/// Refuses a caller who has the verb on no category at all.
pub(crate) fn require_any(access: &Access, subject: &Subject, verb: Verb) -> Result<Scope, Problem> {
    let scope = access.scope(subject, verb);
    if scope.is_empty() { Err(denied(subject, verb, None)) } else { Ok(scope) }
}

/// Refuses an append to a stream of this category.
pub(crate) fn check_append(scope: &Scope, subject: &Subject, category: &Category) -> Result<(), Problem> {
    if scope.holds(category.as_str()) {
        Ok(())
    } else {
        Err(denied(subject, Verb::Append, Some(category.as_str())))
    }
}

/// What a caller may see of a store under a policy.
#[derive(Debug)]
pub(crate) struct Reader {
    scope: Scope,
    reveals: Scope,
    is_admin: bool,
}

impl Reader {
    /// For a verb that reads; refuses a caller who has it on no category.
    pub(crate) fn new(policy: &Policy, subject: &Subject, verb: Verb) -> Result<Self, Problem> {
        Ok(Self {
            scope: require_any(&policy.access, subject, verb)?,
            reveals: policy.access.scope(subject, Verb::Reveal),
            is_admin: !policy.access.scope(subject, Verb::Admin).is_empty(),
        })
    }

    /// Whether the caller may see this event at all. Of the log's own events, `$term` is for all readers, the others
    /// for administrators.
    pub(crate) fn may_see(&self, event: &Event) -> bool {
        match event.stream.is_system() {
            true => self.is_admin || event.stream.as_str() == polylog_log::TERM,
            false => self.scope.holds(event.category.as_str()),
        }
    }

    /// Whether the caller may see streams of this category, by name.
    pub(crate) fn may_see_category(&self, category: &Category) -> bool {
        match category.is_system() {
            true => self.is_admin || category.as_str() == polylog_log::TERM,
            false => self.scope.holds(category.as_str()),
        }
    }

    /// Whether the caller may see every category but the log's own.
    pub(crate) fn may_see_all(&self) -> bool {
        self.scope.is_all()
    }

    /// Whether events of this category are shown as they are.
    pub(crate) fn shows_whole(&self, policy: &Policy, category: &Category) -> bool {
        policy.redact.is_empty() || self.reveals.holds(category.as_str())
    }

    /// Whether all events are shown as they are.
    pub(crate) fn shows_all_whole(&self, policy: &Policy) -> bool {
        policy.redact.is_empty() || self.reveals.is_all()
    }

    /// The event as the caller may see it.
    pub(crate) fn show(&self, policy: &Policy, event: &Event) -> Shown {
        if policy.redact.is_empty() || event.stream.is_system() || self.reveals.holds(event.category.as_str())
        {
            return Shown::Whole;
        }
        redact(&policy.redact, event)
    }
}
