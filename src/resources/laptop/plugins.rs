//! Vagrant's plugins: resolved, and none that its Ruby cannot run.

use semver::Version;

use super::common::{RUBY, not_understood, said};
use super::{Check, Context, Judgement, LaptopKind, State, When, Wrong};
use crate::facts::probe::{Ask, LaptopQuestion};
use crate::facts::{Facts, Probe, Question};
use crate::target::laptop::Os;
use crate::workshop::Workshop;

pub const KIND: LaptopKind = LaptopKind {
    checks: &[Check {
        id: "laptop.plugins",
        title: "Vagrant's plugins work with this Vagrant",
        needs: &["laptop.vagrant"],
        probe: PROBE,
    }],
    on: Os::ALL,
    virtualbox: false,
    when: When::Deep,
    probes,
    look,
};

const PROBE: &str = "laptop.plugins";

/// Plugins whose newest version calls what Ruby 3.2 removed.
const BROKEN: &[(&str, &str)] = &[("vagrant-vbguest", "0.32.0"), ("nugrant", "2.1.4")];

fn probes(_: &Workshop) -> Vec<Probe> {
    let ask = Ask::Program {
        name: "vagrant",
        arguments: vec!["plugin".to_owned(), "list".to_owned()],
        // Vagrant names its Ruby in its log alone.
        variables: &[("VAGRANT_LOG", "info")],
    };
    let probe = Probe::deep(PROBE, Question::Laptop(LaptopQuestion { on: Os::ALL, ask }));
    vec![probe.within(RUBY)]
}

fn look(_: &Check, _: Context, facts: &Facts) -> State<Judgement> {
    let (status, text) = match said(facts.records(), PROBE) {
        Ok(said) => said,
        Err(unobserved) => return State::from(&unobserved),
    };
    if text.contains("failed to properly resolve required dependencies") {
        return Wrong::fail("Vagrant's plugins do not fit it any more, as after an update")
            .text("Repair them; if that is not enough, install them anew")
            .command("vagrant plugin repair")
            .command("vagrant plugin expunge --reinstall")
            .drifted();
    }
    let Some(ruby) = logged(text, "Ruby version: ") else {
        return State::from(&not_understood("Vagrant's list of plugins", text));
    };
    // The log comes after the list.
    let plugins: Vec<(&str, &str)> = text
        .lines()
        .take_while(|line| !is_log(line))
        .filter_map(plugin)
        .collect();
    if status != 0 || plugins.is_empty() && !text.contains("No plugins installed") {
        return State::from(&not_understood("Vagrant's list of plugins", text));
    }
    if ruby >= Version::new(3, 2, 0) {
        let broken = plugins.iter().find(|(name, version)| {
            BROKEN.iter().any(|(broken, last)| {
                name == broken
                    && matches!((three(version), three(last)), (Some(v), Some(last)) if v <= last)
            })
        });
        if let Some((name, version)) = broken {
            return Wrong::fail(format!(
                "The plugin {name} {version} cannot run on Vagrant's Ruby {ruby}: `vagrant up` ends with \"undefined method `exists?'\""
            ))
            .text("Remove it: the workshop does not need it")
            .command(format!("vagrant plugin uninstall {name}"))
            .drifted();
        }
    }
    let names: Vec<&str> = plugins.iter().map(|(name, _)| *name).collect();
    State::AsDeclared(if names.is_empty() {
        "none is installed".to_owned()
    } else {
        names.join(", ")
    })
}

fn is_log(line: &str) -> bool {
    let level = line.trim_start().split(' ').next();
    matches!(level, Some("DEBUG" | "INFO" | "WARN" | "ERROR"))
}

/// ` INFO global: Ruby version: 3.1.7`
fn logged(text: &str, name: &str) -> Option<Version> {
    let line = text
        .lines()
        .find(|line| is_log(line) && line.contains(name))?;
    three(line.split_once(name)?.1.trim())
}

/// `vagrant-vbguest (0.32.0, global)`
fn plugin(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.split_once(" (")?;
    let version = rest.split([',', ')']).next()?;
    (!name.starts_with(' ')).then_some((name, version))
}

fn three(text: &str) -> Option<Version> {
    let mut numbers = text.split(['.', 'p']).map(str::parse);
    let mut next = || numbers.next()?.ok();
    Some(Version::new(next()?, next()?, next().unwrap_or(0)))
}
