//! Docker's own apt repository, where the declaration asks for it.

use super::apt;
use super::files::KEEP;
use super::system::Os;
use super::{Check, Context, Judgement, Plan, Resource, State, observed};
use crate::doctor::report::{By, Remedy, Status};
use crate::facts::{Fact, Facts, Observed, Probe, Question, Records};
use crate::provision::outcome::Difference;
use crate::quote;
use crate::workshop::{DockerSource, Workshop};

pub struct DockerRepository;

const SOURCES: &str = "/etc/apt/sources.list.d/docker.sources";
/// What older instructions wrote; beside the other, apt refuses both.
const OLD_LIST: &str = "/etc/apt/sources.list.d/docker.list";
const KEY: &str = "/etc/apt/keyrings/docker.asc";

const CHECKS: &[Check] = &[Check {
    id: "box.docker.repository",
    title: "The box installs Docker from Docker's own repository",
    needs: &["box.os"],
    probe: Sources::PROBE,
}];

/// The repository's files in the box.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    text: Option<String>,
    has_key: bool,
    has_old_list: bool,
}

impl Sources {
    const PROBE: &str = "docker_repository";
}

impl Fact for Sources {
    fn probes(workshop: &Workshop) -> Vec<Probe> {
        if workshop.docker.source != DockerSource::Docker {
            return Vec::new();
        }
        let fragment = format!(
            "[ ! -e {KEY} ] || echo key\n[ ! -e {OLD_LIST} ] || echo list\n\
             [ ! -e {SOURCES} ] || {{ echo sources; cat {SOURCES}; }}"
        );
        vec![Probe::new(Self::PROBE, Question::Login(fragment))]
    }

    fn observe(records: &Records) -> Observed<Self> {
        let text = records.text(Self::PROBE)?;
        let (head, sources) = match text.split_once("sources\n") {
            Some((head, sources)) => (head, Some(sources)),
            None => (text, None),
        };
        Ok(Self {
            text: sources.map(|text| format!("{}\n", text.trim_end())),
            has_key: head.lines().any(|line| line == "key"),
            has_old_list: head.lines().any(|line| line == "list"),
        })
    }
}

/// The repository as apt reads it, for this release. The key is named, so that another one that is declared
/// makes a difference.
fn declared(workshop: &Workshop, os: &Os) -> String {
    format!(
        "# Key {}\nTypes: deb\nURIs: {}/{}\nSuites: {}\nComponents: stable\nSigned-By: {KEY}\n",
        workshop.docker.key_fingerprint, workshop.docker.repository, os.id, os.codename
    )
}

/// What the box has instead, and what it shall have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    found: Sources,
    os: Os,
}

impl Resource for DockerRepository {
    type Drift = Drift;

    fn checks(&self) -> &'static [Check] {
        CHECKS
    }

    fn applies(&self, _: &Check, context: Context) -> bool {
        context.workshop.docker.source == DockerSource::Docker
    }

    fn probes(&self, workshop: &Workshop) -> Vec<Probe> {
        [Sources::probes(workshop), Os::probes(workshop)].concat()
    }

    fn diff(&self, _: &Check, context: Context, facts: &Facts) -> State<Drift> {
        let found = observed!(facts, Sources);
        let os = observed!(facts, Os);
        let text = declared(context.workshop, &os);
        if found.has_key && !found.has_old_list && found.text.as_ref() == Some(&text) {
            State::AsDeclared(format!("{}/{}", context.workshop.docker.repository, os.id))
        } else {
            State::Drifted(Drift { found, os })
        }
    }

    fn judge(&self, context: Context, _: &Facts, drift: &Drift) -> Judgement {
        let summary = match (&drift.found.text, drift.found.has_key) {
            (None, _) => format!("There is no {SOURCES}"),
            (Some(_), false) => format!("The key is missing: {KEY}"),
            (Some(_), true) if drift.found.has_old_list => {
                format!("{OLD_LIST} names the repository a second time")
            }
            (Some(_), true) => format!("{SOURCES} differs from the declared one"),
        };
        Judgement {
            status: Status::Fail,
            summary,
            remedy: Some(Remedy {
                text: "Set it up as declared".to_owned(),
                commands: vec![format!("dwenv provision --target {}", context.target)],
                by: By::You,
            }),
        }
    }

    fn plan(&self, context: Context, _: &Facts, drift: &Drift) -> Plan {
        let text = declared(context.workshop, &drift.os);
        let docker = &context.workshop.docker;
        let key = format!("{}/{}/gpg", docker.repository, drift.os.id);
        let script = format!(
            r#"{KEEP}new={SOURCES}.dwenv-new
install -d -m 0755 /etc/apt/keyrings
cat >"$new"
trap 'rm -f "$new" {KEY}.dwenv-new' EXIT
{need_gpg}/usr/lib/apt/apt-helper -o Acquire::Retries=5 -o Acquire::http::Timeout=30 download-file {url} {KEY}.dwenv-new
# apt would trust every key of the file: there may be one.
found=$(gpg --batch --with-colons --show-keys {KEY}.dwenv-new | sed -n '/^pub/{{n;s/^fpr:*\([0-9A-F]*\):*$/\1/p}}')
if [ "$found" != {fingerprint} ]; then
  echo "the key at {url} has the fingerprint" ${{found:-"of no key"}}", not {fingerprint}: it is not used" >&2
  exit 1
fi
chmod 0644 {KEY}.dwenv-new "$new"; sync {KEY}.dwenv-new "$new"
mv -T {KEY}.dwenv-new {KEY}
# Not beside the others: apt complains about what it does not read there.
for old in {OLD_LIST} {SOURCES}; do
  [ -e "$old" ] || continue
  keep "$old" /var/backups
done
rm -f {OLD_LIST}
mv -T "$new" {SOURCES}
"#,
            need_gpg = apt::need_script("gpg", "gpg"),
            url = quote::sh(&key),
            fingerprint = docker.key_fingerprint,
        );
        let old = drift.found.text.clone().unwrap_or_default();
        let mut differences = Vec::new();
        if old != text {
            differences.push(Difference {
                subject: SOURCES.to_owned(),
                text: super::files::unified_diff(SOURCES, &old, &text),
            });
        }
        Plan::script_reading("Set up Docker's own apt repository", script, text)
            .showing(differences)
    }

    fn predict(&self, context: Context, facts: &Facts, drift: &Drift) {
        let text = declared(context.workshop, &drift.os);
        facts.predict::<Sources>(|sources| {
            *sources = Sources {
                text: Some(text),
                has_key: true,
                has_old_list: false,
            };
        });
    }
}
