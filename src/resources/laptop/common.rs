//! What several checks of the laptop look at.

use std::collections::BTreeMap;
use std::time::Duration;

use semver::Version;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::facts::laptop::{Entry, HERE, Here as HereRecord, KeptFile, Program};
use crate::facts::probe::Ask;
use crate::facts::{Fact, Facts, Observed, Probe, RecordStatus, Records, Unobserved};
use crate::resources::reach::{VagrantProgram, VirtualBoxProgram};
use crate::target::laptop::Os;
use crate::workshop::Workshop;

/// Windows starts PowerShell slowly, and a scanner looks at it first.
const POWERSHELL: Duration = Duration::from_secs(15);
/// Vagrant starts a Ruby.
pub const RUBY: Duration = Duration::from_secs(20);
/// Programs speak English, with a point in their numbers.
pub const PLAIN: &[(&str, &str)] = &[("LC_ALL", "C")];

/// A probe that runs a program of the laptop.
pub fn program(
    id: &'static str,
    on: &'static [Os],
    name: &'static str,
    arguments: &[&str],
) -> Probe {
    let arguments = arguments.iter().map(|&word| word.to_owned()).collect();
    let variables = if name == "vagrant" { &[] } else { PLAIN };
    let ask = Ask::Program {
        name,
        arguments,
        variables,
    };
    Probe::laptop(id, on, ask)
}

/// A probe that runs a line of PowerShell, whose answer is JSON.
pub fn powershell(id: &'static str, line: &str) -> Probe {
    let arguments = ["-NoProfile", "-NonInteractive", "-Command", line];
    program(id, &[Os::Windows], "powershell", &arguments).within(POWERSHELL)
}

/// What a program said, however it ended.
pub fn said<'a>(records: &'a Records, probe: &str) -> Observed<(i32, &'a str)> {
    match records.get(probe) {
        Some(record) => match record.status {
            RecordStatus::Done(status) => Ok((status, &record.output)),
            _ => records.text(probe).map(|text| (0, text)),
        },
        None => records.text(probe).map(|text| (0, text)),
    }
}

/// The lines of a program that ran to its end successfully, the last one whole.
pub fn lines<'a>(records: &'a Records, probe: &str) -> Observed<&'a str> {
    let text = records.text(probe)?;
    if text.is_empty() || text.ends_with('\n') {
        Ok(text)
    } else {
        Err(not_understood("an answer without an end", text))
    }
}

pub fn not_understood(what: &str, text: &str) -> Unobserved {
    let shown: String = text.trim().chars().take(80).collect();
    Unobserved(format!("{what} is not understood: {shown}"))
}

/// PowerShell writes a list of one as that one.
pub fn list<T: DeserializeOwned>(records: &Records, probe: &str) -> Observed<Vec<T>> {
    let value: serde_json::Value = records.json(probe)?;
    let items = match value {
        serde_json::Value::Array(items) => items,
        one => vec![one],
    };
    items
        .into_iter()
        .map(|item| serde_json::from_value(item).map_err(|error| Unobserved(error.to_string())))
        .collect()
}

/// Which laptop it is, and where the workshop's things are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Here(pub HereRecord);

impl Fact for Here {
    fn probes(_: &Workshop) -> Vec<Probe> {
        vec![Probe::laptop(HERE, Os::ALL, Ask::Here)]
    }

    fn observe(records: &Records) -> Observed<Self> {
        records.json(HERE).map(Self)
    }
}

/// The variables of the laptop that matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variables(pub BTreeMap<String, String>);

impl Variables {
    pub const PROBE: &str = "laptop.variables";

    /// Its value, by whichever case it is written in.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self
            .0
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }
}

/// What is read of the environment: nothing else is.
const VARIABLES: &[&str] = &[
    "CURL_CA_BUNDLE",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "OneDrive",
    "OneDriveCommercial",
    "OneDriveConsumer",
    "PROCESSOR_ARCHITECTURE",
    "PROCESSOR_ARCHITEW6432",
    "PROCESSOR_IDENTIFIER",
    "SSL_CERT_FILE",
    "VAGRANT_HOME",
    "VAGRANT_WSL_ENABLE_WINDOWS_ACCESS",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

impl Fact for Variables {
    fn probes(_: &Workshop) -> Vec<Probe> {
        vec![Probe::laptop(
            Self::PROBE,
            Os::ALL,
            Ask::Variables(VARIABLES),
        )]
    }

    fn observe(records: &Records) -> Observed<Self> {
        records.json(Self::PROBE).map(Self)
    }
}

/// What Windows says of the computer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Computer {
    /// To be read first: where it is true, the processor's own field says false though all is well.
    pub hypervisor_present: Option<bool>,
    pub manufacturer: Option<String>,
    pub model: Option<String>,
    pub virtualization_firmware_enabled: Option<bool>,
    pub processor: Option<String>,
    /// In kB.
    pub free_physical_memory: Option<u64>,
}

impl Computer {
    pub const PROBE: &str = "laptop.computer";
}

impl Fact for Computer {
    fn probes(_: &Workshop) -> Vec<Probe> {
        let line = "$c = Get-CimInstance Win32_ComputerSystem; $p = @(Get-CimInstance Win32_Processor)[0]; \
            $o = Get-CimInstance Win32_OperatingSystem; [pscustomobject]@{ \
            HypervisorPresent = $c.HypervisorPresent; Manufacturer = $c.Manufacturer; Model = $c.Model; \
            VirtualizationFirmwareEnabled = $p.VirtualizationFirmwareEnabled; Processor = $p.Name; \
            FreePhysicalMemory = $o.FreePhysicalMemory } | ConvertTo-Json -Compress";
        vec![powershell(Self::PROBE, line)]
    }

    fn observe(records: &Records) -> Observed<Self> {
        records.json(Self::PROBE)
    }
}

/// What macOS' kernel says of the computer: `kern.hv_support: 1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sysctl {
    values: BTreeMap<String, u64>,
    /// The names that it says it does not know.
    unknown: String,
}

impl Sysctl {
    pub const PROBE: &str = "laptop.sysctl";

    pub fn get(&self, name: &str) -> Option<u64> {
        self.values.get(name).copied()
    }

    /// Whether the processor is Apple's own; an Intel Mac complains that it does not know the name.
    pub fn is_apple_silicon(&self) -> Observed<bool> {
        const NAME: &str = "hw.optional.arm64";
        match self.get(NAME) {
            Some(value) => Ok(value == 1),
            None if self.unknown.contains(NAME) => Ok(false),
            None => Err(Unobserved(format!("sysctl does not tell {NAME}"))),
        }
    }
}

impl Fact for Sysctl {
    fn probes(_: &Workshop) -> Vec<Probe> {
        // An Intel Mac does not know all of them, says so, and answers the others.
        let names = ["kern.hv_support", "hw.optional.arm64", "hw.pagesize"];
        vec![program(Self::PROBE, &[Os::MacOs], "sysctl", &names)]
    }

    fn observe(records: &Records) -> Observed<Self> {
        let (_, text) = said(records, Self::PROBE)?;
        if !text.ends_with('\n') {
            return Err(not_understood("sysctl's answer", text));
        }
        let values: BTreeMap<String, u64> = text
            .lines()
            .filter_map(|line| {
                let (name, value) = line.split_once(": ")?;
                Some((name.to_owned(), value.trim().parse().ok()?))
            })
            .collect();
        if values.is_empty() {
            return Err(not_understood("sysctl's answer", text));
        }
        let unknown: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("unknown oid"))
            .collect();
        Ok(Self {
            values,
            unknown: unknown.join("\n"),
        })
    }
}

/// What Vagrant keeps in the project and in its home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept(pub Vec<KeptFile>);

impl Kept {
    pub const PROBE: &str = "laptop.kept";

    /// Whether Vagrant has made the box here with VirtualBox.
    pub fn has_machine(&self) -> bool {
        self.0.iter().any(|file| {
            file.path.starts_with("{project}/.vagrant/machines/")
                && file.path.ends_with("/virtualbox/id")
        })
    }
}

impl Fact for Kept {
    fn probes(_: &Workshop) -> Vec<Probe> {
        vec![Probe::laptop(Self::PROBE, Os::ALL, Ask::Kept)]
    }

    fn observe(records: &Records) -> Observed<Self> {
        records.json(Self::PROBE).map(Self)
    }
}

/// Files of Linux, by their paths.
pub type Files = BTreeMap<String, Entry>;

/// The content of a file that is always there.
pub fn content<'a>(files: &'a Files, path: &str) -> Observed<&'a str> {
    match files.get(path) {
        Some(Entry::Text(text)) => Ok(text),
        Some(Entry::Unread { unread }) => Err(Unobserved(format!("{path}: {unread}"))),
        Some(Entry::Names(_)) => Err(Unobserved(format!("{path} is a folder"))),
        Some(Entry::Absent) | None => Err(Unobserved(format!("{path} is not there"))),
    }
}

/// Whether something stands at a path that was asked for.
pub fn is_there(files: &Files, path: &str) -> Observed<bool> {
    match files.get(path) {
        Some(entry) => Ok(entry.is_there()),
        None => Err(Unobserved(format!("{path} was not looked at"))),
    }
}

/// The version of VirtualBox. Checks that ask for it need `laptop.virtualbox`.
pub fn virtualbox(facts: &Facts) -> Option<Version> {
    match facts.get::<VirtualBoxProgram>().as_ref() {
        Ok(VirtualBoxProgram(Program::Version(version))) => Some(version.clone()),
        _ => None,
    }
}

pub fn vagrant(facts: &Facts) -> Option<Version> {
    match facts.get::<VagrantProgram>().as_ref() {
        Ok(VagrantProgram(Program::Version(version))) => Some(version.clone()),
        _ => None,
    }
}

/// `6.12.48+deb13-amd64` → 6.12.48
pub fn kernel_version(release: &str) -> Option<Version> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next()?.parse().ok();
    let (major, minor) = (next()?, next()?);
    Some(Version::new(major, minor, next().unwrap_or(0)))
}

/// A size as a person says it.
pub fn gigabytes(kb: u64) -> String {
    format!("{}.{} GB", kb / 1_000_000, kb % 1_000_000 / 100_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_releases_of_distributions_are_read() {
        for (release, version) in [
            ("6.12.48+deb13-amd64", "6.12.48"),
            ("6.8.0-85-generic", "6.8.0"),
            ("6.17.1-300.fc43.x86_64", "6.17.1"),
            ("6.18-rc2", "6.18.0"),
        ] {
            let expected: Version = version.parse().unwrap();
            assert_eq!(kernel_version(release), Some(expected), "{release}");
        }
        assert_eq!(kernel_version("rubbish"), None);
    }
}
