//! Manifests are read by a process of its own, which ends then: the readers of YAML, JSON Schema and CEL leave code and
//! tables of several megabytes in memory that serving never needs.

use std::{
    env, io,
    process::{Command, Stdio},
};

use serde::{Serialize, de::DeserializeOwned};

use super::{ConfigError, Declared};

/// Set for the process that only reads.
const READER: &str = "POLYLOG_ONLY_READ_MANIFESTS";

/// What the reader says: what is declared, or why that cannot be served.
type Said = Result<Declared, String>;

/// What `load` gives, by another process with this one's arguments. Where none can be started, `load` runs here.
///
/// `None` in that other process: it has said everything.
///
/// # Errors
/// As `load`.
pub(crate) fn load_apart(
    load: impl FnOnce() -> Result<Declared, ConfigError>,
) -> Result<Option<Declared>, ConfigError> {
    if env::var_os(READER).is_some() {
        let said: Said = load().map_err(|error| error.to_string());
        if let Err(error) = serde_json::to_writer(io::stdout().lock(), &said) {
            // it reads the manifests itself then
            tracing::debug!(%error, "nobody waits for what was read");
        }
        return Ok(None);
    }
    match ask_for_folder() {
        Ok(said) => said.map(Some).map_err(ConfigError::Refused),
        Err(error) => {
            tracing::debug!(%error, "reading the manifests in this process");
            load().map(Some)
        }
    }
}

fn ask_for_folder() -> io::Result<Said> {
    let output = reader()?.stdin(Stdio::null()).output()?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// In the process that only reads: answers what the other one asks. Whether this is that process.
///
/// # Errors
/// What was asked cannot be read, or nobody waits for the answer.
pub(crate) fn answer<Q: DeserializeOwned, A: Serialize>(answer: impl FnOnce(Q) -> A) -> io::Result<bool> {
    if env::var_os(READER).is_none() {
        return Ok(false);
    }
    let asked = serde_json::from_reader(io::stdin().lock())?;
    serde_json::to_writer(io::stdout().lock(), &answer(asked))?;
    Ok(true)
}

/// Asks a process that only reads; see [`answer`]. Blocks until it has ended.
///
/// # Errors
/// None can be started, or it did not answer.
pub(crate) fn ask<Q: Serialize, A: DeserializeOwned>(question: &Q) -> io::Result<A> {
    let mut child = reader()?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let asked = match child.stdin.take() {
        Some(stdin) => serde_json::to_writer(io::BufWriter::new(stdin), question),
        None => Ok(()),
    };
    let output = child.wait_with_output()?;
    asked?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// This program with this process's arguments, for reading only.
fn reader() -> io::Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.args(env::args_os().skip(1)).env(READER, "1").stderr(Stdio::null());
    Ok(command)
}

#[cfg(test)]
mod tests {
    use polylog_crds::validate::Capabilities;

    use super::*;
    use crate::config;

    #[test]
    fn what_is_declared_comes_through_whole() {
        let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
        for example in ["payments", "flights"] {
            let path = examples.join(example);
            let declared = config::load(&path, &[], &Capabilities::DEV).expect("an example is right");
            let said: Said = Ok(declared);
            let text = serde_json::to_vec(&said).expect("plain structs");
            assert_eq!(serde_json::from_slice::<Said>(&text).expect("the same"), said, "{example}");
        }
        let refused: Said = Err("store.yaml:3: no".into());
        let text = serde_json::to_vec(&refused).expect("text");
        assert_eq!(serde_json::from_slice::<Said>(&text).expect("the same"), refused);
    }
}
