use clap::Args;
use polylog_log::Acks;

use super::from::FromArgs;
use crate::args::Place;

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Lines as `polylog export` writes them; `-` = standard input, then every line needs an id. With --from: the name of
    /// the index, collection or table
    pub(crate) file: Place,
    /// Append after what a stream holds, instead of expecting the versions that the lines name. With --from: give streams
    /// new versions, in the order of the old ones, which are kept in the metadata
    #[arg(long)]
    pub(crate) renumber: bool,
    /// How many appends are under way at once, of different streams
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) in_flight: u32,
    /// How many sources must have each: a number, Majority or All
    #[arg(long)]
    pub(crate) acks: Option<Acks>,
    #[command(flatten)]
    pub(crate) from: FromArgs,
}
