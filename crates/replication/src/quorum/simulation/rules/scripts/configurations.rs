//! Voters that come and go.

use super::*;

/// Two of three is a majority only where nobody knows of more voters.
#[test]
fn an_election_counts_by_the_configuration_of_the_best_log() {
    let plan = Plan { spare: 2, ..three(None) };
    needs_in(Rule::ConfigOfBest, plan, |stage| {
        stage.open()?;
        stage.pass(|_, source, operation| !copies(operation) || source != 1);
        stage.want(&[0, 1, 2, 3]);
        stage.until("three of four count four", |world| {
            [0, 2, 3].iter().all(|index| world.voters_at(*index) == 4) && world.is_settled(0)
        })?;
        stage.want(&[0, 1, 2, 3, 4]);
        stage.until("a fifth learns", |world| {
            world.learners_at(0) == 1 && world.tail_of(4) == world.tail_of(0) && world.learners_at(2) == 1
        })?;
        stage.lines(&[(0, 0), (0, 3), (0, 4)]);
        stage.until("three of five count five", |world| {
            [0, 3, 4].iter().all(|index| world.voters_at(*index) == 5) && world.is_settled(0)
        })?;
        stage.lines(&[(0, 0), (0, 3), (0, 4)]);
        stage.append(0, 0)?;
        stage.until("a commit is acknowledged", |world| world.is_told(0))?;
        // a process that knows only the other two, of which one counts three and the other four
        stage.lines(&[(1, 1), (1, 2)]);
        stage.world.kill(1);
        stage.until("another is opened", |world| world.leads(1, 2) || world.leads(2, 2))
    });
}

/// Two majorities that share nobody.
#[test]
fn one_voter_comes_or_goes_at_a_time() {
    let plan = Plan { spare: 2, ..three(None) };
    needs_in(Rule::OneVoter, plan, |stage| {
        stage.open()?;
        stage.lines(&[(0, 0), (0, 3), (0, 4)]);
        stage.want(&[0, 3, 4]);
        stage.until("the log counts others", |world| world.voters_at(0) == 3 && world.has_voter(0, 4))?;
        stage.append(0, 0)?;
        stage.until("a commit is acknowledged", |world| world.is_told(0))?;
        stage.lines(&[(1, 1), (1, 2)]);
        stage.until("another is opened", |world| world.leads(1, 2) || world.leads(2, 2))
    });
}

/// Two changes in a row, neither of them committed, are two voters at once.
#[test]
fn a_configuration_follows_only_one_that_is_committed() {
    let plan = Plan { spare: 2, ..three(None) };
    needs_in(Rule::ConfigCommitted, plan, |stage| {
        stage.open()?;
        stage.lines(&[(0, 0), (0, 1), (0, 2), (0, 3), (0, 4)]);
        stage.want(&[0, 1, 2, 3, 4]);
        stage.until("both learn", |world| {
            world.learners_at(0) == 2
                && (0..5).all(|index| world.tail_of(index) == world.tail_of(0))
                && world.is_settled(0)
        })?;
        stage.lines(&[(0, 0), (0, 3), (0, 4)]);
        stage.until("the log counts five", |world| world.voters_at(0) == 5)?;
        stage.append(0, 0)?;
        stage.until("a commit is acknowledged", |world| world.is_told(0))?;
        stage.lines(&[(1, 1), (1, 2)]);
        stage.until("another is opened", |world| world.leads(1, 2) || world.leads(2, 2))
    });
}

/// A configuration of a term that is not committed, and one of a term that never saw it.
#[test]
fn a_configuration_is_written_only_once_its_term_is_committed() {
    let plan = Plan { voters: 4, spare: 1, ..three(None) };
    needs_in(Rule::ConfigUnderTerm, plan, |stage| {
        stage.open()?;
        // under the first term one voter goes, and nobody is told
        stage.lines(&[(0, 0)]);
        stage.want_of(0, &[0, 1, 2]);
        stage.until("the first source counts three", |world| world.voters_at(0) == 3)?;
        // under the second another goes, before its opening is committed
        stage.pass(|peer, source, operation| peer == 1 && source != 0 && !copies(operation));
        stage.want_of(1, &[0, 1, 3]);
        stage.until("the second source is opened", |world| world.leads(1, 2))?;
        stage.until("the second source counts three", |world| world.voters_at(1) == 3)?;
        stage.lines(&[(1, 1), (1, 3)]);
        stage.append(1, 1)?;
        stage.until("a commit is acknowledged", |world| world.is_told(1))?;
        stage.lines(&[(0, 0), (0, 2)]);
        stage.until("another is opened", |world| world.leads(0, 3) || world.leads(2, 3))
    });
}

impl Stage {
    /// All processes are told which sources shall be voters.
    fn want(&mut self, voters: &[usize]) {
        (0..self.world.peers.len()).for_each(|peer| self.want_of(peer, voters));
    }

    fn want_of(&mut self, peer: usize, voters: &[usize]) {
        let members = voters.iter().map(|index| self.world.member_of(*index));
        let config: Config = (*self.world.sources[&name(0)].head.config.config).clone();
        let config = Config { voters: members.collect(), learners: Vec::new(), ..config };
        self.world.peers[peer].want_config(Some(config));
    }
}
