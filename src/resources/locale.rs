//! The language settings that the box gives every program: each has to exist there.

use super::change::Install;
use super::{Check, Context, Judgement, Plan, Resource, State, apt, observed};
use crate::doctor::report::{By, Remedy, Status};
use crate::facts::{Fact, Facts, Observed, Probe, Question, Records, Unobserved};
use crate::quote;
use crate::workshop::Workshop;

pub struct Locale;

const CHECKS: &[Check] = &[Check {
    id: "box.locale",
    title: "The locale that the box sets is there",
    needs: &["box.ssh"],
    probe: Locales::PROBE,
}];

/// The locales that a box sets, and those that it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locales {
    /// Variable, value, and the file that sets it.
    set: Vec<(String, String, String)>,
    /// As `locale -a` has them, normalised; empty where only what is always there is set.
    there: Vec<String>,
}

impl Locales {
    const PROBE: &str = "locale";
}

impl Fact for Locales {
    fn probes(_: &Workshop) -> Vec<Probe> {
        // locale(1) is started only where a locale is set that has to be generated.
        let fragment = r#"needed=
for file in /etc/default/locale /etc/environment; do
  [ -r "$file" ] || continue
  while read -r line || [ -n "$line" ]; do
    line=${line#export }
    case $line in
      LANG=*|LC_[A-Z]*=*) echo "set $file $line" ;;
      *) continue ;;
    esac
    case ${line#*=} in
      ''|C|POSIX|C.UTF-8|C.utf8|'"C"'|'"POSIX"'|'"C.UTF-8"'|'"C.utf8"') ;;
      *) needed=yes ;;
    esac
  done <"$file"
done
[ -z "$needed" ] || { echo there; locale -a; }"#;
        vec![Probe::new(
            Self::PROBE,
            Question::Login(fragment.to_owned()),
        )]
    }

    fn observe(records: &Records) -> Observed<Self> {
        let text = records.text(Self::PROBE)?;
        let mut found = Self::default();
        let mut lines = text.lines();
        for line in lines.by_ref().take_while(|line| *line != "there") {
            let setting = line.strip_prefix("set ").and_then(|rest| {
                let (file, assignment) = rest.split_once(' ')?;
                let (variable, value) = assignment.split_once('=')?;
                Some((variable, unquoted(value), file))
            });
            let (variable, value, file) = setting.ok_or_else(|| {
                Unobserved(format!("the locale's settings are not understood: {line}"))
            })?;
            found
                .set
                .push((variable.to_owned(), value.to_owned(), file.to_owned()));
        }
        found.there = lines.map(normalised).collect();
        Ok(found)
    }
}

fn unquoted(value: &str) -> &str {
    value.trim().trim_matches(['"', '\''])
}

/// `en_US.UTF-8` and `en_US.utf8` are one locale.
fn normalised(locale: &str) -> String {
    match locale.split_once('.') {
        Some((language, codeset)) => {
            let codeset = codeset.to_lowercase().replace('-', "");
            format!("{language}.{codeset}")
        }
        None => locale.to_owned(),
    }
}

/// These need no file.
fn is_builtin(locale: &str) -> bool {
    matches!(normalised(locale).as_str(), "" | "C" | "POSIX" | "C.utf8")
}

/// A locale that is set and not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    variable: String,
    locale: String,
    file: String,
}

impl Resource for Locale {
    type Drift = Drift;

    fn checks(&self) -> &'static [Check] {
        CHECKS
    }

    fn probes(&self, workshop: &Workshop) -> Vec<Probe> {
        Locales::probes(workshop)
    }

    fn diff(&self, _: &Check, _: Context, facts: &Facts) -> State<Drift> {
        let found = observed!(facts, Locales);
        let missing = found.set.iter().find(|(_, locale, _)| {
            !is_builtin(locale) && !found.there.contains(&normalised(locale))
        });
        match (missing, found.set.first()) {
            (Some((variable, locale, file)), _) => State::Drifted(Drift {
                variable: variable.clone(),
                locale: locale.clone(),
                file: file.clone(),
            }),
            (None, Some((variable, locale, _))) => {
                State::AsDeclared(format!("{variable}={locale}"))
            }
            (None, None) => State::AsDeclared("none is set".to_owned()),
        }
    }

    fn judge(&self, context: Context, _: &Facts, drift: &Drift) -> Judgement {
        Judgement {
            status: Status::Warn,
            summary: format!(
                "{} sets {}={}, which the box does not have: programs complain, and a new PostgreSQL \
                 cluster cannot be made",
                drift.file, drift.variable, drift.locale
            ),
            remedy: Some(Remedy {
                text: "Generate it; where there is no such locale, C.UTF-8 takes its place"
                    .to_owned(),
                commands: vec![format!("dwenv provision --target {}", context.target)],
                by: By::You,
            }),
        }
    }

    fn plan(&self, _: Context, _: &Facts, drift: &Drift) -> Plan {
        Plan::script(
            format!("Generate the locale {}", drift.locale),
            generate_script(&drift.locale, &drift.file),
        )
        .unattended()
    }

    fn predict(&self, _: Context, facts: &Facts, drift: &Drift) {
        facts.predict::<Locales>(|found| found.there.push(normalised(&drift.locale)));
    }
}

/// Generates a locale that glibc knows; one that it does not know is replaced where it is set.
fn generate_script(locale: &str, file: &str) -> String {
    let install = apt::install_script(&Install {
        packages: ["locales".to_owned()].into(),
        settings: [].into(),
    });
    format!(
        r#"locale={locale}; file=$(readlink -f {file})
command -v locale-gen >/dev/null || {{
{install}}}
known=$(LOCALE=$locale awk 'BEGIN {{ wanted = ENVIRON["LOCALE"]; sub(/\.utf8$/, ".UTF-8", wanted) }} $1 == wanted' /usr/share/i18n/SUPPORTED)
if [ -n "$known" ]; then
  grep -qxF "$known" /etc/locale.gen || echo "$known" >>/etc/locale.gen
  ran locale-gen
else
  echo "there is no locale $locale: C.UTF-8 takes its place"
{KEEP}  keep "$file" /var/backups
  LOCALE=$locale awk 'BEGIN {{ wanted = ENVIRON["LOCALE"] }}
    {{ at = index($0, "="); value = substr($0, at + 1); gsub(/["'\'']/, "", value) }}
    at && value == wanted {{ $0 = substr($0, 1, at) "C.UTF-8" }}
    {{ print }}' "$file" >"$file.dwenv-new"
  chmod 0644 "$file.dwenv-new"; sync "$file.dwenv-new"; mv -T "$file.dwenv-new" "$file"
fi
"#,
        locale = quote::sh(locale),
        file = quote::sh(file),
        KEEP = super::files::KEEP,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_locale_has_several_spellings() {
        assert_eq!(normalised("en_US.UTF-8"), normalised("en_US.utf8"));
        assert_ne!(normalised("en_US.UTF-8"), normalised("en_GB.UTF-8"));
        assert!(is_builtin("C.UTF-8") && is_builtin("POSIX") && !is_builtin("en_US.UTF-8"));
    }
}
