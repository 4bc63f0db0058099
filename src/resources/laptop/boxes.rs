//! The box, downloaded before the day, and for the right processor.

use super::architecture::{Processor, processor};
use super::common::{Kept, RUBY, lines, not_understood};
use super::{Check, Context, Judgement, LaptopKind, State, When, Wrong};
use crate::facts::probe::{Ask, LaptopQuestion};
use crate::facts::{Fact, Facts, Probe, Question};
use crate::target::laptop::Os;
use crate::workshop::Workshop;

pub const KIND: LaptopKind = LaptopKind {
    checks: &[Check {
        id: "laptop.box-download",
        title: "The workshop's box is downloaded",
        needs: &["laptop.vagrant", "laptop.architecture"],
        probe: PROBE,
    }],
    on: Os::ALL,
    virtualbox: true,
    when: When::Before,
    probes,
    look,
};

const PROBE: &str = "laptop.boxes";

fn probes(workshop: &Workshop) -> Vec<Probe> {
    let ask = Ask::Program {
        name: "vagrant",
        arguments: ["box", "list", "--machine-readable"]
            .map(str::to_owned)
            .into(),
        variables: &[],
    };
    let question = LaptopQuestion { on: Os::ALL, ask };
    let mut probes = vec![Probe::deep(PROBE, Question::Laptop(question)).within(RUBY)];
    probes.extend(Kept::probes(workshop));
    probes
}

/// A box that Vagrant has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Downloaded {
    name: String,
    provider: String,
    version: String,
    /// Vagrant before 2.4 does not tell it.
    architecture: Option<String>,
}

fn look(_: &Check, context: Context, facts: &Facts) -> State<Judgement> {
    if matches!(facts.get::<Kept>().as_ref(), Ok(kept) if kept.has_machine()) {
        return State::AsDeclared("the box is made already".to_owned());
    }
    let text = match lines(facts.records(), PROBE) {
        Ok(text) => text,
        Err(unobserved) => return State::from(&unobserved),
    };
    let Some(boxes) = read(text) else {
        return State::from(&not_understood("Vagrant's list of boxes", text));
    };
    let processor = match processor(context.laptop, facts) {
        Ok(Some(processor)) => processor,
        Ok(None) => return State::Unknown("the processor is not known".to_owned()),
        Err(unobserved) => return State::from(&unobserved),
    };
    let machine = &context.workshop.machine;
    let name = match processor {
        Processor::Amd64 => &machine.amd64,
        Processor::Arm64 => &machine.arm64,
    };
    let of_name: Vec<&Downloaded> = boxes
        .iter()
        .filter(|it| it.name == *name && it.provider == "virtualbox")
        .collect();
    let fits = |it: &&&Downloaded| {
        let architecture = it.architecture.as_deref();
        architecture.is_none_or(|it| it == processor.name() || it == "unknown")
    };
    if let Some(found) = of_name.iter().find(fits) {
        return State::AsDeclared(format!("{name} {}", found.version));
    }
    let summary = match of_name.first() {
        None => format!("The box {name} is not downloaded yet"),
        Some(other) => format!(
            "The box {name} is downloaded for {}, and this laptop is {}",
            other.architecture.as_deref().unwrap_or("another processor"),
            processor.name()
        ),
    };
    let is_new = super::common::vagrant(facts).is_none_or(|it| it >= semver::Version::new(2, 4, 0));
    let architecture = if is_new {
        format!(" --architecture {}", processor.name())
    } else {
        String::new()
    };
    Wrong::fail(summary)
        .text("Download it where the network is good: it is some hundreds of MB, which a room full of people cannot have at once")
        .command(format!(
            "vagrant box add {name} --provider virtualbox{architecture}"
        ))
        .drifted()
}

/// Rows of `TIME,TARGET,TYPE,VALUE`; a box begins with its name.
fn read(text: &str) -> Option<Vec<Downloaded>> {
    let mut boxes: Vec<Downloaded> = Vec::new();
    let mut is_answer = false;
    for line in text.lines() {
        let cells: Vec<&str> = line.splitn(4, ',').collect();
        let [_, _, kind, value] = cells[..] else {
            continue;
        };
        is_answer |= kind == "box-name" || value.contains("no installed boxes");
        match (kind, boxes.last_mut()) {
            ("box-name", _) => boxes.push(Downloaded {
                name: value.to_owned(),
                ..Downloaded::default()
            }),
            ("box-provider", Some(last)) => value.clone_into(&mut last.provider),
            ("box-version", Some(last)) => value.clone_into(&mut last.version),
            ("box-architecture", Some(last)) => last.architecture = Some(value.to_owned()),
            _ => {}
        }
    }
    let is_whole = |it: &Downloaded| !it.provider.is_empty() && !it.version.is_empty();
    (is_answer && boxes.iter().all(is_whole)).then_some(boxes)
}
