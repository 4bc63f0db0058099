//! What doctor says of Docker's drifts.

use std::iter;

use super::super::files::Keeping;
use super::super::sshd::CLOSES;
use super::super::{Context, Judgement};
use super::daemon::Failure;
use super::facts::{CONFIG, DockerGroup};
use super::{Drift, UNIT};
use crate::doctor::report::{By, Remedy, Status};
use crate::facts::Facts;
use crate::quote;

pub fn judge(context: Context, facts: &Facts, drift: &Drift) -> Judgement {
    let (text, commands, by) = remedy(context, &Keeping::of(facts), drift);
    Judgement {
        status: match drift {
            Drift::SubnetClash(_) | Drift::ComposeTooOld { .. } | Drift::RestartOwed(_) => {
                Status::Warn
            }
            Drift::SshdCloses { .. } => Status::Unknown,
            _ => Status::Fail,
        },
        summary: summary(drift),
        remedy: Some(Remedy { text, commands, by }),
    }
}

pub fn summary(drift: &Drift) -> String {
    match drift {
        Drift::EngineMissing(packages) => format!("Not installed: {}", packages.join(", ")),
        Drift::EngineConflicts(packages) => format!(
            "In the way of Docker's own packages: {}",
            packages.join(", ")
        ),
        Drift::EngineOfSnap => {
            "Docker is there from snap too, and that one sees no file outside the home folder"
                .to_owned()
        }
        Drift::EngineTooOld { found, wanted } => {
            format!("The box has Docker {found}; the workshop needs {wanted} or newer")
        }
        Drift::ConfigBroken { error } => {
            format!("{CONFIG} is no valid JSON, so Docker will not start with it: {error}")
        }
        Drift::ConfigRefused { said } => format!("Docker refuses {CONFIG}: {said}"),
        Drift::StorageDriverGone { driver } => {
            format!("{CONFIG} names the storage driver {driver}, which this system does not have")
        }
        Drift::StorageOnFilesystem { folder, kind } => {
            format!("Docker shall keep its images in {folder}, and {kind} cannot hold them")
        }
        Drift::StorageRefused { said } => format!("Docker cannot keep its images: {said}"),
        Drift::DaemonStopped { state } => format!("{UNIT} is {state}"),
        Drift::DaemonFailed { state, failure } => {
            format!("{UNIT} is {state}; it says: {}", failure.said())
        }
        Drift::DaemonNotEnabled => format!("{UNIT} runs, but will not start with the box"),
        Drift::RestartOwed(files) => {
            let were = if files.len() == 1 { "was" } else { "were" };
            format!(
                "{UNIT} was started before {} {were} written, and runs by what stood there",
                files.join(", ")
            )
        }
        Drift::DaemonMasked => format!("{UNIT} is masked: somebody forbade it to start"),
        Drift::DaemonSilent => format!("{UNIT} runs, but its socket answers nobody"),
        Drift::SshdCloses { file, line } => {
            format!("{UNIT} runs, but {file} has `{line}`, so nobody can ask it over SSH")
        }
        Drift::NotInGroup { user } => {
            format!("{user} is not in the group {}", DockerGroup::NAME)
        }
        Drift::SessionOlderThanGroup { user } => format!(
            "{user} is in the group {}, but this login began before that",
            DockerGroup::NAME
        ),
        Drift::ClientTooOld {
            package,
            speaks,
            lowest,
        } => format!(
            "The client ({package}) speaks version {speaks} of Docker's API; the daemon takes {lowest} or newer"
        ),
        Drift::ClientPinned {
            file,
            version,
            lowest,
            highest,
        } => format!(
            "{file} sets DOCKER_API_VERSION to {version}; the daemon takes {lowest} to {highest}"
        ),
        Drift::ComposeMissing { package, command } => {
            format!("`{command}` is not there: {package} is not installed")
        }
        Drift::ComposeTooOld { found, engine } => format!(
            "Compose {found} fails with Docker {engine}: it ends with KeyError 'ContainerConfig'"
        ),
        Drift::ForwardingOff => {
            "The box forwards no packets (net.ipv4.ip_forward is 0): containers reach nobody"
                .to_owned()
        }
        Drift::SubnetClash(clash) => format!(
            "Docker's network {} ({}) has addresses of {}, which {} leads to: the two hide each other",
            clash.ours.block(),
            clash.ours.device,
            clash.other.block(),
            clash.other.device
        ),
        Drift::PullsUsedUp { limit } => match limit {
            Some(limit) => format!(
                "Docker Hub lets nobody pull from this network for now: its {limit} pulls are used up"
            ),
            None => "Docker Hub lets nobody pull from this network for now".to_owned(),
        },
        Drift::ImagesMissing { first, others } => {
            let images: Vec<&str> = iter::once(first)
                .chain(others)
                .map(String::as_str)
                .collect();
            format!("Not in the box: {}", images.join(", "))
        }
    }
}

fn remedy(context: Context, keeping: &Keeping, drift: &Drift) -> (String, Vec<String>, By) {
    let you = |text: &str, commands: Vec<String>| (text.to_owned(), commands, By::You);
    let in_box = |commands: &[String]| {
        let typed = commands.iter().map(|command| context.in_box(command));
        typed.collect::<Vec<_>>()
    };
    let provision = || vec![format!("dwenv provision --target {}", context.target)];
    let restart = || {
        [
            format!("sudo systemctl reset-failed {UNIT}"),
            format!("sudo systemctl restart {UNIT}"),
        ]
    };
    let set_aside = || {
        let aside = keeping.set_aside(CONFIG);
        in_box(&[vec![aside], restart().to_vec()].concat())
    };
    match drift {
        Drift::EngineMissing(_) | Drift::ComposeMissing { .. } => you("Install it", provision()),
        Drift::EngineConflicts(_) => you(
            "Replace them; images, containers and volumes stay",
            provision(),
        ),
        Drift::EngineOfSnap => you(
            "Remove the one from snap; its images and volumes go with it",
            in_box(&["sudo snap remove docker".to_owned()]),
        ),
        Drift::EngineTooOld { .. } | Drift::ClientTooOld { .. } | Drift::ComposeTooOld { .. } => (
            "Use a box with a newer release, or Docker's own repository".to_owned(),
            Vec::new(),
            By::Organiser,
        ),
        Drift::ConfigBroken { .. } | Drift::ConfigRefused { .. } => you(
            "Mend the file; or, if nothing in it is needed, set it aside and start Docker",
            set_aside(),
        ),
        Drift::StorageDriverGone { .. }
        | Drift::StorageOnFilesystem { .. }
        | Drift::StorageRefused { .. } => you(
            "Take that setting out of the file; or, if nothing in it is needed, set it aside and start Docker",
            set_aside(),
        ),
        Drift::DaemonFailed {
            failure: Failure::Firewall(_),
            ..
        } => you(
            "Restart the box: after an update its kernel lacks what the firewall needs",
            in_box(&["sudo reboot".to_owned()]),
        ),
        Drift::DaemonFailed {
            failure: Failure::Cgroups(_),
            ..
        } => (
            "Use a box with a newer Docker: this one does not fit the kernel".to_owned(),
            Vec::new(),
            By::Organiser,
        ),
        Drift::DaemonFailed { .. } => you("Mend what it says, and start it", in_box(&restart())),
        Drift::DaemonStopped { .. } => you(
            "Start it",
            in_box(&[format!("sudo systemctl enable --now {UNIT}")]),
        ),
        Drift::DaemonNotEnabled => you(
            "Enable it",
            in_box(&[format!("sudo systemctl enable {UNIT}")]),
        ),
        Drift::RestartOwed(_) => you(
            "Start it again; its containers stop",
            in_box(&[
                "sudo systemctl daemon-reload".to_owned(),
                format!("sudo systemctl restart {UNIT}"),
            ]),
        ),
        Drift::DaemonMasked => you(
            "Allow it again",
            in_box(&[
                format!("sudo systemctl unmask {UNIT} docker.socket"),
                format!("sudo systemctl enable --now {UNIT}"),
            ]),
        ),
        Drift::DaemonSilent => you(
            "Start it again",
            in_box(&[format!("sudo systemctl restart docker.socket {UNIT}")]),
        ),
        Drift::SshdCloses { file, .. } => you(
            "Take that line out of the settings of sshd, and have it read them",
            in_box(&[
                keeping.copy(file),
                format!(
                    "sudo sed -Ei {} {}",
                    quote::sh(&format!("/^[[:space:]]*{CLOSES}/Id")),
                    quote::sh(file)
                ),
                "sudo systemctl reload ssh".to_owned(),
            ]),
        ),
        Drift::NotInGroup { user } => you(
            "Add the user to the group; whoever is logged in has to log in again",
            in_box(&[format!(
                "sudo usermod -aG {} {}",
                DockerGroup::NAME,
                quote::sh(user)
            )]),
        ),
        Drift::SessionOlderThanGroup { .. } => you(
            "Log out of the box and in again",
            vec![format!("dwenv ssh --target {}", context.target)],
        ),
        Drift::ClientPinned { file, .. } => you(
            "Take the line out of the file, then log in again",
            in_box(&[
                keeping.copy(file),
                format!("sudo sed -i /DOCKER_API_VERSION=/d {}", quote::sh(file)),
            ]),
        ),
        Drift::ForwardingOff => you(
            "Switch it on; Docker does so itself whenever it starts",
            in_box(&["sudo sysctl -w net.ipv4.ip_forward=1".to_owned()]),
        ),
        Drift::SubnetClash(clash) if clash.is_default() => you(
            "Give Docker's networks other addresses; Docker is started again for that, and its containers stop",
            provision(),
        ),
        Drift::SubnetClash(clash) => you(
            "Stop the containers on that network and remove it; Docker gives the next one free addresses",
            in_box(&[
                format!(
                    "docker ps -q --filter network={0} | xargs -r docker stop",
                    clash.network()
                ),
                format!("docker network rm {}", clash.network()),
            ]),
        ),
        Drift::PullsUsedUp { .. } => you(
            "Wait some hours, or log in to Docker Hub with an account of your own; the organiser may have the images",
            in_box(&["docker login".to_owned()]),
        ),
        Drift::ImagesMissing { .. } => you("Pull what is missing", provision()),
    }
}
