//! Where the workshop's things are on this laptop.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::target::laptop::Os;
use crate::target::{Person, Vagrant};

/// Which laptop this is, and the folders that the workshop uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Here {
    pub system: Os,
    /// The processor that dwenv was built for: under a translation not the laptop's own.
    pub architecture: String,
    /// Of the running Linux kernel; empty elsewhere.
    pub release: String,
    /// Where the Vagrantfile is, or will be.
    pub project: String,
    pub vagrant_home: String,
    /// Where VirtualBox keeps its machines.
    pub machine_folder: String,
    pub home: String,
}

#[derive(Clone, Debug)]
pub struct Places {
    pub here: Here,
}

impl Places {
    pub fn find(folder: &Path) -> Self {
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let project = Vagrant::in_folder(&folder).map_or(folder, |it| it.folder().to_owned());
        let home = Person::this().map(|person| person.home).unwrap_or_default();
        let vagrant_home = env::var_os("VAGRANT_HOME")
            .filter(|value| !value.is_empty())
            .map_or_else(|| home.join(".vagrant.d"), PathBuf::from);
        let machine_folder = machine_folder(&home);
        let shown = |path: &Path| path.to_string_lossy().into_owned();
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            here: Here {
                system: Os::this(),
                architecture: env::consts::ARCH.to_owned(),
                release: release.trim().to_owned(),
                project: shown(&project),
                vagrant_home: shown(&vagrant_home),
                machine_folder: shown(&machine_folder),
                home: shown(&home),
            },
        }
    }

    /// Fills in the words in braces. `None` where one of them names nothing here.
    pub fn fill(&self, text: &str) -> Option<String> {
        let here = &self.here;
        let mut filled = text.to_owned();
        for (word, value) in [
            ("{project}", &here.project),
            ("{vagrant_home}", &here.vagrant_home),
            ("{machine_folder}", &here.machine_folder),
            ("{home}", &here.home),
            ("{release}", &here.release),
        ] {
            filled = filled.replace(word, value);
        }
        for name in ["SSL_CERT_FILE", "CURL_CA_BUNDLE"] {
            let word = format!("{{{name}}}");
            if filled.contains(&word) {
                let value = env::var(name).ok().filter(|value| !value.is_empty())?;
                filled = filled.replace(&word, &value);
            }
        }
        if filled.contains("{private_key}") {
            filled = filled.replace("{private_key}", &self.private_key()?);
        }
        Some(filled)
    }

    /// The key with which Vagrant logs in to a machine of this project.
    fn private_key(&self) -> Option<String> {
        let machines = Path::new(&self.here.project).join(".vagrant/machines");
        let folders = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
        folders(&machines)
            .flat_map(|machine| folders(&machine.path()).collect::<Vec<_>>())
            .map(|provider| provider.path().join("private_key"))
            .find(|key| key.is_file())
            .map(|key| key.to_string_lossy().into_owned())
    }
}

/// The nearest folder above, or the place itself, that is there already.
pub fn existing(path: &str) -> String {
    let path = Path::new(path);
    let there = path.ancestors().find(|folder| folder.exists());
    there.unwrap_or(path).to_string_lossy().into_owned()
}

/// Where VirtualBox keeps its machines: its settings say so once somebody changed it.
fn machine_folder(home: &Path) -> PathBuf {
    let settings = match Os::this() {
        Os::Windows => home.join(".VirtualBox"),
        Os::MacOs => home.join("Library/VirtualBox"),
        Os::Linux | Os::Other => env::var_os("XDG_CONFIG_HOME")
            .map_or_else(|| home.join(".config"), PathBuf::from)
            .join("VirtualBox"),
    };
    let settings = env::var_os("VBOX_USER_HOME").map_or(settings, PathBuf::from);
    fs::read_to_string(settings.join("VirtualBox.xml"))
        .ok()
        .and_then(|text| default_machine_folder(&text))
        .map_or_else(|| home.join("VirtualBox VMs"), PathBuf::from)
}

/// `<SystemProperties defaultMachineFolder="/home/anna/VirtualBox VMs" …/>`
fn default_machine_folder(xml: &str) -> Option<String> {
    let (_, rest) = xml.split_once("defaultMachineFolder=\"")?;
    let (value, _) = rest.split_once('"')?;
    let plain = value
        .replace("&quot;", "\"")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&");
    (!plain.is_empty()).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn virtualboxs_settings_name_its_folder() {
        let xml = "<VirtualBox>\n<Global>\n<SystemProperties defaultMachineFolder=\"/srv/a &amp; b\" x=\"y\"/>";
        assert_eq!(default_machine_folder(xml).as_deref(), Some("/srv/a & b"));
        assert_eq!(default_machine_folder("<VirtualBox/>"), None);
        let empty = "defaultMachineFolder=\"\"";
        assert_eq!(default_machine_folder(empty), None);
    }

    #[test]
    fn a_place_that_is_not_there_yet_is_judged_by_the_folder_above() {
        let folder = tempfile::tempdir().unwrap();
        let there = folder.path().to_string_lossy().into_owned();
        let deep = folder.path().join("a/b").to_string_lossy().into_owned();
        assert_eq!(existing(&deep), there);
    }
}
