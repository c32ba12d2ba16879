//! What fails, and what the operator asks for meanwhile.

use std::{collections::BTreeSet, time::Duration};

use polylog_log::{Config, SourceName};
use rand::Rng;

use super::{
    plan::Fault,
    source::SimSource,
    world::{Happening, World, identity, member, name},
};

/// So many operations may still reach a restored source before anybody looks at its answers.
const LATE: u64 = 30;

impl World {
    pub(super) fn fault(&mut self) {
        if !self.is_stormy() {
            self.say(|| "---- the storm is over".into());
            self.down.clear();
            self.read_only.clear();
            self.cut.clear();
            self.slow.clear();
            return;
        }
        let total: u32 = self.fault_kinds().iter().map(|(_, weight)| weight).sum();
        let mut drawn = self.random.random_range(0..total);
        let kinds = self.fault_kinds().to_vec();
        let found = kinds.iter().find(|(_, weight)| {
            let is_it = drawn < *weight;
            drawn = drawn.saturating_sub(*weight);
            is_it
        });
        if let Some((fault, _)) = found {
            self.happens(*fault);
        }
        let every = self.plan.fault_every;
        let next = self.millis(every / 20..every);
        let left = (self.began + self.plan.stormy).saturating_duration_since(self.now);
        self.after(next.min(left + Duration::from_millis(1)), Happening::Fault);
    }

    fn any_source(&mut self) -> SourceName {
        let count = self.plan.sources();
        let any = name(self.random.random_range(0..count));
        let is_primary = self.chance(0.4);
        self.primary().filter(|_| is_primary).map_or(any, |(name, _)| name.clone())
    }

    fn happens(&mut self, fault: Fault) {
        let source = self.any_source();
        let peer = self.random.random_range(0..self.plan.peers);
        self.say(|| format!("---- {fault:?}: {source}, p{peer}"));
        match fault {
            Fault::Down => {
                self.down.insert(source);
            }
            Fault::ReadOnly => {
                self.read_only.insert(source);
            }
            Fault::Up => {
                self.down.clear();
                self.read_only.clear();
                self.slow.clear();
            }
            Fault::Cut => {
                self.cut.insert((peer, source));
            }
            Fault::Mend => self.cut.clear(),
            Fault::Kill => self.kill(peer),
            Fault::Slow => {
                self.slow.insert(source);
            }
            Fault::Clock => {
                let by = self.random.random_range(-10_000_000..10_000_000);
                let clock = &mut self.sources.get_mut(&source).expect("it is one of them").clock;
                *clock = (*clock + by).max(0);
            }
            Fault::Restore => self.restore(source),
            Fault::Wipe => self.wipe(&source),
            Fault::Switch => {
                let voter = name(self.random.random_range(0..self.plan.voters));
                self.wanted_primary = Some(voter.clone());
                self.peers.iter_mut().for_each(|peer| peer.want_primary(Some(voter.clone())));
            }
            Fault::Members => self.members_change(),
            Fault::Force => {
                let absent: BTreeSet<SourceName> = self.down.clone();
                let said = self.peers[peer].force(absent);
                self.say(|| format!("---- p{peer} is to open without those that are down: {said:?}"));
            }
        }
    }

    pub(super) fn kill(&mut self, peer: usize) {
        self.lives[peer] += 1;
        self.peers[peer] = self.fresh_peer(peer);
        for client in 0..self.plan.clients {
            if self.clients.pending[client].as_ref().is_some_and(|pending| pending.peer == peer) {
                self.after(Duration::from_millis(50), Happening::Client(client));
            }
        }
    }

    fn want(&mut self, config: Config) {
        self.peers.iter_mut().for_each(|peer| peer.want_config(Some(config.clone())));
        self.wanted = Some(config);
    }

    /// One to all sources as voters, one more or less than before.
    fn members_change(&mut self) {
        let Some(mut wanted) = self.wanted.clone() else { return };
        let count = self.plan.sources();
        let mut chosen: BTreeSet<usize> = (0..count).filter(|_| self.random.random_bool(0.7)).collect();
        while chosen.len() < 2 {
            chosen.insert(self.random.random_range(0..count));
        }
        let member = |index: &usize| member(name(*index), &self.sources[&name(*index)].head.identity);
        wanted.voters = chosen.iter().map(member).collect();
        wanted.order = wanted.voters.iter().map(|member| member.name.clone()).collect();
        let names = wanted.order.clone();
        self.say(|| format!("---- voters shall be {names:?}"));
        // a primary that goes is switched away first
        self.wanted_primary = names.first().cloned();
        let first = self.wanted_primary.clone();
        self.peers.iter_mut().for_each(|peer| peer.want_primary(first.clone()));
        self.want(wanted);
    }

    /// Whether every voter holds all of the log.
    fn is_whole(&self) -> bool {
        let Some((_, primary)) = self.primary() else { return false };
        let voters = &primary.head.config.config.voters;
        self.is_counted()
            && voters.iter().all(|voter| self.sources[&voter.name].head.tail == primary.head.tail)
    }

    /// Whether every voter is the database that the log counts, and that is settled.
    fn is_counted(&self) -> bool {
        let Some((_, primary)) = self.primary() else { return false };
        let config = &primary.head.config;
        let same = config.config.voters.iter().all(|voter| {
            let head = self.sources.get(&voter.name).map(|source| &source.head);
            head.is_some_and(|head| head.identity.incarnation == voter.incarnation)
        });
        let settled = primary.head.watermarks.stable;
        self.outside.is_empty()
            && same
            && config.config.voters.len() == self.plan.voters
            && settled >= config.position
            && !settled.is_zero()
    }

    /// Puts yesterday's backup back, while all processes run or between their deaths and their next lives, if everybody would
    /// notice: those that run by what they saw, those that begin by what the other sources keep.
    fn restore(&mut self, source: SourceName) {
        let nobody_runs = self.chance(0.5);
        let is_noticed = self.backups.get(&source).is_some_and(|backup| {
            let late = backup.head.revision + LATE;
            let mut others = self.sources.iter().filter(|(name, _)| **name != source);
            (nobody_runs || self.peers.iter().all(|peer| peer.notices_below(&source) > late))
                && others.all(|(_, other)| other.keeps_of(&backup.head.identity) > late)
        });
        let may_be_restored = self.is_whole() || nobody_runs && self.is_counted();
        if !is_noticed || !may_be_restored {
            // one that is made often is too new to be missed
            if !self.backups.is_empty() && self.chance(0.7) {
                return;
            }
            let made = self.sources.iter().map(|(name, source)| (name.clone(), source.clone())).collect();
            self.backups = made;
            return;
        }
        self.say(|| format!("---- the backup of {source} is put back"));
        let backup = self.backups.remove(&source).expect("it was looked at");
        self.sources.insert(source.clone(), backup);
        self.outside.insert(source.clone());
        if nobody_runs {
            self.say(|| "---- nobody ran meanwhile".into());
            (0..self.plan.peers).for_each(|peer| self.kill(peer));
        }
        let later = self.millis(50..600);
        self.after(later, Happening::Adopt(source));
    }

    fn wipe(&mut self, source: &SourceName) {
        if self.is_whole() {
            self.say(|| format!("---- the database of {source} is lost"));
            self.replace(source);
        }
    }

    fn replace(&mut self, source: &SourceName) {
        self.identities += 1;
        let config = (*self.sources[source].configs().next().expect("the implicit one").config).clone();
        let empty =
            SimSource::new(identity(self.identities), config, self.plan.page, self.plan.sources_without);
        self.sources.insert(source.clone(), empty);
        self.backups.remove(source);
        self.welcome(source);
    }

    /// The operator adopts a restored database again. What it wrote beside the log since, as a primary that forgot, must
    /// go: then it begins empty.
    pub(super) fn adopt(&mut self, source: &SourceName) {
        self.say(|| format!("---- {source} is adopted again"));
        self.outside.remove(source);
        let tail = self.sources[source].head.tail;
        let others = self.sources.iter().filter(|(name, _)| *name != source).map(|(_, source)| source);
        let best = others.max_by_key(|source| (source.head.tail.term, source.head.tail.position));
        let is_clean = best
            .is_some_and(|best| best.entry_at(tail.position).is_some_and(|entry| entry.chain == tail.chain));
        if !is_clean || self.chance(0.5) {
            return self.replace(source);
        }
        self.identities += 1;
        let incarnation = identity(self.identities).incarnation;
        self.sources.get_mut(source).expect("it is one of them").adopt(incarnation);
        self.backups.remove(source);
        self.welcome(source);
    }

    /// Another database, or another adoption, takes the old one's place.
    fn welcome(&mut self, source: &SourceName) {
        let identity = self.sources[source].head.identity;
        self.peers.iter_mut().for_each(|peer| peer.know(source.clone(), identity));
        let heads = self.sources.values().map(|source| &source.head);
        let newest = heads.max_by_key(|head| (head.tail.term, head.tail.position));
        let newest = newest.map(|head| (*head.config.config).clone());
        let Some(mut wanted) = self.wanted.clone().or(newest) else { return };
        wanted.voters.retain(|voter| voter.name != *source);
        wanted.voters.push(member(source.clone(), &identity));
        // a primary that is replaced must not stay
        let other = wanted.voters[0].name.clone();
        self.wanted_primary = Some(other.clone());
        self.peers.iter_mut().for_each(|peer| peer.want_primary(Some(other.clone())));
        self.want(wanted);
    }
}
