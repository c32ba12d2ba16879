//! Which events a read or a subscription shows.

mod check;
mod select;
mod when;

pub(crate) use select::Filter;
pub(crate) use when::When;
