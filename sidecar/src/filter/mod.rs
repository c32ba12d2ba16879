//! Which events a read or a subscription shows.

mod check;
mod select;
mod when;

pub(crate) use select::{
    Filter, LONGEST_LIST, compile_when, not_empty, parse_category, parse_stream, parse_type,
};
pub(crate) use when::When;
