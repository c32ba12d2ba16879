use std::collections::HashMap;

use polylog_log::{Chain, CommitId, ConfigPoint, Entry, LogId, Point};

use crate::members::{Set, voters};

/// A history: the end of a log, which is that of one log only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(u16);

/// The configuration that a history ends under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InForce {
    pub version: u8,
    pub position: u8,
    pub voters: Set,
}

impl InForce {
    fn of(entry: &Entry) -> Option<Self> {
        let ConfigPoint { position, config } = ConfigPoint::of(entry)?;
        let (version, position) = (config.version.0 as u8, position.get() as u8);
        Some(Self { version, position, voters: voters(&config) })
    }
}

struct Node {
    point: Point,
    before: Place,
    config: InForce,
    entry: Option<Entry>,
    is_sound: bool,
}

/// Every history that any source ever had, as a tree: logs that begin alike share what they begin with.
pub struct Histories {
    nodes: Vec<Node>,
    by_chain: HashMap<Chain, Place>,
}

impl Histories {
    pub fn new(log: LogId) -> Self {
        let point = Point::start(log);
        let config = InForce { version: 0, position: 0, voters: Set(0) };
        let start = Node { point, before: Place(0), config, entry: None, is_sound: true };
        Self { nodes: vec![start], by_chain: HashMap::from([(point.chain, Place(0))]) }
    }

    /// Before the first entry.
    pub fn start(&self) -> Place {
        Place(0)
    }

    /// Adds an entry to a history.
    pub fn add(&mut self, before: Place, entry: &Entry) -> Place {
        if let Some(place) = self.by_chain.get(&entry.chain) {
            return *place;
        }
        let place = Place(u16::try_from(self.nodes.len()).expect("bounds keep histories few"));
        let holds = |id: Option<CommitId>| self.log(before).iter().any(|entry| entry.commit_id() == id);
        let is_sound =
            self.is_sound(before) && self.node(before).point.term <= entry.term && !holds(entry.commit_id());
        let config = InForce::of(entry).unwrap_or_else(|| self.config(before));
        self.nodes.push(Node { point: entry.point(), before, config, entry: Some(entry.clone()), is_sound });
        self.by_chain.insert(entry.chain, place);
        place
    }

    fn node(&self, place: Place) -> &Node {
        &self.nodes[usize::from(place.0)]
    }

    pub fn place(&self, point: &Point) -> Place {
        self.by_chain[&point.chain]
    }

    pub fn point(&self, place: Place) -> Point {
        self.node(place).point
    }

    /// Position of the last entry.
    pub fn position(&self, place: Place) -> u8 {
        self.node(place).point.position.get() as u8
    }

    /// Term of the last entry.
    pub fn term(&self, place: Place) -> u8 {
        self.node(place).point.term.get() as u8
    }

    /// The configuration in force at its end.
    pub fn config(&self, place: Place) -> InForce {
        self.node(place).config
    }

    /// Whether terms never fall in it, and nothing stands in it twice.
    pub fn is_sound(&self, place: Place) -> bool {
        self.node(place).is_sound
    }

    /// The beginning of a history, up to a position.
    pub fn up_to(&self, mut place: Place, position: u8) -> Place {
        while self.position(place) > position {
            place = self.node(place).before;
        }
        place
    }

    /// Whether `whole` goes on from `beginning`, or is the same.
    pub fn holds(&self, whole: Place, beginning: Place) -> bool {
        self.up_to(whole, self.position(beginning)) == beginning
    }

    /// Whether one of the two goes on from the other.
    pub fn agree(&self, one: Place, other: Place) -> bool {
        self.holds(one, other) || self.holds(other, one)
    }

    /// Where two histories part.
    pub fn fork(&self, one: Place, other: Place) -> Place {
        let (mut one, mut other) =
            (self.up_to(one, self.position(other)), self.up_to(other, self.position(one)));
        while one != other {
            (one, other) = (self.node(one).before, self.node(other).before);
        }
        one
    }

    /// The entries of `last` that follow `previous`.
    pub fn between(&self, previous: Place, last: Place) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut place = last;
        while place != previous && self.position(place) > 0 {
            let node = self.node(place);
            entries.extend(node.entry.clone());
            place = node.before;
        }
        entries.reverse();
        entries
    }

    /// A whole log.
    pub fn log(&self, place: Place) -> Vec<Entry> {
        self.between(self.start(), place)
    }
}
