use std::ops::RangeInclusive;

use polylog_log::Position;

/// Positions that are compared at once.
pub(super) const SEGMENT: u64 = 4_096;
/// What differs is not halved any further: so many rows are looked at one by one.
pub(super) const LEAF: u64 = 64;

/// Finds where two sources differ, by comparing halves of what differs.
#[derive(Debug)]
pub(super) struct Bisect {
    open: Vec<RangeInclusive<Position>>,
}

impl Bisect {
    pub(super) fn of(range: RangeInclusive<Position>) -> Self {
        Self { open: vec![range] }
    }

    /// What is to be compared next; `None` = nothing is left.
    pub(super) fn next(&self) -> Option<RangeInclusive<Position>> {
        self.open.last().cloned()
    }

    /// Takes the outcome of that comparison; gives a range that differs and is small enough.
    pub(super) fn judged(&mut self, is_equal: bool) -> Option<RangeInclusive<Position>> {
        let range = self.open.pop().filter(|_| !is_equal)?;
        let (start, end) = (range.start().get(), range.end().get());
        if end - start < LEAF {
            return Some(range);
        }
        let middle = start + (end - start) / 2;
        self.open.push(Position::new(middle + 1)..=*range.end());
        self.open.push(*range.start()..=Position::new(middle));
        None
    }
}

/// The segment that begins behind a position and ends at `end` at the latest; `None` = there is nothing.
pub(super) fn segment_after(position: Position, end: Position) -> Option<RangeInclusive<Position>> {
    let last = (position.get() / SEGMENT + 1) * SEGMENT;
    let range = position.next()..=end.min(Position::new(last));
    (!range.is_empty()).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, end: u64) -> RangeInclusive<Position> {
        Position::new(start)..=Position::new(end)
    }

    /// The leaves that hold these positions, and how many comparisons that took.
    fn find(whole: RangeInclusive<Position>, differing: &[u64]) -> (Vec<RangeInclusive<Position>>, usize) {
        let (mut bisect, mut leaves, mut compared) = (Bisect::of(whole), Vec::new(), 0);
        while let Some(part) = bisect.next() {
            compared += 1;
            let differs = differing.iter().any(|position| part.contains(&Position::new(*position)));
            leaves.extend(bisect.judged(!differs));
        }
        (leaves, compared)
    }

    #[test]
    fn what_differs_is_found_by_few_comparisons() {
        let whole = range(1, SEGMENT);
        assert_eq!(find(whole.clone(), &[]), (vec![], 1));
        for position in [1, 64, 65, 2_048, 2_049, 4_000, 4_096] {
            let (leaves, compared) = find(whole.clone(), &[position]);
            let [leaf] = &leaves[..] else { panic!("{leaves:?}") };
            assert!(leaf.contains(&Position::new(position)), "{position}: {leaf:?}");
            assert!(leaf.end().get() - leaf.start().get() < LEAF && compared <= 13, "{leaf:?} {compared}");
        }
        let (leaves, _) = find(whole.clone(), &[7, 3_000]);
        assert_eq!(leaves.len(), 2);
        let all: Vec<u64> = (1..=SEGMENT).collect();
        let (leaves, _) = find(whole, &all);
        let covered: u64 = leaves.iter().map(|leaf| leaf.end().get() - leaf.start().get() + 1).sum();
        assert_eq!(covered, SEGMENT, "nothing is left out or looked at twice");
        assert_eq!(find(range(5, 5), &[5]).0, [range(5, 5)]);
    }

    #[test]
    fn segments_follow_each_other_and_end_at_the_log_s_end() {
        let after = |position, end| segment_after(Position::new(position), Position::new(end));
        assert_eq!(after(0, 10_000), Some(range(1, SEGMENT)));
        assert_eq!(after(SEGMENT, 10_000), Some(range(SEGMENT + 1, 2 * SEGMENT)));
        assert_eq!(after(2 * SEGMENT, 10_000), Some(range(2 * SEGMENT + 1, 10_000)));
        assert_eq!(after(10_000, 10_000), None);
        assert_eq!(after(0, 0), None);
    }
}
