mod histogram;
mod run;

pub(crate) use run::{BenchArgs, run};
