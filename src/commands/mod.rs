//! One file a subcommand; each reads like its `--help`.

mod boxes;
mod completions;
mod destroy;
mod doctor;
mod down;
mod explain;
mod init;
mod lint;
mod passphrase;
mod provision;
mod room;
mod schema;
mod ssh;
mod sudo;
mod targets;
mod up;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::cli::{self, Cli, Command, Global};
use crate::error::{Error, ErrorKind, ExitCode, Result};
use crate::events::{Event, Events};
use crate::facts::sudo::Sudo;
use crate::interrupt::Interrupts;
use crate::output::progress::Progress;
use crate::output::stream::Log;
use crate::output::style::ColorWhen;
use crate::output::{Format, Output, Verbosity};
use crate::provision::{AGAIN, Wishes};
use crate::secret::Secret;
use crate::target::last_run::LastRun;
use crate::target::{self, Here, Purpose, Target};
use crate::workshop::{Secrets, Source, Workshop};

/// What every command works with.
pub struct Environment {
    /// The folder that `-C` names, or the current one.
    folder: PathBuf,
    global: Global,
    output: Arc<Output>,
    interrupts: Interrupts,
    /// Locked by whoever has the terminal to themselves.
    progress: Arc<Mutex<Progress>>,
    events: Events,
    sudo: Sudo,
    /// What the person has typed for keys, so that a room is asked once.
    passphrases: Arc<Mutex<HashMap<String, Secret>>>,
}

/// Runs the command of this command line, until it ends or somebody interrupts it.
///
/// # Errors
/// Whatever kept the command from telling a result of its own.
pub async fn run(cli: Cli, output: Arc<Output>) -> Result<std::process::ExitCode> {
    let reports = matches!(cli.command, Command::Doctor(_));
    if !reports && matches!(cli.global.format, Format::Junit | Format::Markdown) {
        return Err(Error::usage(
            "only `dwenv doctor` tells its result in that format",
        ));
    }
    let shares = matches!(&cli.command, Command::Doctor(options) if options.share);
    if shares && (cli.global.log.is_some() || cli.global.format == Format::Ndjson) {
        return Err(Error::usage(
            "what happens on the way names people and machines, which --share leaves out",
        )
        .hint("leave out `--log`, or take `--format json`"));
    }
    let mut environment = Environment::new(cli.global, output)?;
    if shares {
        environment.events = environment.output.result_events();
    }
    let ctrl_c = || async {
        if tokio::signal::ctrl_c().await.is_err() {
            // Where Ctrl-C cannot be heard, the system ends the run by itself.
            std::future::pending::<()>().await;
        }
    };
    let ended = tokio::select! {
        ended = run_command(&environment, cli.command) => ended,
        () = environment.interrupts.end(ctrl_c) => {
            Err(Error::new(ErrorKind::Interrupted, "interrupted").hint(AGAIN))
        }
    };
    if let Err(error) = &ended {
        environment.events.emit(Event::RunFailed {
            error: error.clone(),
        });
    }
    ended
}

async fn run_command(
    environment: &Environment,
    command: Command,
) -> Result<std::process::ExitCode> {
    let ended = match command {
        Command::Ssh { command } => return ssh::run(environment, &command).await,
        Command::Up(options) => up::run(environment, &options).await,
        Command::Provision(options) => provision::run(environment, &options).await,
        Command::Doctor(options) => doctor::run(environment, &options).await,
        Command::Schema { document } => schema::run(document),
        Command::Explain(options) => explain::run(environment, &options).await,
        Command::Init { into } => init::run(environment, &into).await,
        Command::Lint => lint::run(environment),
        Command::Down => down::run(environment).await,
        Command::Destroy => destroy::run(environment).await,
        Command::Targets => targets::run(environment).await,
        Command::Completions { shell } => completions::run(shell),
    };
    ended.map(Into::into)
}

/// Tells what is wrong with the command line, or prints the help that it asks for.
#[must_use]
pub fn usage(error: &clap::Error) -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args_os()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let format = cli::format_asked(&arguments);
    if error.use_stderr() && format != Format::Human {
        let output = Output::new(format, ColorWhen::Auto, Verbosity::Normal);
        output.error(&usage_error(&error.render().to_string()));
    } else {
        // Where neither stream can be written to, nobody is left to tell.
        let _ = error.print();
    }
    if error.use_stderr() {
        ExitCode::Usage.into()
    } else {
        ExitCode::Ready.into()
    }
}

/// What clap would print: the mistake, and what could be meant, a paragraph each.
fn usage_error(text: &str) -> Error {
    let mut paragraphs = text
        .split("\n\n")
        .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|paragraph| !paragraph.is_empty());
    let message = paragraphs.next().unwrap_or_default();
    let error = Error::usage(message.trim_start_matches("error: "));
    paragraphs.fold(error, |error, hint| {
        error.hint(hint.trim_start_matches("tip: "))
    })
}

/// Tells that the system let dwenv not even begin.
#[must_use]
pub fn cannot_start(output: &Output, cause: &std::io::Error) -> std::process::ExitCode {
    let error = Error::failed("dwenv cannot start").because(cause);
    output.error(&error);
    error.exit_code().into()
}

impl Environment {
    fn new(global: Global, output: Arc<Output>) -> Result<Self> {
        let folder = match &global.directory {
            Some(folder) => folder.clone(),
            None => std::env::current_dir()
                .map_err(|error| Error::usage("the current folder is gone").because(error))?,
        };
        if !folder.is_dir() {
            return Err(Error::usage(format!(
                "there is no folder {}",
                folder.display()
            )));
        }
        let progress = output.progress();
        let log = global
            .log
            .as_ref()
            .map(|file| Log::open(&folder.join(file)));
        let events = output.events(&progress, log.transpose()?);
        let progress = Arc::new(Mutex::new(progress));
        let file = global.sudo_password_file.as_deref();
        let file = file.map(|file| folder.join(file));
        Ok(Self {
            sudo: sudo::from(file.as_deref(), &output, &progress)?,
            folder,
            global,
            output,
            interrupts: Interrupts::new(),
            events,
            progress,
            passphrases: Arc::default(),
        })
    }

    async fn workshop(&self, secrets: Secrets) -> Result<Workshop> {
        let source = Source::choose(&self.folder, self.global.config.as_deref());
        source.load(secrets, &self.events).await
    }

    /// The targets of this run, and says so where nobody named them and that may surprise.
    fn targets(&self, workshop: &Workshop, purpose: Purpose) -> Result<Vec<Target>> {
        let given = &self.global.targets;
        let choice = target::choose(given, workshop, &self.folder, purpose, Here::this)?;
        if let Some(reason) = choice.reason {
            self.events.note(reason);
        }
        Ok(choice.targets)
    }

    /// The same for a command that takes several: what `--limit` leaves of them.
    fn several_targets(
        &self,
        workshop: &Workshop,
        purpose: Purpose,
        several: &cli::Several,
    ) -> Result<Vec<Target>> {
        let Some(cli::Limit::Failed) = several.limit else {
            return self.targets(workshop, purpose);
        };
        let last = LastRun::read(&self.folder)?;
        if last.is_empty() {
            return Err(Error::usage(
                "no run over several boxes is known in this folder, so none of them failed",
            )
            .hint("Run it without `--limit failed` first"));
        }
        let mut targets = last.failed()?;
        if !self.global.targets.is_empty() {
            let given = self.targets(workshop, purpose)?;
            targets.retain(|target| given.contains(target));
        }
        if targets.is_empty() {
            self.events
                .note("no box of the last run is left: all ended well");
        }
        Ok(targets)
    }

    /// The one target of a command that works on one only.
    fn one_target(&self, workshop: &Workshop) -> Result<Target> {
        match &self.targets(workshop, Purpose::Use)?[..] {
            [target] => Ok(target.clone()),
            several => Err(Error::usage(format!(
                "this command works on one box, and {} are named",
                several.len()
            ))
            .hint("name one of them with `--target`")),
        }
    }

    /// Tells a result, with the terminal free of progress.
    fn tell(&self, tell: impl FnOnce(&Output) -> Result<()>) -> Result<()> {
        self.with_terminal(|| tell(&self.output))
    }

    /// Runs `work` with the terminal free of progress.
    fn with_terminal<T>(&self, work: impl FnOnce() -> T) -> T {
        let progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.suspend(work)
    }

    /// What this person wants of a run that changes a box; `owner` is who makes it.
    fn wishes<'a>(&'a self, owner: &'a str, patience: Duration, events: &'a Events) -> Wishes<'a> {
        Wishes {
            owner,
            patience,
            interrupts: &self.interrupts,
            foresees: false,
            events,
        }
    }

    /// Whether somebody says yes to `question`; with `--yes` nobody is asked.
    async fn agreed(&self, question: &str) -> Result<bool> {
        if self.global.yes {
            return Ok(true);
        }
        let (output, progress) = (self.output.clone(), self.progress.clone());
        let question = question.to_owned();
        // Beside the runtime, so that Ctrl-C is heard while the question stands.
        let answer = tokio::task::spawn_blocking(move || {
            let progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
            progress.suspend(|| output.confirm(&question))
        });
        match answer.await.ok().flatten() {
            Some(answer) => Ok(answer),
            None => Err(nobody_is_there().hint("Add `--yes` to have it done without a question")),
        }
    }
}

/// Why nothing is done that somebody would have to agree to.
fn nobody_is_there() -> Error {
    Error::usage("nobody is there to say yes, so nothing was changed in the box")
}
