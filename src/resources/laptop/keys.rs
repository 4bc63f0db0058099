//! Whose Vagrant's files are, and who else may read the private key.

use super::common::{Here, Kept, lines, not_understood, program};
use super::{Check, Context, Judgement, KNOWN, LaptopKind, State, UNIX, When, Wrong, quoted};
use crate::facts::{Fact, Facts, Probe};
use crate::resources::observed;
use crate::target::laptop::Os;
use crate::workshop::Workshop;

const KEY: &str = "laptop.ssh-key";
const ACL: &str = "laptop.icacls";
const UID: &str = "laptop.uid";

pub const KEY_KIND: LaptopKind = LaptopKind {
    checks: &[Check {
        id: KEY,
        title: "Nobody else can read the key to the box",
        needs: &[],
        probe: Kept::PROBE,
    }],
    on: KNOWN,
    virtualbox: false,
    when: When::Always,
    probes,
    look: look_at_key,
};

pub const OWNER_KIND: LaptopKind = LaptopKind {
    checks: &[Check {
        id: "laptop.owner",
        title: "Vagrant's files belong to whoever uses them",
        needs: &[],
        probe: Kept::PROBE,
    }],
    on: UNIX,
    virtualbox: false,
    when: When::Always,
    probes,
    look: look_at_owner,
};

fn probes(workshop: &Workshop) -> Vec<Probe> {
    let mut probes = [Here::probes(workshop), Kept::probes(workshop)].concat();
    probes.push(program(UID, UNIX, "id", &["-u"]));
    probes.push(program(ACL, &[Os::Windows], "icacls", &["{private_key}"]));
    probes
}

fn look_at_key(_: &Check, context: Context, facts: &Facts) -> State<Judgement> {
    if context.laptop == Os::Windows {
        return look_at_acl(facts);
    }
    let Kept(files) = observed!(facts, Kept);
    let keys = || {
        files
            .iter()
            .filter(|file| file.path.ends_with("/private_key"))
    };
    let open = keys().find(|file| file.mode.is_some_and(|mode| mode & 0o077 != 0));
    match open {
        None if keys().next().is_none() => State::AsDeclared("there is none yet".to_owned()),
        None => State::AsDeclared("only you can".to_owned()),
        Some(file) => {
            let mode = file.mode.unwrap_or_default() & 0o777;
            let path = file.path.replace("{project}/", "");
            Wrong::warn(format!(
                "Others may read the key to the box, {path} (mode {mode:o}): ssh refuses such a key"
            ))
            .text("In the workshop's folder, keep it to yourself")
            .command(format!("chmod 600 {}", quoted(context.laptop, &path)))
            .drifted()
        }
    }
}

/// `C:\dev\…\private_key LAPTOP\anna:(F)` and below it, indented, everybody else.
fn look_at_acl(facts: &Facts) -> State<Judgement> {
    let text = match facts.records().text(ACL) {
        Ok(text) => text,
        Err(unobserved) => return State::from(&unobserved),
    };
    if text.trim().is_empty() {
        return State::AsDeclared("there is none yet".to_owned());
    }
    let Some((path, rest)) = text.split_once("private_key ") else {
        return State::from(&not_understood("icacls' answer", text));
    };
    let path = format!("{}private_key", path.trim_start());
    let entries: Vec<&str> = rest
        .lines()
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect();
    if entries.is_empty() || !entries.iter().all(|entry| entry.contains(":(")) {
        return State::from(&not_understood("icacls' answer", text));
    }
    // Accounts of Windows have names in its language; a person's begins with the computer or the domain.
    let strangers: Vec<&str> = entries
        .iter()
        .filter(|entry| entry.contains("(I)") || is_everybody(entry))
        .filter_map(|entry| entry.split(":(").next())
        .filter(|name| is_everybody(name))
        .collect();
    if strangers.is_empty() {
        return State::AsDeclared("only you can".to_owned());
    }
    Wrong::warn(format!(
        "{} may read the key to the box: ssh refuses such a key",
        strangers.join(", ")
    ))
    .text("Take it from everybody but yourself, in cmd (in PowerShell write $env:USERNAME for %USERNAME%)")
    .command(format!(
        "icacls \"{path}\" /inheritance:r /grant:r \"%USERNAME%:F\""
    ))
    .drifted()
}

/// Groups that hold more than one person.
fn is_everybody(entry: &str) -> bool {
    [
        "Everyone",
        "\\Users",
        "Authenticated Users",
        "Jeder",
        "Benutzer",
        "Authentifizierte",
        "Tout le monde",
        "Utilisateurs",
        "Todos",
        "Usuarios",
    ]
    .iter()
    .any(|group| entry.contains(group))
}

fn look_at_owner(_: &Check, context: Context, facts: &Facts) -> State<Judgement> {
    let Here(here) = observed!(facts, Here);
    let Kept(files) = observed!(facts, Kept);
    let uid: u32 = match lines(facts.records(), UID) {
        Ok(text) => match text.trim().parse() {
            Ok(uid) => uid,
            Err(_) => return State::from(&not_understood("id's answer", text)),
        },
        Err(unobserved) => return State::from(&unobserved),
    };
    let creator = files.iter().find_map(|file| {
        let made_by: u32 = file.content.as_ref()?.trim().parse().ok()?;
        (made_by != uid).then_some(made_by)
    });
    let foreign = files
        .iter()
        .find(|file| file.owner.is_some_and(|owner| owner != uid));
    let Some(why) = creator
        .map(|made_by| format!("The machine was made by the user with the id {made_by}, and you are {uid}: Vagrant refuses to touch it"))
        .or_else(|| {
            let file = foreign?;
            let owner = file.owner?;
            let path = file.path.replace("{project}/", "").replace("{vagrant_home}", "Vagrant's home");
            Some(format!("{path} belongs to the user with the id {owner}, and you are {uid}: Vagrant cannot write there"))
        })
    else {
        return State::AsDeclared("yours".to_owned());
    };
    Wrong::fail(why)
        .text("Somebody once ran `sudo vagrant`. Take the files back; a machine that another user made has to be made anew, by that user's `vagrant destroy` and your `dwenv up`")
        .command(format!(
            "sudo chown -R {uid} {} {}",
            quoted(context.laptop, &format!("{}/.vagrant", here.project)),
            quoted(context.laptop, &here.vagrant_home)
        ))
        .drifted()
}
