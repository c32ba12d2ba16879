use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::{
    exit::{Failure, Outcome},
    output::{Format, Output},
};

/// How it is printed.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct OutputArgs {
    /// Form of what is printed
    #[arg(short, long, value_enum, default_value_t = Form::Table)]
    pub(super) output: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// For people.
    Table,
    /// And more of it.
    Wide,
    Json,
    Yaml,
}

/// Prints text for people, or the document.
pub(super) fn print(form: Form, text: impl FnOnce() -> String, document: impl FnOnce() -> Value) -> Outcome {
    let mut out = Output::new();
    match form {
        Form::Table | Form::Wide => out.text(&text())?,
        Form::Json => out.document(&document(), Format::Json)?,
        Form::Yaml => {
            let yaml = serde_saphyr::to_string(&document());
            out.text(&yaml.map_err(|error| Failure::Failed(anyhow::Error::new(error)))?)?;
        }
    }
    Ok(out.flush()?)
}
