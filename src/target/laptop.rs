//! Vagrant and VirtualBox as they are installed on this computer.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use semver::Version;

use super::program::{self, Environment, NotRun};

/// How long a program may take to say its version. Vagrant starts a Ruby each time.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// The operating systems that differ in what is installed where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Os {
    Linux,
    MacOs,
    Windows,
    Other,
}

impl Os {
    /// For what is the same on all of them.
    pub const ALL: &[Self] = &[Self::Linux, Self::MacOs, Self::Windows, Self::Other];

    /// The one dwenv runs on.
    #[must_use]
    pub fn this() -> Self {
        match std::env::consts::OS {
            "linux" => Self::Linux,
            "macos" => Self::MacOs,
            "windows" => Self::Windows,
            _ => Self::Other,
        }
    }
}

/// What is known about one program of the laptop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Installed {
    /// Not on the search path, nor where its installer puts it.
    No,
    Yes {
        path: PathBuf,
        version: Version,
        /// What the program said beside its version, such as a kernel module that is not loaded.
        warning: Option<String>,
    },
    /// It is there, and what it says holds no version.
    Broken {
        path: PathBuf,
        said: String,
    },
    TimedOut {
        path: PathBuf,
        after: Duration,
    },
}

/// Finds Vagrant and asks its version.
pub async fn vagrant(environment: &Environment) -> Installed {
    ask(find_vagrant(environment), environment, vagrant_version).await
}

/// Finds VirtualBox and asks its version.
pub async fn virtualbox(environment: &Environment) -> Installed {
    ask(
        find_virtualbox(environment),
        environment,
        virtualbox_version,
    )
    .await
}

#[must_use]
pub fn find_vagrant(environment: &Environment) -> Option<PathBuf> {
    let get = |name: &str| program::variable(environment, name);
    program::find(
        "vagrant",
        get("PATH").as_deref(),
        &vagrant_folders(Os::this(), &get),
    )
}

#[must_use]
pub fn find_virtualbox(environment: &Environment) -> Option<PathBuf> {
    let get = |name: &str| program::variable(environment, name);
    program::find(
        "VBoxManage",
        get("PATH").as_deref(),
        &virtualbox_folders(Os::this(), &get),
    )
}

/// Where Vagrant's installer puts it when the search path is not up to date yet.
fn vagrant_folders(os: Os, variable: &dyn Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    match os {
        Os::Windows => under(variable, &["ProgramFiles", "ProgramW6432"], "Vagrant/bin"),
        Os::MacOs => vec!["/usr/local/bin".into(), "/opt/vagrant/bin".into()],
        Os::Linux | Os::Other => Vec::new(),
    }
}

/// VirtualBox's installer does not touch the search path on Windows; it leaves a variable.
fn virtualbox_folders(os: Os, variable: &dyn Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    match os {
        Os::Windows => {
            let mut folders = under(
                variable,
                &["VBOX_MSI_INSTALL_PATH", "VBOX_INSTALL_PATH"],
                "",
            );
            folders.extend(under(
                variable,
                &["ProgramFiles", "ProgramW6432"],
                "Oracle/VirtualBox",
            ));
            folders
        }
        Os::MacOs => vec![
            "/usr/local/bin".into(),
            "/Applications/VirtualBox.app/Contents/MacOS".into(),
        ],
        Os::Linux | Os::Other => Vec::new(),
    }
}

fn under(variable: &dyn Fn(&str) -> Option<OsString>, names: &[&str], below: &str) -> Vec<PathBuf> {
    names
        .iter()
        .filter_map(|name| variable(name))
        .map(|folder| Path::new(&folder).join(below))
        .collect()
}

async fn ask(
    found: Option<PathBuf>,
    environment: &Environment,
    version: fn(&str) -> Option<Version>,
) -> Installed {
    let Some(path) = found else {
        return Installed::No;
    };
    let command = program::command(&path, &["--version"], None, environment);
    match program::capture(command, DEADLINE).await {
        Ok(finished) => {
            let said = finished.stdout.trim();
            match version(said).filter(|_| finished.status.success()) {
                Some(version) => {
                    let rest: Vec<&str> = said.lines().rev().skip(1).collect();
                    let rest: Vec<&str> = rest.into_iter().rev().collect();
                    let warning = rest.join("\n").trim().to_owned();
                    Installed::Yes {
                        path,
                        version,
                        warning: (!warning.is_empty()).then_some(warning),
                    }
                }
                None => Installed::Broken {
                    path,
                    said: format!("{said}\n{}", finished.stderr.trim())
                        .trim()
                        .to_owned(),
                },
            }
        }
        Err(NotRun::Start(error)) => Installed::Broken {
            path,
            said: error.to_string(),
        },
        Err(NotRun::TimedOut) => Installed::TimedOut {
            path,
            after: DEADLINE,
        },
    }
}

/// Reads `Vagrant 2.4.9`.
#[must_use]
pub fn vagrant_version(said: &str) -> Option<Version> {
    said.lines()
        .rev()
        .find_map(|line| line.trim().strip_prefix("Vagrant "))
        .and_then(three_numbers)
}

/// Reads `7.0.20r163906`, `6.1.50_Debianr161033`: the last line, because warnings stand before it.
#[must_use]
pub fn virtualbox_version(said: &str) -> Option<Version> {
    let last = said.trim().lines().next_back()?.trim();
    three_numbers(last.split(['r', '_']).next()?)
}

fn three_numbers(text: &str) -> Option<Version> {
    let mut parts = text.trim().splitn(4, '.');
    let mut number = || parts.next()?.parse().ok();
    Some(Version::new(number()?, number()?, number()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_the_programs_print() {
        for (said, expected) in [
            ("Vagrant 2.4.9\n", Some((2, 4, 9))),
            ("a note first\nVagrant 2.3.4", Some((2, 3, 4))),
            ("Vagrant 2.4.10.dev", Some((2, 4, 10))),
            ("Vagrant", None),
            ("", None),
        ] {
            let version = expected.map(|(a, b, c)| Version::new(a, b, c));
            assert_eq!(vagrant_version(said), version, "{said:?}");
        }
        for (said, expected) in [
            ("7.2.4r170995\n", Some((7, 2, 4))),
            ("6.1.50_Debianr161033", Some((6, 1, 50))),
            ("7.0.16_Ubuntur162802", Some((7, 0, 16))),
            ("7.1.0_BETA1r164058", Some((7, 1, 0))),
            (
                "WARNING: The vboxdrv kernel module is not loaded. Either there is no module\n         \
                 available for the current kernel (6.1.0-1) or it failed to load.\n7.0.20r163906\n",
                Some((7, 0, 20)),
            ),
            ("", None),
            ("VBoxManage: error", None),
        ] {
            let version = expected.map(|(a, b, c)| Version::new(a, b, c));
            assert_eq!(virtualbox_version(said), version, "{said:?}");
        }
    }

    #[test]
    fn on_windows_the_installers_variable_comes_first() {
        let variable = |name: &str| match name {
            "VBOX_MSI_INSTALL_PATH" => Some(OsString::from("D:/VBox/")),
            "ProgramFiles" => Some(OsString::from("C:/Program Files")),
            _ => None,
        };
        let folders = virtualbox_folders(Os::Windows, &variable);
        assert_eq!(
            folders,
            [
                PathBuf::from("D:/VBox/"),
                PathBuf::from("C:/Program Files/Oracle/VirtualBox")
            ]
        );
        assert_eq!(
            vagrant_folders(Os::Windows, &variable),
            [PathBuf::from("C:/Program Files/Vagrant/bin")]
        );
    }
}
