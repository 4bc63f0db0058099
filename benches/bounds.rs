//! The bounds that dwenv holds, measured on real machines: `cargo bench --bench bounds`, as root on Linux.
//!
//! Words behind `--` choose what is measured: `start`, `no-op`, `first`. Whatever else the computer does
//! shows in the figures, so the load stands beside them, and what is compared runs by turns.

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
    use std::fs;
    use std::io::Write;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use dwenv::events::Events;
    use dwenv::target::sandbox::Running;

    use super::support::{Lab, run, said};

    const DWENV: &str = env!("CARGO_BIN_EXE_dwenv");
    /// Runs of each side, where one takes a fraction of a second.
    const SHORT_RUNS: usize = 20;
    /// Runs of each side, where one takes half a minute and a machine of its own.
    const LONG_RUNS: usize = 3;

    /// What one side took, run by run.
    #[derive(Default)]
    struct Times(Vec<Duration>);

    impl Times {
        fn add(&mut self, work: impl FnOnce()) {
            let began = Instant::now();
            work();
            self.0.push(began.elapsed());
        }

        fn median(&self) -> Duration {
            let mut sorted = self.0.clone();
            sorted.sort_unstable();
            let middle = sorted.len() / 2;
            (sorted[middle] + sorted[(sorted.len() - 1) / 2]) / 2
        }

        fn tell(&self, what: &str, against: Option<&Self>, bound: &str) {
            let ratio = against.map_or(String::new(), |other| {
                let ratio = self.median().as_secs_f64() / other.median().as_secs_f64();
                format!("{ratio:.2}")
            });
            let best = self.0.iter().min().copied().unwrap_or_default();
            let worst = self.0.iter().max().copied().unwrap_or_default();
            println!(
                "{what:<44} {:>9} {:>9} {:>9} {ratio:>6}  {bound}",
                shown(self.median()),
                shown(best),
                shown(worst)
            );
        }
    }

    fn shown(took: Duration) -> String {
        if took < Duration::from_secs(1) {
            format!("{:.1} ms", took.as_secs_f64() * 1000.0)
        } else {
            format!("{:.1} s", took.as_secs_f64())
        }
    }

    /// A lab, and a folder whose config.toml has the lab's address.
    fn workshop() -> (Lab, tempfile::TempDir) {
        let lab = Lab::new();
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("config.toml");
        let text = include_str!("../config.toml");
        fs::write(
            &file,
            text.replace("192.168.33.10", &lab.address(10).to_string()),
        )
        .expect("config.toml can be written");
        let files = concat!(env!("CARGO_MANIFEST_DIR"), "/provision");
        run(
            "cp",
            &["-r", files, folder.path().to_str().expect("a plain path")],
        );
        (lab, folder)
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

    fn succeed(command: &mut Command) {
        let output = command.output().expect("the program starts");
        assert!(
            output.status.success(),
            "{command:?}: {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    pub fn on_a_ready_box(start: bool, no_op: bool) {
        if start {
            let mut version = Times::default();
            for _ in 0..=SHORT_RUNS {
                version.add(|| succeed(Command::new(DWENV).arg("--version")));
            }
            version.0.remove(0);
            version.tell("dwenv --version", None, "10 ms");
        }
        let (lab, folder) = workshop();
        let machine = up(&lab, "ready");
        succeed(&mut dwenv(&lab, &folder, "ready", &["provision", "--yes"]));
        if start {
            let peak = peak_memory(&mut dwenv(&lab, &folder, "ready", &["doctor"]));
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
        let (mut ssh, mut doctor, mut provision) =
            (Times::default(), Times::default(), Times::default());
        // The first turn only warms what is read from disks.
        for _ in 0..=SHORT_RUNS {
            ssh.add(|| drop(said(&machine, "true")));
            doctor.add(|| succeed(&mut dwenv(&lab, &folder, "ready", &["doctor"])));
            provision.add(|| succeed(&mut dwenv(&lab, &folder, "ready", &["provision"])));
        }
        for times in [&mut ssh, &mut doctor, &mut provision] {
            times.0.remove(0);
        }
        ssh.tell("ssh BOX true", None, "");
        doctor.tell("dwenv doctor", Some(&ssh), "1.2");
        provision.tell("dwenv provision, nothing to do", Some(&ssh), "1.2");
    }

    /// The most memory that a program had, in kB. The kernel keeps the peak, so looking often is enough.
    fn peak_memory(command: &mut Command) -> u64 {
        let mut child = command
            .stdout(Stdio::null())
            .spawn()
            .expect("the program starts");
        let status = format!("/proc/{}/status", child.id());
        let mut peak = 0;
        while child.try_wait().expect("a child of ours").is_none() {
            let text = fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let now = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok());
            peak = peak.max(now.unwrap_or(0));
            std::thread::sleep(Duration::from_micros(200));
        }
        peak
    }

    pub fn first_provision() {
        let (lab, folder) = workshop();
        let (mut hand, mut dwenvs) = (Times::default(), Times::default());
        for turn in 0..LONG_RUNS {
            let name = format!("hand{turn}");
            let machine = up(&lab, &name);
            hand.add(|| by_hand(&machine));
            assert_served(&machine);
            destroy(&lab, &name);

            let name = format!("dwenv{turn}");
            let machine = up(&lab, &name);
            let words = ["provision", "--yes"];
            dwenvs.add(|| succeed(&mut dwenv(&lab, &folder, &name, &words)));
            assert_served(&machine);
            destroy(&lab, &name);
        }
        hand.tell("a bare box, by a hand-written script", None, "");
        dwenvs.tell("dwenv provision of a bare box", Some(&hand), "1.0");
    }

    fn up(lab: &Lab, name: &str) -> Running {
        let running = lab.store.up(&lab.spec(name, 10), &Events::nowhere());
        running.unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn destroy(lab: &Lab, name: &str) {
        let destroyed = lab.store.destroy(name, &Events::nowhere());
        destroyed.unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// Sends `by_hand.sh`, with the files that it needs, to root's shell in one go.
    fn by_hand(machine: &Running) {
        let mut script = format!(
            "user={}\npackages='docker.io docker-cli docker-buildx docker-compose postgresql python3 \
             python3-psycopg'\nmkdir /tmp/provision\n",
            machine.spec.user
        );
        let files = concat!(env!("CARGO_MANIFEST_DIR"), "/provision");
        for entry in fs::read_dir(files).expect("provision/").flatten() {
            let name = entry.file_name();
            let text = fs::read_to_string(entry.path()).expect("a file of text");
            script.push_str(&format!(
                "cat >/tmp/provision/{} <<'END OF FILE'\n{text}END OF FILE\n",
                name.display()
            ));
        }
        script.push_str(include_str!("by_hand.sh"));
        let mut ssh = Command::new("ssh")
            .args(["-F", "none", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"])
            .args(["-o", "StrictHostKeyChecking=no"])
            .args(["-o", "UserKnownHostsFile=/dev/null"])
            .args(["-o", "IdentitiesOnly=yes", "-i"])
            .arg(&machine.identity)
            .args(["-p", &machine.port.to_string()])
            .arg(format!("{}@{}", machine.spec.user, machine.spec.address))
            // Read whole before it begins: a program that reads its stdin would swallow the rest.
            .arg("sudo sh -c \"$(cat)\"")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program ssh");
        let mut stdin = ssh.stdin.take().expect("a pipe");
        stdin
            .write_all(script.as_bytes())
            .expect("the script is sent");
        drop(stdin);
        let status = ssh.wait().expect("a child of ours");
        assert!(
            status.success(),
            "the hand-written script ended with {status}"
        );
    }

    /// Both ways end with a server that answers with a row: otherwise their times say nothing.
    fn assert_served(machine: &Running) {
        let program = "import time, urllib.request as u\n\
             for _ in range(50):\n\
             \x20 try: print(u.urlopen('http://localhost:8080').read().decode()); break\n\
             \x20 except OSError: time.sleep(0.1)";
        let answer = said(machine, &format!("python3 -c \"{program}\""));
        assert!(answer.contains("Hello World"), "{answer}");
    }
}
