//! A run that is cut, killed or stopped anywhere: the next one makes the same box of it as one that never was.

use std::time::{SystemTime, UNIX_EPOCH};

use dwenv::target::sandbox::Suite;
use serde_json::Value;

use crate::cutter::Cutter;
use crate::support::run;
use crate::venue::Proxy;
use crate::workbox::Workbox;

/// What a box has of provision but its packages: taken away, so that a plan has six steps and takes seconds.
const RESET: &str = r#"
sudo systemctl disable -q --now docker-workshop.service 2>/dev/null
sudo rm -rf /etc/systemd/system/docker-workshop.service "$HOME/docker-workshop" /var/lib/dwenv
sudo systemctl daemon-reload
sudo gpasswd -d vagrant docker >/dev/null 2>&1
cd /
sudo -u postgres psql -qAtc 'DROP DATABASE IF EXISTS dockerworkshop WITH (FORCE)' \
  -c 'DROP ROLE IF EXISTS dockerworkshop' -c 'ALTER SYSTEM RESET listen_addresses' || exit 1
hba=$(sudo -u postgres psql -qAtc 'SHOW hba_file')
sudo sed -i '/^# dwenv: begin/,/^# dwenv: end/d' "$hba"
sudo systemctl restart postgresql
"#;

/// All that a run is there for, in an order and in words that do not depend on when it was made.
const STATE: &str = r#"
cd "$HOME"
find docker-workshop -printf '%p %m %u %s\n' | sort
find docker-workshop -type f | sort | xargs sha256sum
sha256sum /etc/systemd/system/docker-workshop.service
systemctl is-enabled docker postgresql docker-workshop
systemctl is-active docker postgresql docker-workshop
id -nG vagrant | tr ' ' '\n' | sort
dpkg-query -W -f '${Package} ${Version} ${db:Status-Abbrev}\n'
cd /
hba=$(sudo -u postgres psql -qAtc 'SHOW hba_file')
sudo sha256sum "$hba"
sudo -u postgres psql -qAtc 'SHOW listen_addresses' \
  -c "SELECT rolname, rolsuper, rolcanlogin FROM pg_roles WHERE rolname = 'dockerworkshop'"
sudo -u postgres pg_dump --schema-only dockerworkshop | grep -v -e '^\\' -e '^--'
sudo -u postgres psql -qAt -d dockerworkshop -c 'SELECT id, payload FROM call ORDER BY id'
sudo find / -xdev -name '*dwenv-new*' -o -xdev -name '*.orig-*'
sudo cat /run/dwenv.lock
"#;

/// Stands for a secret; nothing may ever show it.
const CANARY: &str = "canary-of-a-run-that-is-cut";

/// Where the secret is, and that it is nowhere else.
const SECRETS: &str = r#"
sudo stat -c '%n %a %U' /etc/dwenv/postgres-password
sudo cat /etc/dwenv/postgres-password
printf 'can%s\n' ary-of-a-run | sudo grep -rlFs -f - --devices=skip --exclude-dir=proc --exclude-dir=sys \
  --exclude-dir=credentials / | sort
"#;

/// The steps of a plan after [`RESET`], by how the lines begin that say that they begin.
const STEPS: &[&str] = &[
    "Add vagrant to the group docker",
    "Let the laptop and the containers in",
    "Create the role",
    "Create the tables",
    "Write server.py",
    "Write and start docker-workshop.service",
];

/// The link to the box, and how dwenv is told to take it.
struct Link {
    cutter: Cutter,
    target: String,
    identity: String,
}

impl Link {
    fn to(it: &Workbox) -> Self {
        let cutter = Cutter::before((it.address(), 22).into());
        Self {
            target: format!("ssh://vagrant@127.0.0.1:{}", cutter.port),
            identity: it.machine().identity.display().to_string(),
            cutter,
        }
    }

    fn provision(&self) -> Vec<&str> {
        let target = ["--target", &self.target, "--identity", &self.identity];
        [&["provision", "--yes"], &target[..]].concat()
    }
}

#[test]
fn a_run_that_is_cut_or_killed_at_any_step_makes_the_same_box() {
    let it = Workbox::provisioned(Suite::Trixie);
    let uncut = it.run(STATE);
    let link = Link::to(&it);
    it.run(RESET);
    let planned = planned(&it);
    assert_eq!(planned.len(), STEPS.len());
    for step in STEPS {
        // The link is opened again, and the run is heard to its end.
        it.run(RESET);
        let ndjson = ["--format", "ndjson"];
        let mut run = it.start(&[&link.provision(), &ndjson[..]].concat());
        run.await_that(step, |run| run.told_so_far().contains(step));
        link.cutter.cut();
        let ran = run.wait();
        ran.exit(0).says("The link to the box is lost");
        for event in ["step_started", "step_finished"] {
            assert_eq!(told(&ran.out, event), planned, "cut at: {step}");
        }
        assert_eq!(it.run(STATE), uncut, "cut at: {step}");

        // Without its laptop the run ends by itself, and the next one waits for it.
        it.run(RESET);
        let mut run = it.start(&["provision", "--yes", "--target", "sandbox"]);
        run.await_said(step);
        run.kill();
        it.provision().exit(0);
        assert_eq!(it.run(STATE), uncut, "killed at: {step}");
    }

    // Nor is there a next one needed.
    it.run(RESET);
    let mut run = it.start(&["provision", "--yes", "--target", "sandbox"]);
    run.await_said(STEPS[2]);
    run.kill();
    assert_eq!(it.run("sudo stat -c '%a %U' /run/dwenv"), "700 root");
    it.await_in_box("[ -z \"$(sudo cat /run/dwenv.lock)\" ]");
    assert_eq!(it.run(STATE), uncut, "left alone");
    it.provision().exit(0).says("Nothing to do");

    // Whoever does not wait for the link is told that the box goes on.
    it.run(RESET);
    let mut run = it.start(&link.provision());
    run.await_said(STEPS[2]);
    link.cutter.cut_for_good();
    run.await_said("The link to the box is lost");
    run.interrupt();
    run.wait()
        .exit(5)
        .says("the link to the box was lost and not opened again")
        .says("The box goes on alone");
    it.provision().exit(0);
    assert_eq!(it.run(STATE), uncut, "given up");
}

/// Nothing comes and nothing is closed: the silence tells that the link is lost. The run's end is heard all the same,
/// though another run has begun there since.
#[test]
fn a_laptop_that_heard_nothing_for_a_while_hears_the_end() {
    let it = Workbox::provisioned(Suite::Trixie);
    let link = Link::to(&it);
    it.run(RESET);
    let mut run = it.start(&link.provision());
    run.await_said(STEPS[2]);
    link.cutter.hold();
    it.await_in_box("[ -z \"$(sudo cat /run/dwenv.lock)\" ]");
    it.run("sudo gpasswd -d vagrant docker");
    it.provision().exit(0).says("1 change made");
    run.await_said("The link to the box is lost");
    link.cutter.release();
    run.wait().exit(0).says("6 changes made");
}

/// The steps of which a stream of events tells this, in its order.
fn told(events: &str, event: &str) -> Vec<String> {
    let events = events.lines().map(|line| -> Value {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
    });
    let wanted = events.filter(|it| it["event"] == event);
    let steps = wanted.map(|it| it["step"].as_str().expect("a step").to_owned());
    steps.collect()
}

/// What a network and a table that lacks a column leave in a box, in words that do not depend on when.
const SETTINGS: &str = r#"
cd /
sudo find etc usr/local/share/ca-certificates -type f -not -name '*.orig-*' -exec sha256sum {} + | sort -k 2
sudo find etc/apt etc/docker etc/dwenv etc/profile.d etc/systemd -printf '%p %m %u\n' | sort
systemctl is-active docker postgresql docker-workshop
docker info -f '{{range .RegistryConfig.Mirrors}}{{.}} {{end}}{{.HTTPProxy}}'
sudo -u postgres psql -qAt -d dockerworkshop -c '\d call' -c 'SELECT id, payload FROM call ORDER BY id'
sudo find / -xdev -name '*dwenv-new*'
sudo cat /run/dwenv.lock
"#;

/// Takes a column away: a plan then mends the table.
const LOSE_COLUMN: &str = "cd /; sudo -u postgres psql -q -d dockerworkshop -c 'ALTER TABLE call DROP COLUMN IF EXISTS created_at'";

#[test]
fn the_settings_of_a_network_come_and_go_as_a_whole_wherever_a_run_is_cut() {
    let it = Workbox::provisioned(Suite::Trixie);
    it.run("sudo apt-get -qq update; sudo apt-get -qqy install ca-certificates >/dev/null 2>&1");
    let host = it.lab().address(1);
    let proxy = Proxy::start(host, "anna:word", Vec::new());
    let (key, certificate) = (it.folder().join("ca.key"), it.folder().join("venue.crt"));
    let (key, certificate) = (key.display().to_string(), certificate.display().to_string());
    run(
        "openssl",
        &[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=Made for a test",
            "-keyout",
            &key,
            "-out",
            &certificate,
        ],
    );
    let network = format!(
        "[network]\nproxy = \"http://anna:word@{}\"\nno_proxy = [\"{host}\"]\n\
         ca_certificates = [\"venue.crt\"]\napt_mirror = \"http://mirror.example\"\n\
         registry_mirrors = [\"https://mirror.example\"]\n",
        proxy.place()
    );
    let link = Link::to(&it);
    let provision = |declared: &str| {
        it.declare(declared);
        it.run(LOSE_COLUMN);
        it.provision().exit(0);
        it.run(SETTINGS)
    };
    provision("");
    let with = provision(&network);
    let without = provision("");
    assert_ne!(with, without);
    // There and back again: where the one way has no further step, it is gone without a cut.
    let (mut cuts, mut further) = (0, true);
    for step in 0.. {
        if !std::mem::take(&mut further) {
            break;
        }
        for (declared, expected) in [(&network[..], &with), ("", &without)] {
            it.declare(declared);
            it.run(LOSE_COLUMN);
            let steps = planned(&it);
            further |= steps.len() > step + 1;
            let Some(title) = steps.get(step) else {
                it.provision().exit(0);
                continue;
            };
            let mut run = it.start(&link.provision());
            run.await_said(&begins(title));
            // By turns: the run goes on without its laptop, or ends in the middle of the step.
            if (step + usize::from(declared.is_empty())).is_multiple_of(2) {
                link.cutter.cut();
                run.wait().exit(0).says("The link to the box is lost");
            } else {
                it.lab().cut_power();
                run.kill();
                it.start_machine();
                it.provision().exit(0);
            }
            assert_eq!(&it.run(SETTINGS), expected, "cut at: {title}");
            cuts += 1;
        }
    }
    assert!(cuts > 6, "{cuts} steps");
}

/// The steps of the plan.
fn planned(it: &Workbox) -> Vec<String> {
    let title = |change: &Value| change["title"].as_str().expect("a title").to_owned();
    it.planned().iter().map(title).collect()
}

/// How the line begins that says that a step begins: the rest may stand in the next one.
fn begins(title: &str) -> String {
    title.chars().take(40).collect()
}

#[test]
fn a_box_that_is_switched_off_at_any_step_becomes_the_same_box() {
    let it = Workbox::provisioned(Suite::Trixie);
    let uncut = it.run(STATE);
    for step in STEPS {
        it.run(RESET);
        let mut run = it.start(&["provision", "--yes", "--target", "sandbox"]);
        run.await_said(step);
        it.lab().cut_power();
        run.kill();
        it.start_machine();
        it.provision().exit(0);
        assert_eq!(it.run(STATE), uncut, "switched off at: {step}");
    }

    // A laptop that is still there when the box is back hears that the run is not.
    it.run(RESET);
    let mut run = it.start(&["provision", "--yes", "--target", "sandbox"]);
    run.await_said(STEPS[1]);
    it.lab().cut_power();
    it.start_machine();
    run.wait()
        .exit(5)
        .says("nothing more is known of the run")
        .says("the box was restarted");
    it.provision().exit(0);
    assert_eq!(it.run(STATE), uncut, "switched off before its laptop");
    assert_eq!(it.rows(), [(1, "Hello World".to_owned())]);
}

/// A step that needs a secret waits for the laptop: at its edge, where the box is as it was before.
#[test]
fn a_run_that_waits_for_a_secret_is_cut_as_any_other() {
    let mut it = Workbox::stocked(Suite::Trixie);
    it.variable("DWENV_TEST_PASSWORD", CANARY);
    it.declare("[postgres]\npassword = { env = \"DWENV_TEST_PASSWORD\" }\n");
    it.up().exit(0);
    let state = format!("{STATE}\n{SECRETS}");
    let reset = format!("{RESET}\nsudo rm -f /etc/dwenv/postgres-password");
    let uncut = it.run(&state);
    let link = Link::to(&it);
    let step = "Write and start docker-workshop.service";

    it.run(&reset);
    let mut run = it.start(&link.provision());
    run.await_said(step);
    link.cutter.cut();
    run.wait()
        .exit(0)
        .says("The link to the box is lost")
        .never_says("canary");
    assert_eq!(it.run(&state), uncut, "cut");

    // Nobody has the secret for a run that lost its laptop: it ends, and what it left is no secret.
    it.run(&reset);
    let mut run = it.start(&["provision", "--yes", "--target", "sandbox"]);
    run.await_said("Write server.py");
    run.kill();
    // The run that holds the box, among those that have ended.
    it.await_in_box(
        "sudo sh -c 'grep -qs \"Write and start\" \"/run/dwenv/$(sed -n 2p /run/dwenv.lock)/current\"'",
    );
    it.provision().exit(0).never_says("canary");
    assert_eq!(it.run(&state), uncut, "killed");

    it.run(&reset);
    let mut run = it.start(&["provision", "--yes", "--target", "sandbox"]);
    run.await_said(step);
    it.lab().cut_power();
    run.kill();
    it.start_machine();
    it.provision().exit(0).never_says("canary");
    assert_eq!(it.run(&state), uncut, "switched off");
    assert_eq!(it.rows(), [(1, "Hello World".to_owned())]);
}

#[test]
fn a_link_that_is_cut_at_any_byte_never_makes_a_success_of_half_a_run() {
    let it = Workbox::provisioned(Suite::Trixie);
    let uncut = it.run(STATE);
    let link = Link::to(&it);
    it.run(RESET);
    it.dwenv(&link.provision()).exit(0);
    let whole = link.cutter.passed();
    for seed in 0..seeds() {
        it.run(RESET);
        let at = random(seed) % whole;
        link.cutter.cut_after(at);
        let ran = it.dwenv(&link.provision());
        let first = it.run(STATE);
        let what = format!("cut after {at} of {whole} bytes");
        if ran.succeeded() {
            assert_eq!(first, uncut, "{what}, and called a success");
        } else {
            it.dwenv(&link.provision()).exit(0);
            assert_eq!(it.run(STATE), uncut, "{what}, and run again");
        }
    }
}

/// How many places are cut.
pub fn seeds() -> u64 {
    let wanted = std::env::var("DWENV_CUT_SEEDS");
    wanted.map_or(20, |number| number.parse().expect("a number"))
}

/// The same for the same seed and day: xorshift, well mixed.
pub fn random(seed: u64) -> i64 {
    let day = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() / 86_400);
    let mut x = (day << 20 | seed).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    for _ in 0..8 {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    (x >> 1) as i64
}
