//! Manifests are read by a process of its own, which ends then: the readers of YAML, JSON Schema and CEL leave code and
//! tables of several megabytes in memory that serving never needs.

use std::{
    env, io,
    process::{Command, Stdio},
};

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
    match ask() {
        Ok(said) => said.map(Some).map_err(ConfigError::Refused),
        Err(error) => {
            tracing::debug!(%error, "reading the manifests in this process");
            load().map(Some)
        }
    }
}

fn ask() -> io::Result<Said> {
    let output = Command::new(env::current_exe()?)
        .args(env::args_os().skip(1))
        .env(READER, "1")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()?;
    Ok(serde_json::from_slice(&output.stdout)?)
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
