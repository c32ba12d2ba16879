//! One module per command.

pub(crate) mod admin;
pub(crate) mod append;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod dev;
pub(crate) mod grants;
pub(crate) mod plan;
pub(crate) mod read;
pub(crate) mod status;
pub(crate) mod tail;
pub(crate) mod validate;
