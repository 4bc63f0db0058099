//! Parses, runs, and ends with the exit code.

use std::process::ExitCode;
use std::sync::Arc;

use dwenv::cli::Cli;
use dwenv::commands;
use dwenv::error::ErrorKind;
use dwenv::output::{Output, confirm};

fn main() -> ExitCode {
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => return commands::usage(&error),
    };
    let global = &cli.global;
    let output = Arc::new(Output::new(global.format, global.color, global.verbosity()));
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return commands::cannot_start(&output, &error),
    };
    let ended = runtime.block_on(commands::run(cli, output.clone()));
    // What was interrupted is not waited for.
    runtime.shutdown_background();
    match ended {
        Ok(code) => code,
        Err(error) => {
            if error.kind == ErrorKind::Interrupted {
                confirm::leave();
            }
            output.error(&error);
            error.exit_code().into()
        }
    }
}
