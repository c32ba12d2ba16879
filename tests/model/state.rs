use crate::contract::{Place, Request, Source};

/// The most sources that a run may have.
pub const SOURCES: usize = 4;

/// All that there is at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// What is on disk.
    pub sources: [Source; SOURCES],
    /// What is in memory.
    pub processes: Vec<Process>,
    /// Requests that nobody waits for any more, in order.
    pub late: Vec<(usize, Request)>,
    /// How often a process forgot all.
    pub crashes: u8,
    /// What was promised to the world so far; no process knows it.
    pub told: Told,
}

/// One writer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Process {
    /// How often it forgot all.
    pub lives: u8,
    /// The last term that it asked for: it asks for a term once, as long as it remembers.
    pub asked: u8,
    /// The primary that it obeys.
    pub lead: Option<Lead>,
    /// Its election.
    pub attempt: Option<Attempt>,
}

/// A primary, as a process knows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lead {
    /// The term that counts.
    pub term: u8,
    /// The primary.
    pub primary: usize,
    /// Its log, as far as it was seen.
    pub tail: Place,
    /// How far each source holds that log, as it was counted under this term.
    pub held: [Place; SOURCES],
    /// The end of an append whose client waits.
    pub waiting: Option<Place>,
}

/// One try to open a primary.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Attempt {
    /// The term it asks for.
    pub term: u8,
    /// Its name.
    pub nonce: u8,
    /// The tails of those that promised.
    pub grants: [Option<Place>; SOURCES],
    /// The tails that were seen before anybody promised; kept only where the rule is off.
    pub seen: Option<[Place; SOURCES]>,
    /// Who becomes primary, and the best log.
    pub chosen: Option<(usize, Place)>,
}

/// What clients and readers were told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Told {
    /// The longest log that was settled.
    pub settled: Place,
    /// The term under which that was counted first.
    pub settled_by: u8,
    /// The longest log whose last entry was acknowledged, and the term under which it was.
    pub answered: Option<(Place, u8)>,
    /// Whether a source removed what it held.
    pub is_removed: bool,
    /// The first thing that went wrong in a step, rather than in a state.
    pub broken: Option<Broken>,
}

/// What must not happen in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Broken {
    /// Two logs were settled, and neither goes on from the other.
    SettledTwice,
    /// Two answers rest on logs of which neither goes on from the other.
    AnsweredTwice,
    /// What a source showed it shows no longer.
    Hidden,
    /// A strong read missed what was acknowledged before.
    Missed,
}
