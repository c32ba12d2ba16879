use crate::{Digest, Event, FORMAT, Head, Identity, Position, Refusal, Rule, Rules};

/// See [`Source::strip`](crate::Source::strip).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strip {
    /// The events whose data is dropped, each with the digest that it must have.
    pub events: Vec<(Position, Digest)>,
}

impl Strip {
    /// Whether the event is one of those: the very event that the sender saw, whatever became of the log since. The log
    /// itself needs the data of its own events.
    pub fn names(&self, event: &Event, rules: Rules) -> bool {
        let is_it = |(position, digest): &(Position, Digest)| {
            *position == event.position && (*digest == event.digest || !rules.on(Rule::StripsThatEvent))
        };
        self.events.iter().any(is_it) && !(event.is_system() && rules.on(Rule::StripsThatEvent))
    }
}

impl Head {
    /// Decides whether data is dropped here; of which events, [`Strip::names`] says. The digest of an event stands for
    /// its whole place in the log, so that a request that comes late, or from somebody who was deposed, is as good as any.
    pub fn admit_strip(&self, of: &Identity, rules: Rules) -> Result<(), Refusal> {
        if rules.on(Rule::Identity) && *of != self.identity {
            return Err(Refusal::WrongStore);
        }
        if self.format > FORMAT {
            return Err(Refusal::NewerFormat { found: self.format, known: FORMAT });
        }
        Ok(())
    }
}
