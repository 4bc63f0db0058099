//! The clusters' files of data, as far as they keep PostgreSQL from starting; and what it said of that.

use super::super::system::Disk;
use super::super::{Context, State, observed};
use super::Drift;
use super::facts::{Cluster, Clusters, EACH_CLUSTER, READ_CLUSTER};
use crate::facts::{Fact, Facts, Observed, Probe, Question, Records, Unobserved};
use crate::workshop::Workshop;

/// PostgreSQL writes a segment of its journal before it answers anybody.
const FULL_KB: u64 = 17_000;

/// One cluster's folder of data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    pub version: String,
    pub name: String,
    pub folder: String,
    /// Octal permissions, such as `700`.
    pub mode: String,
    pub owner: String,
    pub free_kb: u64,
    /// Whose number stands in the lock that a running server keeps there, and what that process is called.
    pub lock: Option<(u32, String)>,
    /// The last error of its last start.
    pub said: Option<String>,
}

/// The folders of all clusters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterFiles(pub Vec<Files>);

impl ClusterFiles {
    pub const PROBE: &str = "postgres_files";

    pub fn of(&self, cluster: &Cluster) -> Option<&Files> {
        let same = |files: &&Files| files.version == cluster.version && files.name == cluster.name;
        self.0.iter().find(same)
    }
}

/// Only the last start counts, and of that only errors: a server that is asked to stop says FATAL to those
/// whom it sends away, in its log, and that is not read here.
const LOOK_AT_FILES: &str = r#"  data=$(sed -n "s/^[[:space:]]*data_directory[[:space:]=]*'\\([^']*\\)'.*/\\1/p" "$conf" | tail -n 1)
  data=${data:-/var/lib/postgresql/$version/$name}
  echo "cluster $version $name $data"
  [ -d "$data" ] || continue
  echo "owner $(stat -c '%a %U' "$data")"
  echo "free $(df -Pk "$data" | sed -n '2s/^[^ ]* *[0-9]* *[0-9]* *\([0-9]*\) .*/\1/p')"
  if [ -r "$data/postmaster.pid" ]; then
    read -r pid <"$data/postmaster.pid"
    process=; [ ! -r "/proc/$pid/comm" ] || read -r process <"/proc/$pid/comm"
    [ -z "$process" ] || echo "lock $pid $process"
  fi
  start=$(systemctl show -p InvocationID --value "postgresql@$version-$name")
  [ -z "$start" ] || journalctl -q --no-pager -o cat -n 200 _SYSTEMD_INVOCATION_ID="$start" |
    grep -E 'FATAL|PANIC|^Error:|could not|[Cc]annot|must |in file ".*" line' | grep -v 'pg_ctl' |
    head -n 1 | sed 's/^/said /'
done
true"#;

impl Fact for ClusterFiles {
    fn probes(_: &Workshop) -> Vec<Probe> {
        let fragment = format!("{EACH_CLUSTER}{READ_CLUSTER}{LOOK_AT_FILES}");
        vec![Probe::deep(Self::PROBE, Question::Root(fragment))]
    }

    fn observe(records: &Records) -> Observed<Self> {
        let mut all: Vec<Files> = Vec::new();
        for line in records.text(Self::PROBE)?.lines() {
            let garbled = || Unobserved(format!("PostgreSQL's files are not understood: {line}"));
            let (word, rest) = line.split_once(' ').ok_or_else(garbled)?;
            let mut words = rest.splitn(3, ' ');
            let mut next = || words.next().map(str::to_owned).ok_or_else(garbled);
            if word == "cluster" {
                all.push(Files {
                    version: next()?,
                    name: next()?,
                    folder: next()?,
                    ..Files::default()
                });
                continue;
            }
            let files = all.last_mut().ok_or_else(garbled)?;
            match word {
                "owner" => (files.mode, files.owner) = (next()?, next()?),
                "free" => files.free_kb = next()?.parse().map_err(|_| garbled())?,
                "lock" => {
                    let pid = next()?.parse().map_err(|_| garbled())?;
                    files.lock = Some((pid, next()?));
                }
                "said" => files.said = Some(message(rest)),
                _ => return Err(garbled()),
            }
        }
        Ok(Self(all))
    }
}

/// Without the time and the process that stand at the head of a line of its log.
fn message(line: &str) -> String {
    const LONGEST: usize = 400;
    let levels = ["FATAL:", "PANIC:", "Error:", "LOG:"];
    let from = levels.iter().find_map(|level| line.find(level));
    let text = &line[from.unwrap_or(0)..];
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(LONGEST).collect()
}

/// The file and the line that PostgreSQL stumbles over, where its error names them:
/// `syntax error in file "/etc/postgresql/17/main/postgresql.conf" line 12, near end of line`.
pub fn wrong_line(said: &str) -> Option<(&str, u32)> {
    let (_, rest) = said.split_once("in file \"")?;
    let (file, rest) = rest.split_once("\" line ")?;
    let number = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    Some((file, number.parse().ok()?))
}

pub fn diff(context: Context, facts: &Facts) -> State<Drift> {
    let clusters = observed!(facts, Clusters);
    let Some(cluster) = clusters.on_port(context.workshop.postgres.port) else {
        return State::AsDeclared("no cluster has the port".to_owned());
    };
    if clusters.server.is_some() {
        return State::AsDeclared("the server that runs found it good".to_owned());
    }
    let files = observed!(facts, ClusterFiles);
    let Some(files) = files.of(cluster).filter(|files| !files.mode.is_empty()) else {
        let unit = cluster.unit();
        return State::Unknown(format!("the folder of data of {unit} cannot be seen"));
    };
    let (unit, folder) = (cluster.unit(), files.folder.clone());
    let is_fit = matches!(files.mode.as_str(), "700" | "750");
    match &files.lock {
        _ if !is_fit || files.owner != "postgres" => State::Drifted(Drift::DataModes {
            unit,
            folder,
            owner: files.owner.clone(),
            mode: files.mode.clone(),
        }),
        // Where the whole disk is full, that is told of the disk, whatever else lies on it.
        _ if files.free_kb < FULL_KB && is_full_at(&folder, facts) => {
            State::Unknown(format!("the disk is full on which {folder} lies"))
        }
        _ if files.free_kb < FULL_KB => State::Drifted(Drift::DataFull {
            unit,
            folder,
            free_kb: files.free_kb,
        }),
        Some((pid, process)) if !process.starts_with("postgres") => {
            State::Drifted(Drift::DataHeld {
                unit,
                folder,
                pid: *pid,
                process: process.clone(),
            })
        }
        _ => State::AsDeclared(folder),
    }
}

fn is_full_at(folder: &str, facts: &Facts) -> bool {
    matches!(facts.get::<Disk>().as_ref(), Ok(disk) if disk.is_full_at(folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Record;

    #[test]
    fn the_line_that_is_wrong_is_found_in_the_error() {
        let said = r#"LOG: syntax error in file "/etc/postgresql/17/main/postgresql.conf" line 12, near end of line"#;
        assert_eq!(
            wrong_line(said),
            Some(("/etc/postgresql/17/main/postgresql.conf", 12))
        );
        assert_eq!(
            wrong_line("FATAL: could not map anonymous shared memory"),
            None
        );
    }

    #[test]
    fn each_line_belongs_to_the_cluster_before_it() {
        let mut records = Records::default();
        let text = "cluster 15 main /var/lib/postgresql/15/main\nowner 700 postgres\nfree 5000\n\
                    cluster 17 main /srv/my data\nowner 755 root\nfree 12\nlock 44 sshd\n\
                    said 2026-11-23 21:00:00.000 UTC [9] FATAL:  data directory \"/srv\" has wrong ownership";
        records.insert(ClusterFiles::PROBE, Record::done(text));
        let ClusterFiles(files) = ClusterFiles::observe(&records).unwrap();
        assert_eq!(files[0].free_kb, 5000);
        assert_eq!((files[0].lock.clone(), files[0].said.clone()), (None, None));
        assert_eq!(files[1].folder, "/srv/my data");
        assert_eq!(files[1].lock, Some((44, "sshd".to_owned())));
        assert_eq!(
            files[1].said.as_deref(),
            Some("FATAL: data directory \"/srv\" has wrong ownership")
        );
        records.insert(ClusterFiles::PROBE, Record::done("owner 700 postgres"));
        assert!(ClusterFiles::observe(&records).is_err());
    }
}
