//! What PostgreSQL is in the box: its clusters, and what the one on our port says of itself.

use std::net::IpAddr;
use std::time::Duration;

use serde::Deserialize;

use super::questions::questions;
use crate::facts::{Fact, Observed, Probe, Question, RecordStatus, Records, Unobserved};
use crate::workshop::{Column, Workshop};

/// A cluster of postgresql-common: its version, name and declared port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    pub version: String,
    pub name: String,
    pub port: u16,
    /// When it starts: `auto` with the box, `manual`, `disabled`, or `masked` by systemd.
    pub start: String,
}

impl Cluster {
    /// How systemd calls it; the wrapper `postgresql.service` starts all of them.
    #[must_use]
    pub fn unit(&self) -> String {
        format!("postgresql@{}-{}.service", self.version, self.name)
    }

    /// The folder of its configuration.
    #[must_use]
    pub fn folder(&self) -> String {
        format!("/etc/postgresql/{}/{}", self.version, self.name)
    }
}

/// The clusters, and the server that answers at the declared port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clusters {
    pub clusters: Vec<Cluster>,
    pub server: Option<Server>,
    /// What psql said where it did not succeed.
    pub said: String,
}

/// A running server's own words, read as its superuser.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Server {
    /// As `server_version_num` has it: 170004 is 17.4. 0 where it is only predicted.
    pub version: u32,
    pub listen: String,
    /// Whether the server has read `pg_hba.conf` since it was last written.
    #[serde(default = "yes")]
    pub rules_loaded: bool,
    pub rules: Vec<Rule>,
    pub role: Option<Role>,
    pub database: Option<Database>,
    /// What its files of settings say beside what it runs by.
    #[serde(skip)]
    pub settings: Settings,
    /// Databases whose sorting rules come from another release of the system's library than it has now;
    /// `None` where that was not told.
    #[serde(skip)]
    pub outdated_collations: Option<Vec<String>>,
    /// Those of the workshop's database; `None` when it could not be asked.
    #[serde(skip)]
    pub tables: Option<Vec<ObservedTable>>,
    /// The schema file that was run in it last; `None` when that is not on record.
    #[serde(skip)]
    pub applied: Option<Applied>,
}

/// The record of a schema file that was run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    pub sha256: String,
    /// In UTC; empty where that is not told.
    pub at: String,
}

/// The files of settings against the server that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Settings {
    /// Lines that it could not start with.
    pub wrong: Vec<WrongSetting>,
    /// Settings that take effect with its next start.
    pub pending: Vec<String>,
    /// Whether a file was written since it read them last.
    pub unread: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct WrongSetting {
    pub file: String,
    pub line: u32,
    pub error: String,
}

fn yes() -> bool {
    true
}

/// A line of `pg_hba_file_rules`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Rule {
    pub line: u32,
    #[serde(rename = "type", default)]
    pub kind: Option<String>,
    #[serde(default)]
    pub databases: Option<Vec<String>>,
    #[serde(default)]
    pub roles: Option<Vec<String>>,
    #[serde(default)]
    pub address: Option<String>,
    #[serde(default)]
    pub netmask: Option<String>,
    #[serde(default)]
    pub method: Option<String>,
    #[serde(default)]
    pub error: Option<String>,
}

impl Rule {
    /// The address as `pg_hba.conf` writes it: a keyword, or a block such as `10.0.2.0/24`.
    #[must_use]
    pub fn block(&self) -> Option<String> {
        let address = self.address.clone()?;
        let Some(netmask) = &self.netmask else {
            return Some(address);
        };
        let bits = match netmask.parse().ok()? {
            IpAddr::V4(mask) => mask.to_bits().count_ones(),
            IpAddr::V6(mask) => mask.to_bits().count_ones(),
        };
        Some(format!("{address}/{bits}"))
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Role {
    pub can_login: bool,
    pub superuser: bool,
    /// In which form its password is stored; never the password's verifier itself.
    #[serde(default)]
    pub stored: Option<Stored>,
}

/// The form in which a password is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stored {
    Nothing,
    Scram,
    Md5,
    Other,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Database {
    pub owner: String,
}

/// A table as the catalogue has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ObservedTable {
    pub name: String,
    pub owner: String,
    /// What has the name in the table's place, such as `a view`.
    #[serde(default)]
    pub instead: Option<String>,
    /// Asked only where a declared column is missing.
    #[serde(default)]
    pub has_rows: Option<bool>,
    // A table may well have no column.
    #[serde(default, deserialize_with = "or_none")]
    pub columns: Vec<ObservedColumn>,
}

fn or_none<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<ObservedColumn>, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ObservedColumn {
    pub name: String,
    pub data_type: String,
    pub not_null: bool,
    pub default: Option<String>,
    pub primary_key: bool,
    /// Whether some row has no value there; asked only where none may be missing.
    #[serde(default)]
    pub has_nulls: Option<bool>,
    /// Whether two rows have the same value there; asked only where it shall be the key and is not.
    #[serde(default)]
    pub has_twins: Option<bool>,
    /// What keeps its type from being changed; asked only where that is another one.
    #[serde(default)]
    pub held_by: Option<Vec<String>>,
}

impl From<&Column> for ObservedColumn {
    fn from(declared: &Column) -> Self {
        Self {
            name: declared.name.clone(),
            data_type: declared.data_type.clone(),
            not_null: declared.not_null,
            default: declared.default.clone(),
            primary_key: declared.primary_key,
            ..Self::default()
        }
    }
}

impl Clusters {
    pub const PROBE: &str = "postgres";

    /// Whether no server is behind the socket. One that was killed leaves its socket there.
    #[must_use]
    pub fn nobody_listens(&self) -> bool {
        let gone = ["Connection refused", "No such file or directory"];
        self.said.is_empty() || gone.iter().any(|words| self.said.contains(words))
    }

    #[must_use]
    pub fn on_port(&self, port: u16) -> Option<&Cluster> {
        self.clusters.iter().find(|cluster| cluster.port == port)
    }
}

/// Sets `version`, `name` and `port` of one cluster from the path `$conf` of its configuration.
///
/// As PostgreSQL reads it: the last line wins, the files of `conf.d` stand where they are included, and what
/// `ALTER SYSTEM` wrote comes last. One program is started for it where `conf.d` is empty.
pub const READ_CLUSTER: &str = r#"  folder=${conf%/*}; name=${folder##*/}; version=${folder#/etc/postgresql/}; version=${version%/*}
  ports="s/^[[:space:]]*port[[:space:]=]\{1,\}'\{0,1\}\([0-9]\{1,\}\).*/\1/p"
  lines=$(sed -n -e "$ports" -e 's/^[[:space:]]*include_dir.*/conf.d/p' "$conf")
  port=${lines##*[!0-9]}
  if [ -z "$port" ]; then
    for file in "$folder"/conf.d/*.conf; do
      [ -e "$file" ] || continue
      found=$(sed -n "$ports" "$file"); port=${found##*[!0-9]}${found:+ }$port; port=${port%% *}
    done
    lines=${lines%conf.d}; lines=${lines%?}; port=${port:-${lines##*[!0-9]}}
  fi
  auto=/var/lib/postgresql/$version/$name/postgresql.auto.conf
  [ ! -r "$auto" ] || while read -r word _ value _; do
    [ "$word" != port ] || { port=${value#\'}; port=${port%\'}; }
  done <"$auto"
  port=${port:-5432}
"#;

/// Lists every cluster, one line each.
const LIST_CLUSTERS: &str = r#"  start=auto
  [ ! -r "$folder/start.conf" ] || while read -r word _; do
    case $word in auto|manual|disabled) start=$word ;; esac
  done <"$folder/start.conf"
  # A unit that is masked is a link to /dev/null; systemd lists none that is not loaded.
  [ ! -c "/etc/systemd/system/postgresql@$version-$name.service" ] || start=masked
  echo "cluster $version $name $port $start"
done
"#;

/// What every walk over the clusters begins with.
pub const EACH_CLUSTER: &str = r#"for conf in /etc/postgresql/*/*/postgresql.conf; do
  [ -e "$conf" ] || continue
"#;

/// Runs psql as the superuser, by the local socket, reading SQL from stdin. The program itself: what is
/// called psql on Debian's PATH is a Perl script that looks for it, which takes longer than all questions.
pub const PSQL: &str = "HOME=/ PGCONNECT_TIMEOUT=5 setpriv --reuid=postgres --regid=postgres --clear-groups \
    \"$(for psql in /usr/lib/postgresql/*/bin/psql; do :; done; echo \"$psql\")\" -XAtq";

impl Fact for Clusters {
    fn probes(workshop: &Workshop) -> Vec<Probe> {
        let port = workshop.postgres.port;
        let fragment = format!(
            "{EACH_CLUSTER}{READ_CLUSTER}{LIST_CLUSTERS}[ -S /run/postgresql/.s.PGSQL.{port} ] || exit 0\n\
             {PSQL} -p {port} -d postgres 2>&1 <<'SQL'\n{}SQL\ntrue\n",
            questions(workshop)
        );
        vec![Probe::new(Self::PROBE, Question::Root(fragment))]
    }

    fn observe(records: &Records) -> Observed<Self> {
        let text = records.text(Self::PROBE)?;
        let mut clusters = Self::default();
        let mut tables = None;
        let mut outdated = None;
        let mut settings = Settings::default();
        let mut applied = None;
        for line in text.lines() {
            let garbled = |error| Unobserved(format!("psql's answer is not understood: {error}"));
            if let Some(rest) = line.strip_prefix("cluster ") {
                let cluster = read_cluster(rest).ok_or_else(|| {
                    Unobserved(format!(
                        "what a cluster is called is not understood: {rest}"
                    ))
                })?;
                clusters.clusters.push(cluster);
            } else if let Some(json) = line.strip_prefix("server ") {
                clusters.server = Some(serde_json::from_str(json).map_err(garbled)?);
            } else if let Some(json) = line.strip_prefix("tables ") {
                tables = Some(serde_json::from_str(json).map_err(garbled)?);
            } else if let Some(json) = line.strip_prefix("settings ") {
                settings = serde_json::from_str(json).map_err(garbled)?;
            } else if let Some(record) = line.strip_prefix("applied ") {
                let (sha256, at) = record.split_once(' ').unwrap_or((record, ""));
                applied = Some(Applied {
                    sha256: sha256.to_owned(),
                    at: at.to_owned(),
                })
                .filter(|applied| !applied.sha256.is_empty());
            } else if let Some(json) = line.strip_prefix("collations ") {
                outdated = Some(serde_json::from_str(json).map_err(garbled)?);
            } else if line.starts_with("setpriv: ") {
                // Not a word of psql's: it was not there to be started.
                return Err(Unobserved(format!("psql cannot be asked: {line}")));
            } else {
                clusters.said.push_str(line);
                clusters.said.push('\n');
            }
        }
        if clusters.clusters.is_empty() && !clusters.said.is_empty() {
            return Err(Unobserved(format!(
                "the list of clusters is not understood: {}",
                clusters.said.trim()
            )));
        }
        if let Some(server) = &mut clusters.server {
            server.tables = tables;
            server.applied = applied;
            server.outdated_collations = outdated;
            server.settings = settings;
        }
        Ok(clusters)
    }
}

fn read_cluster(line: &str) -> Option<Cluster> {
    let mut words = line.split(' ');
    Some(Cluster {
        version: words.next()?.to_owned(),
        name: words.next()?.to_owned(),
        port: words.next()?.parse().ok()?,
        start: words.next()?.to_owned(),
    })
}

/// How the login with the declared password ended; `None` when nothing answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleLogin(pub Option<Result<(), Refusal>>);

/// PostgreSQL's refusal.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Refusal {
    /// SQLSTATE, such as `28P01`.
    pub code: String,
    pub message: String,
}

/// PostgreSQL answers a login at once; a stranger on its port may never.
const LOGIN_DEADLINE: Duration = Duration::from_secs(3);

impl RoleLogin {
    pub const PROBE: &str = "postgres_login";
}

impl Fact for RoleLogin {
    fn probes(workshop: &Workshop) -> Vec<Probe> {
        let postgres = &workshop.postgres;
        let question = Question::SqlLogin {
            port: postgres.port,
            role: postgres.role.clone(),
            database: postgres.database.clone(),
            password: postgres.password.clone(),
        };
        vec![Probe {
            deadline: LOGIN_DEADLINE,
            ..Probe::new(Self::PROBE, question)
        }]
    }

    fn observe(records: &Records) -> Observed<Self> {
        let record = records.get(Self::PROBE);
        match record.map(|record| &record.status) {
            Some(RecordStatus::Done(0)) => Ok(Self(Some(Ok(())))),
            Some(RecordStatus::Done(_)) => {
                let output = record.map_or("", |record| &record.output);
                serde_json::from_str(output)
                    .map(|refusal| Self(Some(Err(refusal))))
                    .map_err(|error| Unobserved(error.to_string()))
            }
            Some(RecordStatus::Refused(_)) => Ok(Self(None)),
            _ => records.text(Self::PROBE).map(|_| Self(None)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Record;

    #[test]
    fn without_psql_nothing_is_known_of_the_server() {
        let mut records = Records::default();
        let text = "cluster 17 main 5432\nsetpriv: failed to execute /usr/lib/postgresql/*/bin/psql: \
                    No such file or directory";
        records.insert(Clusters::PROBE, Record::done(text));
        assert!(Clusters::observe(&records).is_err());
    }

    #[test]
    fn a_socket_that_a_killed_server_left_is_no_server() {
        let said = |text: &str| {
            let mut records = Records::default();
            records.insert(Clusters::PROBE, Record::done(text));
            Clusters::observe(&records).unwrap().nobody_listens()
        };
        assert!(said("cluster 17 main 5432 auto"));
        assert!(said(
            "cluster 17 main 5432 auto\npsql: error: connection to server on socket \
             \"/var/run/postgresql/.s.PGSQL.5432\" failed: Connection refused"
        ));
        assert!(!said(
            "cluster 17 main 5432 auto\npsql: error: FATAL:  sorry, too many clients already"
        ));
    }
}
