//! Counting events, by time and by what they are.

mod counts;
mod interval;
mod run;

pub(crate) use counts::Groups;
pub(crate) use interval::{Interval, zone};
pub(crate) use run::{AskedStatistics, GroupBy, MOST_GROUPS, Statistics, TOP, statistics};
