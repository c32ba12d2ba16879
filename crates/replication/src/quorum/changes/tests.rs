use polylog_log::{DatabaseId, Incarnation};

use super::*;

fn name(name: &str) -> SourceName {
    SourceName::parse(name).expect("a name")
}

fn member(of: &str, database: u8) -> Member {
    let incarnation = Incarnation::from_bytes([database; 16]);
    Member { name: name(of), database: DatabaseId::from_bytes([database; 16]), incarnation }
}

fn config(voters: &[Member], acks: Acks) -> Config {
    Config { voters: voters.to_vec(), acks, ..Config::implicit(voters[0].clone()) }
}

/// All steps to the goal, as voters and learners by name; at most twenty.
fn steps(from: &Config, wanted: &Config, rules: Rules) -> Vec<(String, String)> {
    let mut config = from.clone();
    let mut steps = Vec::new();
    let primary = from.voters[0].name.clone();
    while steps.len() < 20 {
        let around = Circumstances { rules, primary: &primary, is_level: &|_| true, is_out: &|_| false };
        let Some(next) = next(&config, Some(wanted), &around) else { break };
        let names = |members: &[Member]| {
            let names =
                members.iter().map(|member| format!("{}{}", member.name, member.database.as_bytes()[0]));
            names.collect::<Vec<_>>().join(" ")
        };
        steps.push((names(&next.voters), names(&next.learners)));
        config = next;
    }
    steps
}

#[test]
fn a_source_comes_as_a_learner_and_one_voter_goes_at_a_time() {
    let (a, b, c, d) = (member("a", 1), member("b", 2), member("c", 3), member("d", 4));
    let from = config(&[a.clone(), b.clone(), c], Acks::Majority);
    let to = config(&[a, b, d], Acks::Majority);
    let expected = [("a1 b2 c3", "d4"), ("a1 b2 c3 d4", ""), ("a1 b2 d4", "c3"), ("a1 b2 d4", "")];
    let expected: Vec<_> =
        expected.iter().map(|(voters, learners)| ((*voters).into(), (*learners).into())).collect();
    assert_eq!(steps(&from, &to, Rules::default()), expected);
    assert_eq!(steps(&from, &to, Rules { off: Some(Rule::OneVoter) }).len(), 1, "the switch does something");
}

#[test]
fn another_database_of_the_same_name_waits_until_the_old_one_is_gone() {
    let (a, b, c, again) = (member("a", 1), member("b", 2), member("c", 3), member("c", 9));
    let from = config(&[a.clone(), b.clone(), c], Acks::Majority);
    let to = config(&[a, b, again], Acks::Majority);
    let expected = [("a1 b2", "c3"), ("a1 b2", ""), ("a1 b2", "c9"), ("a1 b2 c9", "")];
    let expected: Vec<_> =
        expected.iter().map(|(voters, learners)| ((*voters).into(), (*learners).into())).collect();
    assert_eq!(steps(&from, &to, Rules::default()), expected);
}

#[test]
fn the_primary_and_the_last_that_acks_need_do_not_go() {
    let (a, b) = (member("a", 1), member("b", 2));
    let from = config(&[a.clone(), b.clone()], Acks::Count(2));
    assert!(steps(&from, &config(&[a], Acks::Count(2)), Rules::default()).is_empty());
    assert!(
        steps(&from, &config(&[b], Acks::Count(1)), Rules::default()).len() < 3,
        "the primary stays a voter"
    );
}

#[test]
fn the_set_in_sync_shrinks_only_to_a_majority_and_grows_again() {
    let voters = [member("a", 1), member("b", 2), member("c", 3)];
    let mut current = config(&voters, Acks::All);
    current.in_sync = voters.iter().map(|voter| voter.name.clone()).collect();
    current.min_in_sync = 2;
    let primary = name("a");
    let shrunk = |silent: &[&str], current: &Config| {
        let is_out = |name: &SourceName| silent.contains(&name.as_str());
        let around = Circumstances {
            rules: Rules::default(),
            primary: &primary,
            is_level: &|_| true,
            is_out: &is_out,
        };
        next(current, None, &around)
    };
    let without_c = shrunk(&["c"], &current).expect("one may go");
    assert_eq!(without_c.in_sync, [name("a"), name("b")]);
    assert_eq!(shrunk(&["b", "c"], &current), None, "one of three is no majority");
    assert_eq!(shrunk(&["b"], &without_c).map(|config| config.in_sync), Some(vec![name("a"), name("c")]));
    assert_eq!(shrunk(&[], &without_c).map(|config| config.in_sync.len()), Some(3));
}

#[test]
fn who_kept_data_once_stays_a_voter_unless_another_database_takes_its_place() {
    let (a, b, c, d) = (member("a", 1), member("b", 2), member("c", 3), member("d", 4));
    let from =
        Config { keepers: vec![name("c")], ..config(&[a.clone(), b.clone(), c.clone()], Acks::Majority) };
    let without = config(&[a.clone(), b.clone(), d], Acks::Majority);
    let expected = [("a1 b2 c3", "d4"), ("a1 b2 c3 d4", "")];
    let expected: Vec<_> =
        expected.iter().map(|(voters, learners)| ((*voters).into(), (*learners).into())).collect();
    assert_eq!(steps(&from, &without, Rules::default()), expected);
    let off = steps(&from, &without, Rules { off: Some(Rule::KeepersStay) });
    assert_eq!(off.last().map(|(voters, _)| voters.as_str()), Some("a1 b2 d4"), "the switch does something");
    // it is about to leave, and stays all the same
    let draining = Config { learners: vec![c], ..config(&[a.clone(), b.clone()], Acks::Majority) };
    assert_eq!(steps(&from, &draining, Rules::default()), []);
    let replaced = config(&[a, b, member("c", 5)], Acks::Majority);
    let last = steps(&from, &replaced, Rules::default()).pop();
    assert_eq!(last.map(|(voters, _)| voters).as_deref(), Some("a1 b2 c5"));
}

#[test]
fn routes_change_at_any_time_and_who_they_named_is_remembered() {
    let (a, b) = (member("a", 1), member("b", 2));
    let from = config(&[a, b], Acks::Majority);
    let route = |source: &str| polylog_log::Route { types: Vec::new(), when: None, source: name(source) };
    let to =
        |source: &str| Config { routes: vec![route(source)], keepers: vec![name(source)], ..from.clone() };
    let around = Circumstances {
        rules: Rules::default(),
        primary: &from.voters[0].name,
        is_level: &|_| true,
        is_out: &|_| false,
    };
    let first = next(&from, Some(&to("a")), &around).expect("a change");
    let second = next(&first, Some(&to("b")), &around).expect("another");
    assert_eq!(
        (second.routes.clone(), second.keepers.clone()),
        (vec![route("b")], vec![name("a"), name("b")])
    );
    assert_eq!(next(&second, Some(&to("b")), &around), None);
}
