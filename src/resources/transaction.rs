//! What apt would do for packages that are to be installed, by the lists that the box has.

use super::change::Install;
use crate::date::Date;
use crate::facts::{Observed, Probe, Question, Records, Unobserved};
use crate::provision::outcome::{PackageChange, Transaction};
use crate::quote;
use std::time::Duration;

const PROBE: &str = "transaction";

/// apt reads all its lists for an answer.
const DEADLINE: Duration = Duration::from_secs(20);

/// Asked in a second exec, where a plan that somebody is going to read installs packages. Nothing is written: apt
/// makes its caches in memory, and takes no lock.
///
/// An address may hold a password, so only the sizes of what would be fetched leave the box.
#[must_use]
pub fn probe(install: &Install) -> Probe {
    let names: Vec<String> = install
        .packages
        .iter()
        .map(|name| quote::sh(name))
        .collect();
    let fragment = format!(
        r#"newest=$(stat -c %Y /var/lib/apt/lists/*_Packages* 2>/dev/null | sort -n | tail -n 1)
[ -n "$newest" ] || {{ echo "no lists"; exit 0; }}
echo "lists $newest"
said=$(apt-get -q -y --print-uris -V -o Debug::NoLocking=1 -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
  -o APT::Install-Recommends=false install {names} 2>&1 </dev/null)
echo "status $?"
printf '%s\n' "$said" | awk '/^\047/ {{ bytes += $3; next }} {{ print }} END {{ printf "bytes %.0f\n", bytes }}'"#,
        names = names.join(" "),
    );
    Probe::new(PROBE, Question::Login(fragment)).within(DEADLINE)
}

/// What apt's answer means.
///
/// # Errors
/// With why nothing is known: a box that has no lists yet, or lists without one of the packages.
pub fn observe(records: &Records) -> Observed<Transaction> {
    let text = records.text(PROBE)?;
    if text.trim() == "no lists" {
        return Err(Unobserved(
            "apt has no lists of packages there yet, and fetches them first".to_owned(),
        ));
    }
    let garbled = |what: &str| Unobserved(format!("apt's answer is not understood: {what}"));
    let mut lists_of = None;
    let mut status = None;
    let mut found = Read::default();
    let mut section = Section::Other;
    for line in text.lines() {
        if let Some(seconds) = line.strip_prefix("lists ") {
            lists_of = seconds.parse().ok().map(Date::of);
        } else if let Some(ended) = line.strip_prefix("status ") {
            status = Some(ended);
        } else if let Some(bytes) = line.strip_prefix("bytes ") {
            found.download = bytes.parse().ok();
        } else if let Some(said) = line.strip_prefix("After this operation, ") {
            found.disk = Some(disk_bytes(said).ok_or_else(|| garbled(line))?);
        } else if let Some(error) = line.strip_prefix("E: ") {
            found.error.get_or_insert_with(|| error.to_owned());
        } else if let Some(package) = line.strip_prefix("  ") {
            let change = section.change(package.trim());
            found.packages.extend(change.map_err(|()| garbled(line))?);
        } else {
            section = Section::of(line);
        }
    }
    match (status, found.error) {
        (Some("0"), None) => {}
        (Some(_), Some(error)) => return Err(Unobserved(why_not(&error))),
        _ => return Err(garbled(text.lines().last().unwrap_or_default())),
    }
    let (Some(download_bytes), Some(lists_of)) = (found.download, lists_of) else {
        return Err(garbled("it says no sizes"));
    };
    Ok(Transaction {
        packages: found.packages,
        download_bytes,
        // apt says nothing of this where it does nothing.
        disk_bytes: found.disk.unwrap_or(0),
        lists_of,
    })
}

#[derive(Default)]
struct Read {
    packages: Vec<PackageChange>,
    download: Option<u64>,
    disk: Option<i64>,
    error: Option<String>,
}

/// What the names below a heading of apt-get's are.
#[derive(Clone, Copy)]
enum Section {
    New,
    /// Another version, be it newer or older.
    Changed,
    Removed,
    /// Suggestions, for example.
    Other,
}

impl Section {
    fn of(heading: &str) -> Self {
        match heading {
            "The following NEW packages will be installed:" => Self::New,
            "The following packages will be upgraded:"
            | "The following packages will be DOWNGRADED:" => Self::Changed,
            "The following packages will be REMOVED:" => Self::Removed,
            _ => Self::Other,
        }
    }

    /// A line such as `curl (8.14.1-2)` or `curl (8.14.1-1 => 8.14.1-2)`.
    fn change(self, line: &str) -> Result<Option<PackageChange>, ()> {
        if matches!(self, Self::Other) {
            return Ok(None);
        }
        let (name, versions) = line
            .strip_suffix(')')
            .and_then(|line| line.split_once(" ("))
            .ok_or(())?;
        let (from, to) = match (self, versions.split_once(" => ")) {
            (Self::New, None) => (None, Some(versions)),
            (Self::Changed, Some((from, to))) => (Some(from), Some(to)),
            (Self::Removed, None) => (Some(versions), None),
            _ => return Err(()),
        };
        Ok(Some(PackageChange {
            // A star means that its settings go as well.
            name: name.trim_end_matches('*').to_owned(),
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
        }))
    }
}

/// `618 MB of additional disk space will be used.`, or `will be freed.`
fn disk_bytes(said: &str) -> Option<i64> {
    let mut words = said.split(' ');
    let number: f64 = words.next()?.replace(',', "").parse().ok()?;
    let factor = match words.next()? {
        "B" => 1.0,
        "kB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        _ => return None,
    };
    #[allow(
        clippy::cast_possible_truncation,
        reason = "no disk has so many bytes that it would matter"
    )]
    let bytes = (number * factor).round() as i64;
    match said.trim_end().rsplit(' ').next()? {
        "used." => Some(bytes),
        "freed." => Some(-bytes),
        _ => None,
    }
}

fn why_not(error: &str) -> String {
    match error.strip_prefix("Unable to locate package ") {
        Some(name) => {
            format!("apt's lists do not have {name} yet, and are fetched anew first")
        }
        None => format!("apt says: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Record;

    fn observed(answer: &str) -> Observed<Transaction> {
        let mut records = Records::default();
        records.insert(PROBE, Record::done(answer));
        observe(&records)
    }

    fn changes(transaction: &Transaction) -> Vec<String> {
        let told = transaction.packages.iter().map(|package| {
            let version = |version: &Option<String>| version.clone().unwrap_or("-".to_owned());
            format!(
                "{} {} {}",
                package.name,
                version(&package.from),
                version(&package.to)
            )
        });
        told.collect()
    }

    /// As apt 3.0 of Debian 13 answers, and in the same words apt 2.6 of Debian 12.
    const ANSWER: &str = "lists 1795776000
status 0
Reading package lists...
Building dependency tree...
Reading state information...
The following additional packages will be installed:
   postgresql-common (248+deb12u2)
   vim-common (2:9.1.1230-2+deb13u2)
Suggested packages:
   postgresql-doc (15+248+deb12u2)
   | indent
The following packages will be REMOVED:
   vim-gtk3* (2:9.1.1230-2+deb13u1)
The following NEW packages will be installed:
   docker.io (26.1.5+dfsg1-9+deb13u1+b1)
   libc6:i386 (2.41-12+deb13u5)
The following packages will be upgraded:
   postgresql-common (248+deb12u1 => 248+deb12u2)
1 upgraded, 2 newly installed, 1 to remove and 120 not upgraded.
Need to get 236 kB of archives.
After this operation, 3072 B of additional disk space will be used.
bytes 236036
";

    #[test]
    fn packages_versions_and_sizes_are_read() {
        let transaction = observed(ANSWER).unwrap();
        assert_eq!(
            changes(&transaction),
            [
                "vim-gtk3 2:9.1.1230-2+deb13u1 -",
                "docker.io - 26.1.5+dfsg1-9+deb13u1+b1",
                "libc6:i386 - 2.41-12+deb13u5",
                "postgresql-common 248+deb12u1 248+deb12u2",
            ]
        );
        assert_eq!(transaction.download_bytes, 236_036);
        assert_eq!(transaction.disk_bytes, 3072);
        assert_eq!(transaction.lists_of.to_string(), "2026-11-27");
    }

    #[test]
    fn what_is_not_known_has_its_reason() {
        let lists = "lists 1795776000\nstatus 100\nReading package lists...\n";
        for (answer, reason) in [
            (
                "no lists\n".to_owned(),
                "apt has no lists of packages there yet, and fetches them first",
            ),
            (
                format!(
                    "{lists}E: Unable to locate package docker-ce\nE: Unable to locate package x\nbytes 0\n"
                ),
                "apt's lists do not have docker-ce yet, and are fetched anew first",
            ),
            (
                format!(
                    "{lists}E: dpkg was interrupted, you must manually run 'dpkg --configure -a'\nbytes 0"
                ),
                "apt says: dpkg was interrupted, you must manually run 'dpkg --configure -a'",
            ),
            (
                ANSWER.replace("status 0", "status 100"),
                "apt's answer is not understood: bytes 236036",
            ),
            (
                ANSWER.replace("bytes 236036", ""),
                "apt's answer is not understood: it says no sizes",
            ),
            (
                ANSWER.replace(" (26.1.5+dfsg1-9+deb13u1+b1)", ""),
                "apt's answer is not understood:    docker.io",
            ),
            (
                ANSWER.replace("3072 B", "much"),
                "apt's answer is not understood: After this operation, much of additional disk space will be used.",
            ),
        ] {
            assert_eq!(observed(&answer).unwrap_err().0, reason);
        }
    }

    #[test]
    fn sizes_of_any_kind_are_bytes() {
        let said =
            |size: &str| disk_bytes(&format!("{size} of additional disk space will be used."));
        assert_eq!(said("0 B"), Some(0));
        assert_eq!(said("98.1 MB"), Some(98_100_000));
        assert_eq!(said("4,096 B"), Some(4096));
        assert_eq!(said("1.2 GB"), Some(1_200_000_000));
        assert_eq!(
            disk_bytes("12.5 kB disk space will be freed."),
            Some(-12_500)
        );
        assert_eq!(said("12 TB"), None);
    }
}
