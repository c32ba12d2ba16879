mod args;
mod batch;
mod file;
mod line;
mod run;
mod send;

pub(crate) use args::ImportArgs;
pub(crate) use run::run;
