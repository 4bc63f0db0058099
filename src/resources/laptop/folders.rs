//! Where the project, Vagrant's home and VirtualBox's machines are: paths and disks that they cannot bear.

use super::common::{Files, Here, Variables, content, is_there};
use super::disk::{self, Disks};
use super::{Check, Context, Judgement, KNOWN, LINUX, LaptopKind, State, When, Wrong};
use crate::facts::laptop::HERE;
use crate::facts::probe::Ask;
use crate::facts::{Fact, Facts, Probe};
use crate::resources::observed;
use crate::target::laptop::Os;
use crate::workshop::Workshop;

const HOME: &str = "laptop.vagrant-home";

pub const KIND: LaptopKind = LaptopKind {
    checks: &[
        Check {
            id: HOME,
            title: "Vagrant and VirtualBox keep their files on a disk and a path that they can bear",
            needs: &[],
            probe: HERE,
        },
        Check {
            id: "laptop.project-folder",
            title: "The workshop's folder is on a disk and a path that Vagrant can bear",
            needs: &[],
            probe: HERE,
        },
    ],
    on: KNOWN,
    virtualbox: false,
    when: When::Always,
    probes,
    look,
};

const KERNEL: &str = "laptop.kernel";
const VERSION: &str = "/proc/version";

fn probes(workshop: &Workshop) -> Vec<Probe> {
    let mut probes = disk::probes(workshop);
    probes.extend(Variables::probes(workshop));
    probes.push(Probe::laptop(KERNEL, LINUX, Ask::Files(vec![VERSION])));
    probes
}

/// File systems without owners and modes: a private key cannot be kept to oneself there.
const MODELESS: &[&str] = &["exfat", "vfat", "msdos", "fat32", "fat"];

fn look(check: &Check, context: Context, facts: &Facts) -> State<Judgement> {
    if check.id == HOME {
        look_at_home(context, facts)
    } else {
        look_at_project(context, facts)
    }
}

fn look_at_home(context: Context, facts: &Facts) -> State<Judgement> {
    let Here(here) = observed!(facts, Here);
    let places = [
        ("{vagrant_home}", "Vagrant's home", &here.vagrant_home),
        (
            "{machine_folder}",
            "VirtualBox's machine folder",
            &here.machine_folder,
        ),
    ];
    if context.laptop == Os::Windows
        && let Some((_, name, path)) = places.iter().find(|(_, _, path)| !path.is_ascii())
    {
        return Wrong::fail(format!(
            "{name} is {path}: Vagrant cannot handle letters with accents in a path on Windows"
        ))
        .text("Give both another folder, then open a new terminal")
        .command(r"setx VAGRANT_HOME C:\vagrant.d")
        .command(r"VBoxManage setproperty machinefolder C:\VMs")
        .drifted();
    }
    let Disks(disks) = match Disks::observe(context.laptop, facts) {
        Ok(disks) => disks,
        Err(unobserved) => return State::from(&unobserved),
    };
    for (folder, name, path) in places {
        let lies = &disks[folder];
        if lies.is_network || MODELESS.contains(&lies.file_system.as_str()) {
            let wrong = Wrong::warn(format!(
                "{name}, {path}, is on {}: boxes and machines break there",
                kind(&lies.file_system, lies.is_network)
            ))
            .text("Give it a folder on the laptop's own disk, then open a new terminal");
            let command = match (folder, context.laptop) {
                ("{vagrant_home}", Os::Windows) => r"setx VAGRANT_HOME C:\vagrant.d".to_owned(),
                ("{vagrant_home}", _) => {
                    "echo 'export VAGRANT_HOME=/var/tmp/vagrant.d' >> ~/.profile".to_owned()
                }
                (_, Os::Windows) => r"VBoxManage setproperty machinefolder C:\VMs".to_owned(),
                _ => "VBoxManage setproperty machinefolder default".to_owned(),
            };
            return wrong.command(command).drifted();
        }
    }
    State::AsDeclared(format!("{}, {}", here.vagrant_home, here.machine_folder))
}

fn kind(file_system: &str, is_network: bool) -> String {
    match (is_network, file_system) {
        (true, "") => "a network drive".to_owned(),
        (true, name) => format!("a network drive ({name})"),
        (false, name) => format!("a disk with {name}"),
    }
}

fn look_at_project(context: Context, facts: &Facts) -> State<Judgement> {
    let Here(here) = observed!(facts, Here);
    let variables = observed!(facts, Variables);
    let project = &here.project;
    if context.laptop == Os::Linux {
        match is_wsl(facts) {
            Err(unobserved) => return State::from(&unobserved),
            Ok(true) if variables.get("VAGRANT_WSL_ENABLE_WINDOWS_ACCESS").is_none() => {
                return Wrong::fail("This is the Windows Subsystem for Linux, where Vagrant does not reach VirtualBox")
                    .text("Open PowerShell, install Vagrant for Windows, and use dwenv.exe from there")
                    .drifted();
            }
            Ok(_) => {}
        }
    }
    let to = if context.laptop == Os::Windows {
        r"C:\dev"
    } else {
        "~/dev"
    };
    let moved = |wrong: Wrong| {
        wrong
            .text(format!(
                "Move the folder to {to}, and open a terminal there"
            ))
            .drifted()
    };
    if let Some(cloud) = cloud(context.laptop, project, &here.home, &variables) {
        return moved(Wrong::warn(format!(
            "{project} is kept in {cloud}, which locks and moves files while Vagrant uses them"
        )));
    }
    if context.laptop == Os::Windows && !project.is_ascii() {
        return moved(Wrong::warn(format!(
            "{project} has letters with accents, which Vagrant cannot always handle on Windows"
        )));
    }
    let Disks(disks) = match Disks::observe(context.laptop, facts) {
        Ok(disks) => disks,
        Err(unobserved) => return State::from(&unobserved),
    };
    let lies = &disks["{project}"];
    if lies.is_network {
        return moved(Wrong::warn(format!(
            "{project} is on {}: logging in to the box fails from there now and then",
            kind(&lies.file_system, true)
        )));
    }
    if MODELESS.contains(&lies.file_system.as_str()) {
        return moved(Wrong::warn(format!(
            "{project} is on a disk with {}, where the box's private key cannot be kept to yourself, so SSH refuses it",
            lies.file_system
        )));
    }
    State::AsDeclared(project.clone())
}

fn is_wsl(facts: &Facts) -> crate::facts::Observed<bool> {
    let files: Files = facts.records().json(KERNEL)?;
    is_there(&files, VERSION)?;
    Ok(content(&files, VERSION)?
        .to_lowercase()
        .contains("microsoft"))
}

/// The service that carries a folder to its cloud.
fn cloud(laptop: Os, project: &str, home: &str, variables: &Variables) -> Option<&'static str> {
    let path = project.replace('\\', "/").to_lowercase();
    let is_under = |folder: &str| {
        let folder = folder.replace('\\', "/").to_lowercase();
        let folder = folder.trim_end_matches('/');
        path == folder || path.starts_with(&format!("{folder}/"))
    };
    let drives = ["OneDrive", "OneDriveCommercial", "OneDriveConsumer"];
    if drives
        .iter()
        .filter_map(|name| variables.get(name))
        .any(is_under)
    {
        return Some("OneDrive");
    }
    let folders: &[(&str, &str)] = match laptop {
        Os::MacOs => &[
            ("Library/Mobile Documents", "iCloud Drive"),
            ("Library/CloudStorage", "a cloud drive"),
            ("Dropbox", "Dropbox"),
        ],
        Os::Windows => &[
            ("OneDrive", "OneDrive"),
            ("iCloudDrive", "iCloud Drive"),
            ("Dropbox", "Dropbox"),
        ],
        Os::Linux | Os::Other => &[("Dropbox", "Dropbox")],
    };
    folders
        .iter()
        .find(|(folder, _)| is_under(&format!("{home}/{folder}")))
        .map(|(_, name)| *name)
}
