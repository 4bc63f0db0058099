//! Prints a script that makes a shell complete dwenv's commands.

use clap_complete::Shell;

use crate::cli;
use crate::error::{ExitCode, Result};
use crate::output;

pub fn run(shell: Shell) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::command(), "dwenv", &mut script);
    output::to_stdout(|out| out.write_all(&script))?;
    Ok(ExitCode::Ready)
}
