use clap::CommandFactory;
use clap_complete::{Shell, generate};

use crate::{args::Arguments, exit::Outcome};

/// Prints a completion script.
pub(crate) fn print(shell: Shell) -> Outcome {
    let mut script = Vec::new();
    generate(shell, &mut Arguments::command(), "polylog", &mut script);
    std::io::Write::write_all(&mut std::io::stdout(), &script)?;
    Ok(())
}
