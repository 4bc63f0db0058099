//! What doctor says of the server's drifts.

use super::super::files::Keeping;
use super::super::firewall::Closed;
use super::super::{Context, Judgement};
use super::{Drift, declared, words};
use crate::doctor::report::{By, Remedy, Status};
use crate::facts::Facts;

pub fn judge(context: Context, facts: &Facts, drift: &Drift) -> Judgement {
    let (text, commands, by) = remedy(context, &Keeping::of(facts), drift);
    Judgement {
        status: match drift {
            // Nothing of the workshop stops for it.
            Drift::CredentialLeft => Status::Warn,
            _ => Status::Fail,
        },
        summary: summary(context, drift),
        remedy: Some(Remedy {
            text: text.to_owned(),
            commands,
            by,
        }),
    }
}

fn summary(context: Context, drift: &Drift) -> String {
    let server = &context.workshop.server;
    let unit = &server.unit;
    match drift {
        Drift::PackagesMissing(packages) => format!("Not installed: {}", packages.join(", ")),
        Drift::LineEndings(files) => {
            let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
            format!(
                "The lines end as Windows has it, with a carriage return: {}",
                paths.join(", ")
            )
        }
        Drift::FilesDiffer(drifts) | Drift::UnitDiffers(drifts) => declared::summary_of_all(drifts),
        Drift::PythonFails { module, said } => match module {
            Some(module) => format!("Python cannot use {module} as its PostgreSQL driver: {said}"),
            None => format!("Python cannot load its PostgreSQL driver: {said}"),
        },
        Drift::UnitOverridden(paths) => {
            format!("{unit} is changed by {}", paths.join(", "))
        }
        Drift::CredentialMissing => {
            "The declared password of the database is not where the server reads it, for root alone"
                .to_owned()
        }
        Drift::CredentialLeft => format!(
            "The password in {} is not declared any more",
            declared::CREDENTIAL
        ),
        Drift::UnitMasked => format!("{unit} is masked: somebody forbade it to start"),
        Drift::UnitStopped { state } => format!("{unit} is {state}"),
        Drift::UnitFailed { state, said } => format!("{unit} is {state}; it says: {said}"),
        Drift::UnitNotEnabled => format!("{unit} runs, but will not start with the box"),
        Drift::RestartOwed => format!("{unit} still runs what its files were before"),
        Drift::AddressNarrow { addresses } => {
            let is_own = |address: &String| address.starts_with("127.") || address == "::1";
            let whom = if addresses.iter().all(is_own) {
                "nobody outside the box reaches it"
            } else {
                "nobody reaches it by IPv4"
            };
            format!(
                "The server listens on {} alone: {whom}",
                addresses.join(", ")
            )
        }
        Drift::Silent => format!("{unit} runs, but nobody answers at port {}", server.port),
        Drift::Closed(closed) => format!(
            "{unit} runs, but nobody gets an answer at port {}; {}",
            server.port,
            closed.summary()
        ),
        Drift::WrongAnswer { status, reason } if reason.is_empty() => {
            format!("What answers {status} is not the workshop's server.py")
        }
        Drift::WrongAnswer { status, reason } => format!("The server answers {status}: {reason}"),
    }
}

fn remedy(context: Context, keeping: &Keeping, drift: &Drift) -> (&'static str, Vec<String>, By) {
    let unit = &context.workshop.server.unit;
    let in_box = |commands: &[String]| -> Vec<String> {
        commands
            .iter()
            .map(|command| context.in_box(command))
            .collect()
    };
    let provision = || vec![format!("dwenv provision --target {}", context.target)];
    let restart = || format!("sudo systemctl restart {unit}");
    let journal = || format!("sudo journalctl -u {unit} -n 20 --no-pager");
    let you = |text, commands| (text, commands, By::You);
    match drift {
        Drift::PackagesMissing(_) => you("Install what is missing", provision()),
        Drift::LineEndings(_) => you(
            "Take the carriage returns out; the files as they were are kept beside. On a Windows laptop, \
             `git config --global core.autocrlf input` keeps them out",
            provision(),
        ),
        Drift::FilesDiffer(_) | Drift::UnitDiffers(_) => you(
            "Put the declared files in place; one that somebody edited is kept beside",
            provision(),
        ),
        Drift::PythonFails { module, .. } => match module.as_deref().and_then(words::in_the_way) {
            Some(path) => you(
                "Move what bears the driver's name out of the way, and start the server again",
                in_box(&[keeping.set_aside(path), restart()]),
            ),
            None => you(
                "Install the driver once more, and start the server again",
                in_box(&[
                    "sudo apt-get install -y --reinstall python3-psycopg libpq5".to_owned(),
                    restart(),
                ]),
            ),
        },
        Drift::UnitOverridden(paths) => {
            let aside = paths.iter().map(|path| keeping.set_aside(path));
            let load = ["sudo systemctl daemon-reload".to_owned(), restart()];
            let commands: Vec<String> = aside.chain(load).collect();
            you(
                "Move it aside, and start the server again",
                in_box(&commands),
            )
        }
        Drift::CredentialMissing => you("Put it in place", provision()),
        Drift::CredentialLeft => you("Remove it", provision()),
        Drift::UnitMasked => you(
            "Allow it again",
            in_box(&[
                format!("sudo systemctl unmask {unit}"),
                format!("sudo systemctl enable --now {unit}"),
            ]),
        ),
        Drift::UnitStopped { .. } => you(
            "Start it",
            in_box(&[format!("sudo systemctl enable --now {unit}")]),
        ),
        Drift::UnitFailed { .. } => you(
            "Mend what it says, and start it",
            in_box(&[journal(), restart()]),
        ),
        Drift::UnitNotEnabled => you(
            "Enable it",
            in_box(&[format!("sudo systemctl enable {unit}")]),
        ),
        Drift::RestartOwed => you(
            "Start it again",
            in_box(&["sudo systemctl daemon-reload".to_owned(), restart()]),
        ),
        Drift::AddressNarrow { .. } => (
            "Let the declared server.py listen on every address",
            Vec::new(),
            By::Organiser,
        ),
        Drift::Closed(closed) => you(Closed::CURE, vec![closed.command(context)]),
        Drift::Silent | Drift::WrongAnswer { .. } => you(
            "See what it says, and start it again",
            in_box(&[journal(), restart()]),
        ),
    }
}
