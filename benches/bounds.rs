//! The bounds that dwenv holds, measured on real machines: `cargo bench --bench bounds`, as root on Linux.
//!
//! Words behind `--` choose what is measured: `start`, `no-op`, `first`. Whatever else the computer does
//! shows in the figures, so the load stands beside them, and what is compared runs by turns. How other tools
//! do the same work is measured by `cargo bench --bench peers`.

#[cfg(target_os = "linux")]
mod common;
#[cfg(target_os = "linux")]
#[path = "../tests/support/sandbox.rs"]
mod support;

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("dwenv's bounds are measured on sandboxes, and those need Linux");
}

#[cfg(target_os = "linux")]
fn main() {
    let chosen: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let wanted = |word: &str| chosen.is_empty() || chosen.iter().any(|chosen| chosen == word);
    println!(
        "{:<44} {:>9} {:>9} {:>9} {:>6}  bound",
        "", "median", "best", "worst", "ratio"
    );
    if wanted("start") || wanted("no-op") {
        linux::on_a_ready_box(wanted("start"), wanted("no-op"));
    }
    if wanted("first") {
        linux::first_provision();
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load at the end: {}", load.trim_end());
}

#[cfg(target_os = "linux")]
mod linux {
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use serde_json::Value;

    use super::common::boxes::{
        DWENV, assert_served, by_hand, destroy, ssh, succeed, up, workshop,
    };
    use super::common::memory;
    use super::common::times::{Times, shown};
    use super::support::Lab;

    /// Runs of each side, where one takes a fraction of a second.
    const SHORT_RUNS: usize = 20;
    /// Runs of each side, where one takes half a minute and a machine of its own.
    const LONG_RUNS: usize = 3;

    fn tell(what: &str, times: &Times, against: Option<&Times>, bound: &str) {
        let ratio = against.map_or(String::new(), |other| {
            format!("{:.2}", times.against(other))
        });
        println!(
            "{what:<44} {:>9} {:>9} {:>9} {ratio:>6}  {bound}",
            shown(times.median()),
            shown(times.best()),
            shown(times.worst())
        );
    }

    /// dwenv on the box `name` of the lab.
    fn dwenv(lab: &Lab, folder: &tempfile::TempDir, name: &str, words: &[&str]) -> Command {
        let mut command = Command::new(DWENV);
        command
            .args(words)
            .arg("-C")
            .arg(folder.path())
            .args(["--target", &format!("sandbox:{name}")])
            .env("DWENV_STATE_DIR", lab.folder())
            .stdin(Stdio::null());
        command
    }

    pub fn on_a_ready_box(start: bool, no_op: bool) {
        if start {
            let mut version = Times::default();
            for _ in 0..=SHORT_RUNS {
                version.add(|| succeed(Command::new(DWENV).arg("--version")));
            }
            version.forget_first();
            tell("dwenv --version", &version, None, "10 ms");
            laptop_checks();
        }
        let (lab, folder) = workshop();
        let machine = up(&lab, "ready", 10);
        succeed(&mut dwenv(&lab, &folder, "ready", &["provision", "--yes"]));
        if start {
            let peak = memory::peak(&mut dwenv(&lab, &folder, "ready", &["doctor"]));
            println!(
                "{:<44} {:>9} {:>9} {:>9} {:>6}  20 MB",
                "peak memory of dwenv doctor",
                format!("{:.1} MB", peak as f64 / 1024.0),
                "",
                "",
                ""
            );
        }
        if !no_op {
            return;
        }
        let (mut plain, mut doctor, mut provision) =
            (Times::default(), Times::default(), Times::default());
        // The first turn only warms what is read from disks.
        for _ in 0..=SHORT_RUNS {
            plain.add(|| succeed(ssh(&machine).arg("true")));
            doctor.add(|| succeed(&mut dwenv(&lab, &folder, "ready", &["doctor"])));
            provision.add(|| succeed(&mut dwenv(&lab, &folder, "ready", &["provision"])));
        }
        for times in [&mut plain, &mut doctor, &mut provision] {
            times.forget_first();
        }
        tell("ssh BOX true", &plain, None, "");
        tell("dwenv doctor", &doctor, Some(&plain), "0.9");
        let what = "dwenv provision, nothing to do";
        tell(what, &provision, Some(&plain), "0.9");
    }

    /// The slowest check of the laptop, of those that wait neither for a program (none is found here) nor for a
    /// server on the internet.
    fn laptop_checks() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut slowest = Times::default();
        for _ in 0..SHORT_RUNS {
            let before = [
                "doctor", "--before", "--target", "vagrant", "--format", "json",
            ];
            let output = Command::new(DWENV)
                .args(before)
                .current_dir(&folder)
                .env("PATH", folder.path())
                .env("HOME", folder.path())
                .output()
                .expect("the built dwenv");
            let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
            let checks = report["checks"].as_array().expect("its checks").iter();
            let alone = checks
                .filter(|it| !matches!(it["id"].as_str(), Some("laptop.clock" | "laptop.tls")));
            let took = alone.filter_map(|it| it["duration_ms"].as_u64()).max();
            slowest.push(Duration::from_millis(took.expect("checks that were made")));
        }
        tell("the laptop's slowest check", &slowest, None, "200 ms");
    }

    pub fn first_provision() {
        let (lab, folder) = workshop();
        let (mut hand, mut dwenvs) = (Times::default(), Times::default());
        for turn in 0..LONG_RUNS {
            let name = format!("hand{turn}");
            let machine = up(&lab, &name, 10);
            hand.add(|| by_hand(ssh(&machine), &machine.spec.user));
            assert_served(&machine);
            destroy(&lab, &name);

            let name = format!("dwenv{turn}");
            let machine = up(&lab, &name, 10);
            let words = ["provision", "--yes"];
            dwenvs.add(|| succeed(&mut dwenv(&lab, &folder, &name, &words)));
            assert_served(&machine);
            destroy(&lab, &name);
        }
        tell("a bare box, by a hand-written script", &hand, None, "");
        tell("dwenv provision of a bare box", &dwenvs, Some(&hand), "0.8");
    }
}
