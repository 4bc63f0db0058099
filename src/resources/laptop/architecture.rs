//! The laptop's processor against the box's, and against what VirtualBox can do there.

use std::sync::LazyLock;

use semver::Version;
use serde::Deserialize;

use super::common::{Here, Sysctl, Variables, vagrant, virtualbox};
use super::{
    Check, Context, Judgement, KNOWN, LaptopKind, State, When, Wrong, box_answers, proved,
};
use crate::doctor::report::By;
use crate::facts::laptop::HERE;
use crate::facts::{Fact, Facts, Observed};
use crate::resources::observed;
use crate::target::laptop::Os;

pub const KIND: LaptopKind = LaptopKind {
    checks: &[Check {
        id: "laptop.architecture",
        title: "The box is made for the laptop's processor",
        needs: &[],
        probe: HERE,
    }],
    on: KNOWN,
    virtualbox: true,
    when: When::Always,
    probes: |workshop| {
        [
            Here::probes(workshop),
            Variables::probes(workshop),
            Sysctl::probes(workshop),
        ]
        .concat()
    },
    look,
};

/// A laptop's processor, in Vagrant's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processor {
    Amd64,
    Arm64,
}

impl Processor {
    pub fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }
}

/// The processor itself: dwenv may be translated, and then sees another one.
pub fn processor(laptop: Os, facts: &Facts) -> Observed<Option<Processor>> {
    let Here(here) = facts.get::<Here>().as_ref().clone()?;
    let is_arm = match laptop {
        Os::MacOs => facts.get::<Sysctl>().as_ref().clone()?.is_apple_silicon()?,
        Os::Windows => {
            let variables = facts.get::<Variables>().as_ref().clone()?;
            ["PROCESSOR_ARCHITECTURE", "PROCESSOR_ARCHITEW6432"]
                .iter()
                .any(|name| variables.get(name) == Some("ARM64"))
                || variables
                    .get("PROCESSOR_IDENTIFIER")
                    .is_some_and(|name| name.starts_with("ARM"))
        }
        Os::Linux | Os::Other => false,
    };
    Ok(match here.architecture.as_str() {
        _ if is_arm => Some(Processor::Arm64),
        "x86_64" => Some(Processor::Amd64),
        "aarch64" => Some(Processor::Arm64),
        _ => None,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[allow(dead_code, reason = "for whoever brings the table up to date")]
    checked: String,
    #[allow(dead_code, reason = "for whoever brings the table up to date")]
    source: String,
    systems: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    system: Os,
    virtualbox: Version,
    vagrant: Version,
}

static ARM: LazyLock<Table> = LazyLock::new(|| {
    toml::from_str(include_str!("../../../data/virtualbox-arm.toml"))
        .expect("a test reads the table that is compiled in")
});

fn look(_: &Check, context: Context, facts: &Facts) -> State<Judgement> {
    if box_answers(facts) {
        return proved();
    }
    let machine = &context.workshop.machine;
    match processor(context.laptop, facts) {
        Err(unobserved) => State::from(&unobserved),
        Ok(Some(Processor::Amd64)) => State::AsDeclared(format!("amd64, for {}", machine.amd64)),
        Ok(Some(Processor::Arm64)) => look_at_arm(context, facts),
        Ok(None) => {
            let Here(here) = observed!(facts, Here);
            State::Unknown(format!(
                "whether VirtualBox runs on `{}` is not known",
                here.architecture
            ))
        }
    }
}

fn look_at_arm(context: Context, facts: &Facts) -> State<Judgement> {
    let machine = &context.workshop.machine;
    let Some(row) = ARM.systems.iter().find(|row| row.system == context.laptop) else {
        return Wrong::fail("This laptop has an ARM processor, and there is no VirtualBox for it")
            .text("Ask for another way to take part, such as a machine that dwenv reaches over SSH")
            .mended_by(By::Organiser)
            .drifted();
    };
    let too_old = |name: &str, found: Option<Version>, wanted: &Version, page: &str| {
        let found = found.filter(|found| found < wanted)?;
        Some(
            Wrong::fail(format!(
                "This laptop has an ARM processor, and {name} {found} cannot run boxes there: {wanted} is the first that can"
            ))
            .text(format!("Install the newest {name} from {page}"))
            .drifted(),
        )
    };
    too_old(
        "VirtualBox",
        virtualbox(facts),
        &row.virtualbox,
        "https://www.virtualbox.org/wiki/Downloads",
    )
    .or_else(|| {
        too_old(
            "Vagrant",
            vagrant(facts),
            &row.vagrant,
            "https://developer.hashicorp.com/vagrant/install",
        )
    })
    .unwrap_or_else(|| State::AsDeclared(format!("arm64, for {}", machine.arm64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read() {
        assert_eq!(ARM.systems.len(), 2);
    }
}
