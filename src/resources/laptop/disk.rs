//! Room for boxes and machines, and what kind of disk they would lie on.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::common::{Here, gigabytes, lines, list, not_understood, powershell, program, said};
use super::{
    Check, Context, Judgement, KNOWN, LaptopKind, State, When, Wrong, box_answers, proved,
};
use crate::facts::{Fact, Facts, Observed, Probe, Records};
use crate::resources::observed;
use crate::target::laptop::Os;
use crate::workshop::Workshop;

pub const KIND: LaptopKind = LaptopKind {
    checks: &[Check {
        id: "laptop.disk",
        title: "The laptop's disk has room for the box",
        needs: &[],
        probe: DF,
    }],
    on: KNOWN,
    virtualbox: true,
    when: When::Always,
    probes,
    look,
};

const DF: &str = "laptop.df";
const MOUNTS: &str = "laptop.mounts";
const DISKS: &str = "laptop.disks";

/// The box, its machine and the images want that much; below the lower bound not even the box fits.
const SCARCE_KB: u64 = 15_000_000;
const FULL_KB: u64 = 5_000_000;

/// The folders that the workshop uses, in the order in which df is asked for them.
pub const FOLDERS: [&str; 3] = ["{project}", "{vagrant_home}", "{machine_folder}"];

pub fn probes(workshop: &Workshop) -> Vec<Probe> {
    let [project, home, machines] = FOLDERS;
    let mut probes = Here::probes(workshop);
    probes.push(program(
        DF,
        &[Os::Linux],
        "df",
        &["-PkT", project, home, machines],
    ));
    // macOS has no types in df; mount knows them.
    probes.push(program(
        DF,
        &[Os::MacOs],
        "df",
        &["-Pk", project, home, machines],
    ));
    probes.push(program(MOUNTS, &[Os::MacOs], "mount", &[]));
    let line = "@(Get-CimInstance Win32_LogicalDisk | Select-Object DeviceID, DriveType, FileSystem, FreeSpace) | ConvertTo-Json -Compress";
    probes.push(powershell(DISKS, line));
    probes
}

/// Where one folder lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lies {
    pub free_kb: Option<u64>,
    /// In small letters; empty where nothing tells it.
    pub file_system: String,
    pub is_network: bool,
}

/// The disks under the workshop's folders, by [`FOLDERS`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disks(pub BTreeMap<&'static str, Lies>);

impl Disks {
    pub fn observe(laptop: Os, facts: &Facts) -> Observed<Self> {
        let records = facts.records();
        match laptop {
            Os::Windows => windows(records, &facts.get::<Here>().as_ref().clone()?),
            Os::MacOs => {
                let mounts = lines(records, MOUNTS)?;
                unix(records, |device, _| mac_type(mounts, device))
            }
            Os::Linux | Os::Other => unix(records, |_, kind| {
                (!kind.is_empty()).then(|| kind.to_owned())
            }),
        }
    }
}

const NETWORK: &[&str] = &[
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "afpfs",
    "webdav",
    "fuse.sshfs",
    "9p",
    "drvfs",
];

/// df's lines: `/dev/sda2 ext4 479151816 101234567 353507000 23% /`, without the type on macOS.
fn unix(records: &Records, kind: impl Fn(&str, &str) -> Option<String>) -> Observed<Disks> {
    let (_, text) = said(records, DF)?;
    let lines: Vec<&str> = text.lines().skip(1).collect();
    let mut disks = BTreeMap::new();
    for (folder, line) in FOLDERS.into_iter().zip(&lines) {
        let words: Vec<&str> = line.split_whitespace().collect();
        // What follows the share in per cent is the mount point, which may hold spaces; a device may, too.
        let share = words.iter().position(|word| {
            word.strip_suffix('%')
                .is_some_and(|number| number.parse::<u8>().is_ok())
        });
        let free = share
            .filter(|share| words.len() > share + 1)
            .and_then(|share| words.get(share.checked_sub(1)?)?.parse().ok());
        let Some((share, free)) = share.zip(free) else {
            return Err(not_understood("df's answer", line));
        };
        let type_word = share.checked_sub(4).and_then(|at| words.get(at));
        let file_system = kind(words[0], type_word.copied().unwrap_or_default());
        let Some(file_system) = file_system.map(|name| name.to_lowercase()) else {
            return Err(not_understood("the type of the file system", line));
        };
        disks.insert(
            folder,
            Lies {
                free_kb: Some(free),
                is_network: NETWORK.contains(&file_system.as_str()),
                file_system,
            },
        );
    }
    if disks.len() < FOLDERS.len() {
        return Err(not_understood("df's answer", text));
    }
    Ok(Disks(disks))
}

/// `/dev/disk4s1 on /Volumes/STICK (exfat, local, nodev, nosuid)`
fn mac_type(mounts: &str, device: &str) -> Option<String> {
    let line = mounts.lines().find(|line| {
        line.strip_prefix(device)
            .is_some_and(|rest| rest.starts_with(" on "))
    })?;
    let (_, options) = line.rsplit_once('(')?;
    Some(options.split([',', ')']).next()?.to_owned())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LogicalDisk {
    #[serde(rename = "DeviceID")]
    device_id: String,
    /// 4: a network drive.
    drive_type: u32,
    file_system: Option<String>,
    free_space: Option<u64>,
}

fn windows(records: &Records, here: &Here) -> Observed<Disks> {
    let known: Vec<LogicalDisk> = list(records, DISKS)?;
    let Here(here) = here;
    let paths = [&here.project, &here.vagrant_home, &here.machine_folder];
    let mut disks = BTreeMap::new();
    for (folder, path) in FOLDERS.into_iter().zip(paths) {
        let path = path.strip_prefix(r"\\?\").unwrap_or(path);
        if path.starts_with(r"\\") {
            disks.insert(
                folder,
                Lies {
                    free_kb: None,
                    file_system: "unc".to_owned(),
                    is_network: true,
                },
            );
            continue;
        }
        let drive = path.get(..2).unwrap_or_default();
        let disk = known
            .iter()
            .find(|disk| disk.device_id.eq_ignore_ascii_case(drive))
            .ok_or_else(|| not_understood("the list of Windows' drives", path))?;
        disks.insert(
            folder,
            Lies {
                free_kb: disk.free_space.map(|bytes| bytes / 1024),
                file_system: disk.file_system.clone().unwrap_or_default().to_lowercase(),
                is_network: disk.drive_type == 4,
            },
        );
    }
    Ok(Disks(disks))
}

fn look(_: &Check, context: Context, facts: &Facts) -> State<Judgement> {
    if box_answers(facts) {
        return proved();
    }
    let Disks(disks) = match Disks::observe(context.laptop, facts) {
        Ok(disks) => disks,
        Err(unobserved) => return State::from(&unobserved),
    };
    let Here(here) = observed!(facts, Here);
    let places = [
        ("{vagrant_home}", &here.vagrant_home),
        ("{machine_folder}", &here.machine_folder),
    ];
    let tightest = places
        .iter()
        .filter_map(|(folder, path)| Some((disks.get(folder)?.free_kb?, *path)))
        .min();
    let Some((free, path)) = tightest else {
        return State::Unknown("nothing tells how much room there is".to_owned());
    };
    if free >= SCARCE_KB {
        return State::AsDeclared(format!("{} free", gigabytes(free)));
    }
    let summary = format!(
        "Only {} are free where {path} is; box, machine and images need some 15 GB",
        gigabytes(free)
    );
    let wrong = if free < FULL_KB {
        Wrong::fail(summary)
    } else {
        Wrong::warn(summary)
    };
    wrong
        .text("Make room: old versions of Vagrant's boxes can go, and machines that VirtualBox still has of other projects")
        .command("vagrant box prune")
        .command("vagrant global-status")
        .drifted()
}
