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
/// Where other instructions name the repository; beside the other, apt refuses all that it has.
const OTHERS: &str =
    "/etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources";
const KEY: &str = "/etc/apt/keyrings/docker.asc";

const CHECKS: &[Check] = &[Check {
    id: "box.docker.repository",
    title: "The box installs Docker from Docker's own repository",
    needs: &["box.os"],
    probe: Sources::PROBE,
}];

/// The key with which the repository is signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Key {
    #[default]
    Missing,
    /// It is not the file whose fingerprint was verified when the repository was set up.
    Changed,
    /// What was set up before digests were noted counts as this: it was.
    Verified,
}

/// The repository's files in the box.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    text: Option<String>,
    key: Key,
    /// Other files that name the repository.
    others: Vec<String>,
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
            r#"if [ -e {KEY} ]; then
  sum=$(sha256sum <{KEY})
  if grep -qsF "{DIGEST}" {SOURCES} && ! grep -qsxF "{DIGEST}${{sum%% *}}" {SOURCES}; then echo "key changed"
  else echo "key verified"; fi
fi
{other_files}
others {entry} | sed 's/^/other /'
[ ! -e {SOURCES} ] || {{ echo sources; grep -vF "{DIGEST}" {SOURCES}; }}"#,
            other_files = other_files(),
            entry = quote::sh(&entry(workshop)),
        );
        vec![Probe::new(Self::PROBE, Question::Login(fragment))]
    }

    fn observe(records: &Records) -> Observed<Self> {
        let text = records.text(Self::PROBE)?;
        let text = format!("\n{text}\n");
        let (head, sources) = match text.split_once("\nsources\n") {
            Some((head, sources)) => (head, Some(sources)),
            None => (&text[..], None),
        };
        let others = head.lines().filter_map(|line| line.strip_prefix("other "));
        let mut lines = head.lines();
        Ok(Self {
            text: sources.map(|text| format!("{}\n", text.trim_end())),
            key: lines
                .find_map(|line| match line {
                    "key verified" => Some(Key::Verified),
                    "key changed" => Some(Key::Changed),
                    _ => None,
                })
                .unwrap_or_default(),
            others: others.map(str::to_owned).collect(),
        })
    }
}

/// Begins the line of [`SOURCES`] that has the digest of the key's file: what was verified once is known by it.
const DIGEST: &str = "# SHA-256 of the key's file: ";

/// Prints every other file in which a line for apt is like `$1`, a pattern for grep -E.
fn other_files() -> String {
    format!(
        r#"others() {{
  for file in {OTHERS}; do
    if [ "$file" = {SOURCES} ] || ! grep -qsE "$1" "$file"; then continue; fi
    # apt passes over a source that is switched off.
    if [ "$(grep -c '^Types:' "$file")" = 1 ] && grep -qiE '^Enabled:[[:space:]]*(no|false|off|0)' "$file"; then continue; fi
    echo "$file"
  done
}}"#
    )
}

/// A line that names the repository, in either form that apt has.
fn entry(workshop: &Workshop) -> String {
    let repository = workshop.docker.repository.replace('.', "[.]");
    format!("^[[:space:]]*(deb|URIs:)[^#]*{repository}(/|[[:space:]]|$)")
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
        if found.key == Key::Verified
            && found.others.is_empty()
            && found.text.as_ref() == Some(&text)
        {
            State::AsDeclared(format!("{}/{}", context.workshop.docker.repository, os.id))
        } else {
            State::Drifted(Drift { found, os })
        }
    }

    fn judge(&self, context: Context, _: &Facts, drift: &Drift) -> Judgement {
        let summary = match (&drift.found.text, drift.found.key) {
            (None, _) => format!("There is no {SOURCES}"),
            (Some(_), Key::Missing) => format!("The key is missing: {KEY}"),
            (Some(_), Key::Changed) => format!("{KEY} is not the key that was verified"),
            (Some(_), Key::Verified) if !drift.found.others.is_empty() => {
                format!(
                    "The repository is named once more, in {}",
                    drift.found.others.join(", ")
                )
            }
            (Some(_), Key::Verified) => format!("{SOURCES} differs from the declared one"),
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
{need_gpg}ran /usr/lib/apt/apt-helper -o Acquire::Retries=5 -o Acquire::http::Timeout=30 download-file {url} {KEY}.dwenv-new
# apt would trust every key of the file: there may be one.
found=$(gpg --batch --with-colons --show-keys {KEY}.dwenv-new | sed -n '/^pub/{{n;s/^fpr:*\([0-9A-F]*\):*$/\1/p}}')
if [ "$found" != {fingerprint} ]; then
  echo "the key at {url} has the fingerprint" ${{found:-"of no key"}}", not {fingerprint}: it is not used" >&2
  exit 1
fi
sum=$(sha256sum <{KEY}.dwenv-new); echo "{DIGEST}${{sum%% *}}" >>"$new"
chmod 0644 {KEY}.dwenv-new "$new"; sync {KEY}.dwenv-new "$new"
mv -T {KEY}.dwenv-new {KEY}
# Not beside the others: apt complains about what it does not read there.
[ ! -e {SOURCES} ] || keep {SOURCES} /var/backups
{other_files}
others {entry} | while read -r old; do
  keep "$old" /var/backups
  case $old in
    *.sources)
      if [ "$(sed -n 's/^URIs://p' "$old" | wc -w)" -gt 1 ]; then
        echo "$old names Docker's repository beside others: take it out there, since apt takes it only once" >&2
        exit 1
      fi
      rm -f "$old" ;;
    *)
      sed -E 's@'{entry}'@# &@' "$old" >"$old.dwenv-new"
      chmod 0644 "$old.dwenv-new"; sync "$old.dwenv-new"
      if grep -qE '^[[:space:]]*deb' "$old.dwenv-new"; then mv -T "$old.dwenv-new" "$old"; else rm -f "$old.dwenv-new" "$old"; fi ;;
  esac
done
mv -T "$new" {SOURCES}
"#,
            need_gpg = apt::need_script("gpg", "gpg"),
            url = quote::sh(&key),
            other_files = other_files(),
            entry = quote::sh(&entry(context.workshop)),
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
                key: Key::Verified,
                others: Vec::new(),
            };
        });
    }
}
