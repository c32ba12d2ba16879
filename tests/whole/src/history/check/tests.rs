use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};

use super::*;

fn id(number: u64) -> Uuid {
    Uuid::from_u128(number.into())
}

fn list(numbers: &[u64]) -> Vec<Uuid> {
    numbers.iter().copied().map(id).collect()
}

/// From one moment to another; to 0 = without an answer.
fn at(began: Moment, ended: Moment, what: What) -> Operation {
    Operation { began, ended: (ended > 0).then_some(ended), what }
}

fn add(number: u64, expected: u64, at: u64) -> What {
    What::Add { id: id(number), expected: Some(expected), at: Some(at) }
}

fn see(state: u64, last: u64) -> What {
    What::See { state, last: (last > 0).then(|| id(last)) }
}

#[test]
fn what_happened_at_once_or_one_after_the_other_is_let_pass() {
    let unknown = |number| What::Add { id: id(number), expected: None, at: None };
    let history = [
        at(1, 9, add(1, 0, 1)),
        // at the same time, the later one answered first, and seen before either was answered
        at(2, 4, add(2, 1, 2)),
        at(2, 5, see(2, 2)),
        at(2, 3, see(0, 0)),
        at(3, 6, What::Refused { id: id(7), expected: Some(1), actual: 2 }),
        // written long after its client was gone; never written; certainly not written
        at(5, 0, unknown(3)),
        at(5, 0, unknown(4)),
        at(5, 7, What::Nothing { id: id(5) }),
        at(20, 21, see(2, 2)),
        at(22, 23, see(3, 3)),
        // a retry was refused, then its first try was executed
        at(24, 0, unknown(6)),
        at(25, 26, What::RetryRefused { id: id(6), actual: 3 }),
    ];
    assert_eq!(check(&list(&[1, 2, 3, 6]), &history), Ok(()));
    // entries of others
    assert_eq!(check(&list(&[1, 8, 2]), &[at(1, 2, add(2, 2, 3))]), Ok(()));
}

#[test]
fn each_violation_is_found() {
    let one = |list: &[Uuid], what| check(list, &[at(1, 2, what)]).expect_err("a violation");
    assert_eq!(one(&list(&[1, 2, 1]), see(0, 0)), Violation::Doubled(id(1)));
    // lost; elsewhere than answered
    assert_eq!(one(&list(&[]), add(1, 0, 1)), Violation::Lost { id: id(1), at: 1, found: None });
    assert_eq!(one(&list(&[2, 1]), add(1, 0, 1)), Violation::Lost { id: id(1), at: 1, found: Some(id(2)) });
    // a success that the expected version forbids, answered or not
    assert_eq!(one(&list(&[2, 1]), add(1, 0, 2)), Violation::NotExpected { id: id(1), expected: 0, at: 2 });
    let unknown = What::Add { id: id(1), expected: Some(0), at: None };
    assert_eq!(one(&list(&[2, 1]), unknown), Violation::NotExpected { id: id(1), expected: 0, at: 2 });
    // refusals that are none
    assert_eq!(one(&list(&[1]), What::Nothing { id: id(1) }), Violation::Written(id(1)));
    let refused = What::Refused { id: id(1), expected: Some(0), actual: 1 };
    assert_eq!(one(&list(&[2, 1]), refused), Violation::Written(id(1)));
    let refused = What::Refused { id: id(1), expected: Some(1), actual: 1 };
    assert_eq!(one(&list(&[2]), refused), Violation::NoReason { id: id(1), state: 1 });
    let refused = What::RetryRefused { id: id(1), actual: 1 };
    assert_eq!(one(&list(&[1]), refused), Violation::Forgotten { id: id(1), at: 1, actual: 1 });
    // what is not there was seen
    assert!(matches!(one(&list(&[1]), see(2, 0)), Violation::NotSeen { state: 2, .. }));
    assert!(matches!(one(&list(&[1]), see(1, 2)), Violation::NotSeen { state: 1, .. }));
    let refused = What::Refused { id: id(2), expected: Some(0), actual: 7 };
    assert!(matches!(one(&list(&[1]), refused), Violation::NotSeen { state: 7, .. }));
}

#[test]
fn nothing_happens_before_it_began_or_after_it_ended() {
    let history = |early, late| check(&list(&[1, 2]), &[late, early]).expect_err("a violation");
    let is_real_time = |violation| matches!(violation, Violation::RealTime { .. });
    let none = || What::Add { id: id(1), expected: None, at: None };
    // an append in an order that nobody saw
    assert!(is_real_time(history(at(1, 2, add(2, 1, 2)), at(3, 4, add(1, 0, 1)))));
    // a read that misses what was acknowledged before it, and one that saw what was not begun
    assert!(is_real_time(history(at(3, 4, see(0, 0)), at(1, 2, add(1, 0, 1)))));
    assert!(is_real_time(history(at(1, 2, see(1, 1)), at(3, 0, none()))));
    // two reads that go back, though neither append was answered
    assert!(is_real_time(history(at(3, 4, see(1, 0)), at(1, 2, see(2, 2)))));
    // a refusal by what was outdated
    let refused = What::Refused { id: id(9), expected: Some(1), actual: 0 };
    assert!(is_real_time(history(at(3, 4, refused), at(1, 2, add(1, 0, 1)))));
}

/// Against trying every order.
#[test]
fn it_finds_a_moment_for_each_operation_exactly_if_there_are_any() {
    let mut random = StdRng::seed_from_u64(1);
    let (mut good, mut bad) = (0, 0);
    for _ in 0..20_000 {
        let (list, history) = random_history(&mut random);
        let mut orders = false;
        permute(&mut (0..history.len()).collect::<Vec<_>>(), 0, &mut |order| {
            orders = orders || is_an_order(&list, &history, order);
        });
        assert_eq!(check(&list, &history).is_ok(), orders, "{list:?} {history:#?}");
        (good, bad) = (good + usize::from(orders), bad + usize::from(!orders));
    }
    assert!(good > 2_000 && bad > 2_000, "{good} good, {bad} bad");
}

/// Two or three entries, as many looks at them; the answers are mostly those of one order, the times are anything.
fn random_history(random: &mut StdRng) -> (Vec<Uuid>, Vec<Operation>) {
    let entries = random.random_range(2..=3);
    let mut history = Vec::new();
    for number in 1..=entries {
        let expected = random.random_ratio(1, 2).then_some(number - 1);
        let answered = random.random_ratio(3, 4).then_some(number);
        history.push(What::Add { id: id(number), expected, at: answered });
        let state = random.random_range(0..=entries);
        history.push(match random.random_range(0..3) {
            0 => What::Refused { id: id(10 + number), expected: Some(state + 1), actual: state },
            _ => see(state, state),
        });
    }
    history.shuffle(random);
    let timed = history.into_iter().enumerate().map(|(index, what)| {
        let began = index as u64 * 2 + random.random_range(1..8);
        let ended = began + random.random_range(1..8);
        let is_answered = !matches!(what, What::Add { at: None, .. });
        at(began, if is_answered { ended } else { 0 }, what)
    });
    let history = timed.collect();
    (list(&(1..=entries).collect::<Vec<_>>()), history)
}

fn is_an_order(list: &[Uuid], history: &[Operation], order: &[usize]) -> bool {
    let mut state = 0;
    for (place, index) in order.iter().enumerate() {
        let operation = &history[*index];
        let is_too_late = |other: &usize| history[*other].ended.is_some_and(|ended| ended < operation.began);
        if order[place + 1..].iter().any(is_too_late) {
            return false;
        }
        let fits = match &operation.what {
            What::Add { id, expected, at } => {
                state += 1;
                list.get(state - 1) == Some(id)
                    && expected.is_none_or(|expected| expected + 1 == state as u64)
                    && at.is_none_or(|at| at == state as u64)
            }
            What::Refused { actual, .. } => *actual == state as u64,
            What::See { state: seen, .. } => *seen == state as u64,
            What::RetryRefused { .. } | What::Nothing { .. } => true,
        };
        if !fits {
            return false;
        }
    }
    state == list.len()
}

fn permute(order: &mut Vec<usize>, from: usize, visit: &mut impl FnMut(&[usize])) {
    if from == order.len() {
        return visit(order);
    }
    for index in from..order.len() {
        order.swap(from, index);
        permute(order, from + 1, visit);
        order.swap(from, index);
    }
}
