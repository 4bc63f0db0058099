//! The command line: its definitions, and nothing else.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::doctor::catalogue::System;
use crate::output::style::ColorWhen;
use crate::output::{Format, Verbosity};

/// Stands under the long help; the numbers are those of [`crate::error::ExitCode`].
const EXIT_CODES: &str = "\
Exit codes:
  0  Ready (warnings allowed), or done
  1  A check failed, or a change failed
  2  The command line or the configuration is wrong; nothing was touched
  3  Nothing failed, but something could not be determined: the box did not
     answer, refused the login, showed another host key, or was not tried
  4  Another run holds this box
  5  Interrupted: run it again";

/// Over what only matters to who has more than one box.
const SEVERAL: &str = "Options for several boxes";

/// Stands under the help of `explain`.
const EXPLAIN_EXAMPLES: &str = "\
Examples:
  dwenv explain box.docker.daemon
  dwenv explain vagrant-up.log
  docker compose up 2>&1 | dwenv explain -";

/// Prepares your machine for a Docker workshop, and checks that it is ready
#[derive(Clone, Debug, Parser)]
#[command(
    name = "dwenv",
    version,
    after_help = "New here? Type `dwenv up`, and when it is done, `dwenv doctor`.",
    after_long_help = EXIT_CODES,
    max_term_width = 100,
    arg_required_else_help = true,
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub global: Global,
}

impl Cli {
    /// Reads the command line; a help text and a version are errors here too, as clap has it.
    pub fn read<I, S>(arguments: I) -> Result<Self, clap::Error>
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString> + Clone,
    {
        let matches = command().try_get_matches_from(arguments)?;
        let mut cli = Self::from_arg_matches(&matches)?;
        if let Some((_, matches)) = matches.subcommand() {
            let behind = matches.get_many::<String>(TARGETS).unwrap_or_default();
            cli.global.targets.extend(behind.cloned());
        }
        Ok(cli)
    }
}

/// The whole command line, for help and completions.
#[must_use]
pub fn command() -> clap::Command {
    let command = Cli::command();
    let targets = command
        .get_arguments()
        .find(|argument| argument.get_id() == TARGETS)
        .cloned();
    // clap lets a global option behind the subcommand replace the same option before it: a box that was
    // named would be left out in silence. So this one stands in both places, and both count.
    command.mut_subcommands(|subcommand| subcommand.args(targets.clone()))
}

const TARGETS: &str = "targets";

/// What every subcommand takes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options for every command")]
pub struct Global {
    /// Work in this folder instead of the current one
    #[arg(short = 'C', value_name = "DIR", global = true)]
    pub directory: Option<PathBuf>,

    /// Read the workshop from this file or web address
    ///
    /// Default: `config.toml` in the folder; where there is none, the workshop that is built into dwenv.
    #[arg(long, value_name = "FILE|URL", global = true)]
    pub config: Option<String>,

    /// Use this box; can be given several times
    ///
    /// `vagrant[:MACHINE]`, `sandbox[:NAME]`, `ssh://USER@HOST[:PORT]`, a name from `~/.ssh/config`, or one
    /// from `[target.NAME]` in config.toml. Several in one: `ssh://vagrant@192.168.33.[11-50]`; all of `[room]`
    /// in config.toml: `room`. Default: the box that `up` made or used last in this folder, else `vagrant`.
    #[arg(long = "target", value_name = "TARGET")]
    pub targets: Vec<String>,

    /// Log in to the box with this private key
    #[arg(long, value_name = "FILE", global = true)]
    pub identity: Option<PathBuf>,

    /// Read the password for sudo in the box from this file, which only you may read
    ///
    /// It is needed only where sudo asks for one. On a terminal you are asked, once for all boxes.
    #[arg(long, value_name = "FILE", global = true, hide_short_help = true)]
    pub sudo_password_file: Option<PathBuf>,

    /// Give up on a box that has not let us in after this long, such as `30s` or `2m`
    ///
    /// Default: 10s, or up to 60s by `ConnectTimeout` in `~/.ssh/config`.
    #[arg(long, value_name = "TIME", value_parser = duration, global = true)]
    pub timeout: Option<Duration>,

    /// How results are told; junit and markdown are for `doctor` only
    #[arg(long, value_enum, default_value_t, global = true)]
    pub format: Format,

    /// Also write what happens into this file, a line each with its time; lines are added to what is there
    #[arg(long, value_name = "FILE", global = true, hide_short_help = true)]
    pub log: Option<PathBuf>,

    /// Answer every question with yes
    #[arg(short, long, global = true)]
    pub yes: bool,

    /// Tell everything: all checks, commands and timings
    #[arg(short, long, conflicts_with = "quiet", global = true)]
    pub verbose: bool,

    /// Tell only results, warnings and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,

    /// When to use colours
    #[arg(long, value_enum, value_name = "WHEN", default_value_t, global = true)]
    pub color: ColorWhen,
}

impl Global {
    #[must_use]
    pub fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Verbose,
            _ => Verbosity::Normal,
        }
    }
}

#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Start the box, set it up, and check that it is ready
    ///
    /// The one command for a workshop. It can be run again at any time: what is there already stays.
    #[command(after_long_help = EXIT_CODES)]
    Up(Up),

    /// Set the box up: install and configure what the workshop needs
    ///
    /// Shows what it is going to do, asks, and does it. Running it again changes nothing that is right, and
    /// rows in the workshop's database are never touched.
    #[command(after_long_help = EXIT_CODES)]
    Provision(Provision),

    /// Check that everything is ready, and say how to mend what is not
    ///
    /// Looks from your laptop and from inside the box, and changes nothing unless you say --fix.
    #[command(after_long_help = EXIT_CODES)]
    Doctor(Doctor),

    /// Explain a check, a known failure, or an error that you paste
    ///
    /// Works without a network. Ends with 0 when something was recognised, with 3 when nothing was.
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain(Explain),

    /// Write the workshop's files into a folder, to read or to change them
    Init {
        /// The folder; it is made if it is not there
        #[arg(value_name = "DIR", default_value = ".")]
        into: PathBuf,
    },

    /// Look through a workshop's own files for what no longer works
    ///
    /// For authors. Looks at config.toml, the Vagrantfile, what is in `provision` and `README`, and other files
    /// of the folder: hosts that are gone, releases that got too old, commands that were removed. Asks no
    /// network and no box.
    #[command(after_long_help = EXIT_CODES)]
    Lint,

    /// Log in to the box, or run a command there
    #[command(after_help = "Example: dwenv ssh -- docker ps")]
    Ssh {
        /// The command to run in the box, after `--`; without one you get a shell
        #[arg(last = true, value_name = "COMMAND")]
        command: Vec<String>,
    },

    /// Stop the box; everything in it is kept
    Down,

    /// Remove the box and everything in it
    Destroy,

    /// List the boxes that can be used here
    Targets,

    /// Print a script that makes your shell complete dwenv's commands
    Completions {
        /// The shell that you use
        shell: Shell,
    },

    /// Print the JSON Schema of a document that dwenv writes
    Schema {
        /// The document
        document: Document,
    },
}

/// Which boxes of several, how many at once, and when to stop.
#[derive(Args, Clone, Debug)]
pub struct Several {
    /// Work on so many boxes at once
    #[arg(
        long,
        value_name = "N",
        default_value_t = 16,
        value_parser = clap::value_parser!(u16).range(1..=256),
        help_heading = SEVERAL,
        hide_short_help = true
    )]
    pub jobs: u16,

    /// Of these boxes take only the ones that did not end well in the last run
    ///
    /// Without `--target`: all boxes of the last run that did not end well.
    #[arg(
        long,
        value_enum,
        value_name = "WHICH",
        help_heading = SEVERAL,
        hide_short_help = true
    )]
    pub limit: Option<Limit>,

    /// Begin with no further box once so many have failed; those that failed before your yes do not count
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..),
        help_heading = SEVERAL,
        hide_short_help = true
    )]
    pub max_fail: Option<u16>,
}

impl Default for Several {
    fn default() -> Self {
        Self {
            jobs: 16,
            limit: None,
            max_fail: None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Limit {
    Failed,
}

#[derive(Args, Clone, Debug)]
pub struct Up {
    #[command(flatten)]
    pub several: Several,
}

#[derive(Args, Clone, Debug)]
pub struct Provision {
    /// Only show what would be done
    #[arg(long)]
    pub plan: bool,

    /// Also show the differences in files and the SQL that is run
    #[arg(long)]
    pub diff: bool,

    /// Wait so long for another run that holds the box, such as `30s` or `10m`
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10s")]
    pub wait_lock: Duration,

    #[command(flatten)]
    pub several: Several,
}

/// How long a run waits for the box where nobody says it: one that was stopped needs a moment to let go.
pub const WAIT_LOCK: Duration = Duration::from_secs(10);

/// What `doctor` looks at, and how it is told.
#[derive(Args, Clone, Debug, Default)]
pub struct Doctor {
    /// Only look at the laptop: days ahead, when there may be no box yet
    #[arg(long, conflicts_with_all = ["wait", "fix"])]
    pub before: bool,

    /// Only tell these checks, and what keeps them from passing; can be given several times
    ///
    /// An id as it is printed, or the beginning of some: `box.docker` stands for `box.docker.daemon` too.
    #[arg(long, value_name = "ID")]
    pub only: Vec<String>,

    /// Leave these checks out; can be given several times
    #[arg(long, value_name = "ID")]
    pub skip: Vec<String>,

    /// List the checks that apply here instead of making them; no box is needed
    ///
    /// Those of the `--target`, or with `--before` those of the days ahead, narrowed by `--only` and `--skip`. What
    /// is asked only after a failure or with `--deep` is among them.
    #[arg(long, conflicts_with_all = ["wait", "fix", "save", "from", "share", "report"])]
    pub list: bool,

    /// Count warnings as problems
    #[arg(long)]
    pub strict: bool,

    /// Also ask what otherwise only a failure makes worth asking
    #[arg(long)]
    pub deep: bool,

    /// Look again and again until everything is ready, at most this long, such as `60s` or `5m`
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with_all = ["from", "fix"])]
    pub wait: Option<Duration>,

    /// Tell what is known after this long, such as `30s`; what has not answered by then is unknown
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "30s")]
    pub deadline: Duration,

    /// Mend what can be mended: shows each change, asks, makes it, and looks again
    ///
    /// With `--yes` it makes only the changes that are safe without asking, and lists the others.
    #[arg(long, conflicts_with_all = ["from", "share"])]
    pub fix: bool,

    /// Also write what was seen into this file, for somebody who helps from afar
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    pub save: Option<PathBuf>,

    /// Judge what was seen elsewhere: files that `--save` wrote; several give a table
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub from: Vec<PathBuf>,

    /// Tell it so that it can be pasted in public: no names of people or computers, no foreign addresses
    #[arg(long)]
    pub share: bool,

    /// Also write the result into a file; can be given several times
    ///
    /// `human:FILE`, `json:FILE`, `junit:FILE` or `markdown:FILE`.
    #[arg(long, value_name = "FORMAT:FILE", value_parser = report)]
    pub report: Vec<(Format, PathBuf)>,

    #[command(flatten)]
    pub several: Several,
}

/// The documents that have a schema.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Document {
    /// What `dwenv doctor --format json` writes
    Doctor,
    /// What `dwenv provision --format json` writes
    Provision,
    /// What `--format ndjson` writes, line by line
    Events,
}

/// `90s`, `5m`, or a number of seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.strip_suffix('m') {
        Some(number) => (number, 60),
        None => (text.strip_suffix('s').unwrap_or(text), 1),
    };
    match number.parse::<u64>() {
        Ok(number @ 1..=86_400) => Ok(Duration::from_secs(number * unit)),
        _ => Err("write a time such as `60s` or `5m`".to_owned()),
    }
}

/// `FORMAT:FILE`.
fn report(text: &str) -> Result<(Format, PathBuf), String> {
    let (format, file) = text
        .split_once(':')
        .filter(|(_, file)| !file.is_empty())
        .ok_or("write the format, a colon and the file, such as `json:report.json`")?;
    let known = Format::from_str(format, false).ok();
    // A file holds a result, nothing that happens.
    let known = known.filter(|format| *format != Format::Ndjson);
    let format = known.ok_or_else(|| {
        format!("no format is called `{format}`; there are human, json, junit and markdown")
    })?;
    Ok((format, PathBuf::from(file)))
}

#[derive(Args, Clone, Debug)]
pub struct Explain {
    /// An id that doctor printed or docs/failures.md lists, a file with what a program said, or `-` for what
    /// you paste or pipe
    #[arg(value_name = "ID|FILE|-")]
    pub what: Option<String>,

    /// Tell the commands for a laptop with this system; default: this one
    #[arg(long, value_enum, value_name = "SYSTEM")]
    pub system: Option<System>,
}

/// The format that these arguments ask for, also when the rest of them is wrong: whoever asked for JSON gets
/// a usage error in JSON too.
#[must_use]
pub fn format_asked<S: AsRef<str>>(arguments: &[S]) -> Format {
    let mut format = Format::Human;
    let mut arguments = arguments.iter().map(AsRef::as_ref);
    while let Some(argument) = arguments.next() {
        let value = match argument {
            "--" => break,
            "--format" => arguments.next(),
            _ => argument.strip_prefix("--format="),
        };
        format = match value {
            Some("json") => Format::Json,
            Some("ndjson") => Format::Ndjson,
            Some(_) => Format::Human,
            None => format,
        };
    }
    format
}
