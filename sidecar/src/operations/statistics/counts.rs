use std::collections::{BTreeMap, HashMap, btree_map};

use jiff::{Timestamp, tz::TimeZone};
use polylog_api::{Code, Problem};
use polylog_log::TallyRow;

use super::{GroupBy, Interval};

/// Most different intervals, and most different values of one group, that are counted.
const MOST_INTERVALS: usize = 10_000;
const MOST_VALUES: usize = 100_000;

/// The largest groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Groups {
    /// What they have in common, and how many there are; the largest first, then by name.
    pub(crate) buckets: Vec<(String, u64)>,
    /// How many are in smaller ones.
    pub(crate) other: u64,
}

/// What was counted so far.
pub(super) struct Counts<'a> {
    by: &'a [GroupBy],
    interval: Option<(Interval, &'a TimeZone)>,
    total: u64,
    /// Beginnings of intervals by those of slices.
    begins: HashMap<Timestamp, Timestamp>,
    steps: BTreeMap<Timestamp, u64>,
    groups: Vec<HashMap<String, u64>>,
}

/// Why a row cannot be counted.
pub(super) enum Uncountable {
    /// Its slice lies in two intervals: smaller ones are needed.
    Straddles,
    /// There is too much to tell apart.
    TooMany(Problem),
}

impl<'a> Counts<'a> {
    pub(super) fn new(by: &'a [GroupBy], interval: Option<(Interval, &'a TimeZone)>) -> Self {
        let groups = by.iter().map(|_| HashMap::new()).collect();
        Self { by, interval, total: 0, begins: HashMap::new(), steps: BTreeMap::new(), groups }
    }

    /// Counts a row of slices this long, in seconds. Its values are those of the groups by metadata, in their order.
    pub(super) fn add(&mut self, row: TallyRow, slice: u32) -> Result<(), Uncountable> {
        self.total += row.count;
        if let Some((interval, zone)) = self.interval {
            let begin = self.begin(interval, zone, row.slice, slice)?;
            *self.steps.entry(begin).or_default() += row.count;
            if self.steps.len() > MOST_INTERVALS {
                return Err(Uncountable::TooMany(too_many("intervals", MOST_INTERVALS)));
            }
        }
        let mut values = row.values.into_iter();
        for (by, group) in self.by.iter().zip(&mut self.groups) {
            let value = match by {
                GroupBy::Type => Some(row.event_type.as_str().to_owned()),
                GroupBy::Category => Some(row.category.as_str().to_owned()),
                GroupBy::Metadata(_) => values.next().flatten(),
            };
            let Some(value) = value else { continue };
            *group.entry(value).or_default() += row.count;
            if group.len() > MOST_VALUES {
                return Err(Uncountable::TooMany(too_many("values of one group", MOST_VALUES)));
            }
        }
        Ok(())
    }

    /// Adds what events say under the names of the groups by metadata, in their order, if it was counted by itself.
    pub(super) fn add_values(&mut self, values: Vec<Vec<(String, u64)>>) -> Result<(), Uncountable> {
        let of_metadata =
            self.by.iter().zip(&mut self.groups).filter(|(by, _)| matches!(by, GroupBy::Metadata(_)));
        for ((_, group), values) in of_metadata.zip(values) {
            values.into_iter().for_each(|(value, count)| *group.entry(value).or_default() += count);
            if group.len() > MOST_VALUES {
                return Err(Uncountable::TooMany(too_many("values of one group", MOST_VALUES)));
            }
        }
        Ok(())
    }

    fn begin(
        &mut self,
        interval: Interval,
        zone: &TimeZone,
        slice: polylog_log::Timestamp,
        seconds: u32,
    ) -> Result<Timestamp, Uncountable> {
        let first = moment(slice.as_micros());
        if let Some(begin) = self.begins.get(&first) {
            return Ok(*begin);
        }
        let begin = interval.begin(first, zone);
        let last = moment(slice.as_micros().saturating_add(i64::from(seconds) * 1_000_000 - 1));
        if seconds > 1 && interval.begin(last, zone) != begin {
            return Err(Uncountable::Straddles);
        }
        if self.begins.len() < MOST_VALUES {
            self.begins.insert(first, begin);
        }
        Ok(begin)
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Every interval from the first to the last that holds an event.
    pub(super) fn by_interval(&mut self) -> Result<Vec<(Timestamp, u64)>, Problem> {
        let mut steps = std::mem::take(&mut self.steps);
        let (Some((interval, zone)), Some((first, _))) = (self.interval, steps.first_key_value()) else {
            return Ok(Vec::new());
        };
        let last = steps.last_key_value().map_or(*first, |(last, _)| *last);
        let mut step = *first;
        while let Some(next) = interval.next(step, zone).filter(|next| *next < last) {
            step = next;
            if let btree_map::Entry::Vacant(empty) = steps.entry(step) {
                empty.insert(0);
            }
            if steps.len() > MOST_INTERVALS {
                return Err(too_many("intervals", MOST_INTERVALS));
            }
        }
        Ok(steps.into_iter().collect())
    }

    /// The `top` largest of each group.
    pub(super) fn groups(self, top: usize) -> Vec<(GroupBy, Groups)> {
        let largest = |group: HashMap<String, u64>| {
            let mut buckets: Vec<_> = group.into_iter().collect();
            buckets.sort_by(|(a, many), (b, more)| more.cmp(many).then_with(|| a.cmp(b)));
            let other = buckets.iter().skip(top).map(|(_, count)| count).sum();
            buckets.truncate(top);
            Groups { buckets, other }
        };
        self.by.iter().cloned().zip(self.groups.into_iter().map(largest)).collect()
    }
}

/// The nearest moment that the calendar has.
fn moment(micros: i64) -> Timestamp {
    let nearest = if micros < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_microsecond(micros).unwrap_or(nearest)
}

fn too_many(what: &str, most: usize) -> Problem {
    Problem::new(Code::LimitExceeded, format_args!("there are more than {most} {what}"))
        .next_step("ask for longer intervals or other groups, or narrow it down by since and until")
        .fact("limit", what)
        .fact("allowed", most)
}
