//! What this process remembers of each store, so that a look at an unchanged one asks nobody anything.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use polylog_crds::{event_store::EventStoreStatus, manifests::ObjectKey};
use polylog_log::{Identity, LogId};

use super::{gateway::Seen, joining::Newcomers, status::Judged};

/// How often a store is looked at.
pub(crate) const EVERY: Duration = Duration::from_secs(30);
/// How often a status is written at most, unless a condition changes.
pub(crate) const STATUS_EVERY: Duration = Duration::from_secs(30);
/// How often a gateway is asked at least that does not answer.
const SILENT: Duration = Duration::from_secs(120);
/// The first wait after something stood in the way; it doubles each time.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(300);

/// What a look at a store depended on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inputs {
    /// Another object of the same name has another.
    pub(crate) uid: String,
    pub(crate) generation: Option<i64>,
    pub(crate) approval: Option<String>,
    /// Whether sources that come may vote; only where they wait for it.
    pub(crate) may_vote: bool,
}

/// What is remembered of a store.
#[derive(Debug, Clone, Default)]
pub(crate) struct Remembered {
    pub(crate) inputs: Option<Inputs>,
    pub(crate) judged: Option<Judged>,
    /// When its databases are looked at again.
    pub(crate) next: Option<Instant>,
    /// How often in a row something stood in the way.
    pub(crate) failures: u32,
    pub(crate) gateway: Option<(Instant, Seen)>,
    /// How often in a row the gateway had not opened the log.
    pub(crate) unopened: u32,
    /// What was written last, and when.
    pub(crate) status: Option<(Instant, EventStoreStatus)>,
    /// The log that was found in a database.
    pub(crate) log: Option<LogId>,
    /// What each database held when it was looked at last.
    pub(crate) identities: BTreeMap<String, Identity>,
    /// What databases become that come to the log.
    pub(crate) newcomers: Arc<Newcomers>,
    /// It is to be asked whatever it said before.
    pub(crate) should_ask: bool,
    /// The plan whose waiting was told.
    pub(crate) told: Option<String>,
    /// Of a deleted store: its gateway was told to end.
    pub(crate) gateway_is_ended: bool,
    /// Of a deleted store: how often in a row it could not be wiped yet.
    pub(crate) waits: u32,
}

impl Remembered {
    /// Whether it is time to look at everything again.
    pub(crate) fn is_due(&self, inputs: &Inputs, now: Instant) -> bool {
        self.inputs.as_ref() != Some(inputs)
            || self.judged.is_none()
            || self.next.is_none_or(|next| now >= next)
    }
}

impl Remembered {
    /// When the gateway is asked again: soon while it does not serve, as after an EventStore was applied. One that does not
    /// answer at all is asked more and more seldom, since that it is ready is seen by its Deployment.
    pub(crate) fn gateway_wait(&self) -> Duration {
        match &self.gateway {
            Some((_, Seen::Answered { is_open: true, .. })) => EVERY,
            Some((_, Seen::Answered { .. })) => back_off(self.unopened.max(1), 0.5).min(EVERY),
            _ => back_off(self.unopened.max(1), 0.5).min(SILENT),
        }
    }

    /// Whether its last answer is too old. A little before its time, since that is when it is looked at.
    pub(crate) fn should_ask_gateway(&self) -> bool {
        self.should_ask
            || self.gateway.as_ref().is_none_or(|(asked, _)| asked.elapsed() >= self.gateway_wait() / 2)
    }

    /// Notes what the gateway said. Why it does not answer may be another reason each time: a new one counts after the
    /// second, the fourth, the eighth time, so that it does not have the status written each time.
    pub(crate) fn gateway_said(&mut self, asked: Instant, seen: Seen) {
        let is_open = matches!(seen, Seen::Answered { is_open: true, .. });
        self.unopened = if is_open { 0 } else { self.unopened.saturating_add(1) };
        let is_old_news = !self.unopened.is_power_of_two();
        let seen = match (self.gateway.take(), seen) {
            (Some((_, before @ Seen::Nothing(_))), Seen::Nothing(_)) if is_old_news => before,
            (_, seen) => seen,
        };
        self.gateway = Some((asked, seen));
        self.should_ask = false;
    }
}

/// How long to wait after so many failures in a row; `share` from 0 to 1 spreads it.
pub(crate) fn back_off(failures: u32, share: f64) -> Duration {
    let doubled = SHORTEST.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
    spread(doubled.min(LONGEST), share)
}

/// A time give or take a tenth.
pub(crate) fn spread(time: Duration, share: f64) -> Duration {
    time.mul_f64(0.9 + 0.2 * share.clamp(0.0, 1.0))
}

/// When the databases of a store that is as it should be are looked at again. The first time is anywhere in the period, since
/// all stores are looked at together when a process begins: an hour later they would still come together.
pub(crate) fn drift_wait(every: Duration, is_first: bool, share: f64) -> Duration {
    if is_first { every.mul_f64(share.clamp(0.0, 1.0)) } else { spread(every, share) }
}

/// What something that was seen asks of the next reconcile of a store, also of one that is under way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    /// Everything is looked at again.
    pub(crate) look: bool,
    /// The gateway is asked.
    pub(crate) ask: bool,
}

/// What is remembered of every store.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    stores: Mutex<HashMap<ObjectKey, Remembered>>,
    /// Apart, since a reconcile that is under way writes back what it read.
    wishes: Mutex<HashMap<ObjectKey, Wish>>,
    /// What gateways said and no reconcile has taken up; apart for the same reason.
    answers: Mutex<HashMap<ObjectKey, (Instant, Seen)>>,
}

impl Memory {
    /// What is remembered, with what was wished and answered since.
    pub(crate) fn get(&self, key: &ObjectKey) -> Remembered {
        let wish = self.wishes.lock().remove(key).unwrap_or_default();
        let answer = self.answers.lock().remove(key);
        let mut stores = self.stores.lock();
        if wish == Wish::default() && answer.is_none() {
            return stores.get(key).cloned().unwrap_or_default();
        }
        let remembered = stores.entry(key.clone()).or_default();
        if let Some((asked, seen)) = answer {
            remembered.gateway_said(asked, seen);
        }
        if wish.look {
            remembered.next = None;
        }
        if wish.ask {
            remembered.should_ask = true;
            remembered.unopened = 0;
        }
        remembered.clone()
    }

    pub(crate) fn put(&self, key: ObjectKey, remembered: Remembered) {
        self.stores.lock().insert(key, remembered);
    }

    /// Adds to what the next reconcile does.
    pub(crate) fn wish(&self, key: ObjectKey, wish: Wish) {
        let mut wishes = self.wishes.lock();
        let wished = wishes.entry(key).or_default();
        wished.look |= wish.look;
        wished.ask |= wish.ask;
    }

    /// What a gateway said, for the next reconcile.
    pub(crate) fn answer(&self, key: ObjectKey, asked: Instant, seen: Seen) {
        self.answers.lock().insert(key, (asked, seen));
    }

    /// Everything is looked at again when it is reconciled next.
    pub(crate) fn look_again(&self) {
        let known: Vec<ObjectKey> = self.stores.lock().keys().cloned().collect();
        for key in known {
            self.wish(key, Wish { look: true, ask: false });
        }
    }

    pub(crate) fn forget(&self, key: &ObjectKey) {
        self.stores.lock().remove(key);
        self.wishes.lock().remove(key);
        self.answers.lock().remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_minutes() {
        let waits: Vec<u64> = [1, 2, 3, 9, 10, 40, u32::MAX].map(|n| back_off(n, 0.5).as_secs()).into();
        assert_eq!(waits, [1, 2, 4, 256, 300, 300, 300]);
        assert_eq!(back_off(1, 0.0), Duration::from_millis(900));
        assert_eq!(back_off(1, 1.0), Duration::from_millis(1100));
    }

    #[test]
    fn stores_that_begin_together_are_looked_at_apart() {
        let every = Duration::from_secs(600);
        let first = [0.0, 0.25, 1.0].map(|share| drift_wait(every, true, share).as_secs());
        assert_eq!(first, [0, 150, 600]);
        let later = [0.0, 0.5, 1.0].map(|share| drift_wait(every, false, share).as_secs());
        assert_eq!(later, [540, 600, 660]);
    }

    #[test]
    fn a_reason_that_changes_each_time_is_told_more_and_more_seldom() {
        let mut remembered = Remembered::default();
        let told: Vec<String> = (1..=9)
            .map(|number| {
                remembered.gateway_said(Instant::now(), Seen::Nothing(number.to_string()));
                match &remembered.gateway {
                    Some((_, Seen::Nothing(reason))) => reason.clone(),
                    other => panic!("{other:?}"),
                }
            })
            .collect();
        assert_eq!(told, ["1", "2", "2", "4", "4", "4", "4", "8", "8"]);
        assert_eq!(remembered.gateway_wait(), SILENT);
    }

    #[test]
    fn an_answer_waits_for_the_next_reconcile_also_for_one_that_is_under_way() {
        let memory = Memory::default();
        let key = ObjectKey {
            namespace: "shop".parse().expect("a name"),
            name: "payments".parse().expect("a name"),
        };
        let under_way = memory.get(&key);
        memory.answer(key.clone(), Instant::now(), Seen::Nothing("gone".into()));
        memory.put(key.clone(), under_way);
        let next = memory.get(&key);
        assert!(matches!(&next.gateway, Some((_, Seen::Nothing(reason))) if reason == "gone"), "{next:?}");
        assert_eq!(next.unopened, 1);
        assert_eq!(memory.get(&key).unopened, 1, "it is taken once");
    }

    #[test]
    fn a_gateway_that_does_not_serve_yet_is_asked_soon_and_then_more_and_more_seldom() {
        let now = Instant::now();
        let mut remembered = Remembered::default();
        assert!(remembered.should_ask_gateway());
        let mut waits = Vec::new();
        for _ in 0..9 {
            remembered.gateway_said(now, Seen::Nothing("it is not there".into()));
            waits.push(remembered.gateway_wait().as_secs());
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 120, 120]);
        let closed = Seen::Answered {
            is_open: false,
            position: None,
            sources: Default::default(),
            primary: None,
            term: None,
        };
        remembered.gateway_said(now, closed);
        assert_eq!(remembered.gateway_wait(), EVERY, "it answers, and has not opened the log");
        remembered.unopened = 0;
        assert_eq!(remembered.gateway_wait(), SHORTEST);
        let open = Seen::Answered {
            is_open: true,
            position: None,
            sources: Default::default(),
            primary: None,
            term: None,
        };
        remembered.gateway_said(now, open);
        assert_eq!((remembered.gateway_wait(), remembered.unopened), (EVERY, 0));
        assert!(!remembered.should_ask_gateway());
    }

    #[test]
    fn a_wish_during_a_reconcile_is_not_lost() {
        let memory = Memory::default();
        let key = ObjectKey {
            namespace: "shop".parse().expect("a name"),
            name: "payments".parse().expect("a name"),
        };
        let asked = (Instant::now(), Seen::Nothing(String::new()));
        let under_way = Remembered { gateway: Some(asked), unopened: 6, ..memory.get(&key) };
        assert!(!under_way.should_ask_gateway());
        memory.wish(key.clone(), Wish { ask: true, ..Wish::default() });
        memory.wish(key.clone(), Wish { look: true, ..Wish::default() });
        memory.put(key.clone(), Remembered { next: Some(Instant::now()), ..under_way });
        let next = memory.get(&key);
        assert!(next.should_ask_gateway() && next.next.is_none() && next.unopened == 0);
        let mut asked = next;
        asked.gateway_said(Instant::now(), Seen::Nothing(String::new()));
        assert!(!asked.should_ask_gateway());
        memory.put(key.clone(), asked);
        assert!(!memory.get(&key).should_ask_gateway(), "once");
    }

    #[test]
    fn a_look_is_due_when_something_changed_or_its_time_has_come() {
        let now = Instant::now();
        let inputs = |generation| Inputs {
            uid: "1".into(),
            generation: Some(generation),
            approval: None,
            may_vote: false,
        };
        let refusal = super::super::refusal::Refusal::new(super::super::refusal::Reason::Unreachable, "");
        let remembered = Remembered {
            inputs: Some(inputs(1)),
            judged: Some(Judged::Refused(refusal)),
            next: Some(now + EVERY),
            ..Remembered::default()
        };
        assert!(!remembered.is_due(&inputs(1), now));
        assert!(remembered.is_due(&inputs(2), now));
        assert!(remembered.is_due(&inputs(1), now + EVERY));
        assert!(Remembered::default().is_due(&inputs(1), now));
    }
}
