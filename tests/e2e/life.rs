//! From a bare machine to a box that doctor proves ready, and to its end.

use dwenv::target::sandbox::Suite;

use crate::support::{assert_host_is_clean, names_in, timed};
use crate::workbox::Workbox;

#[test]
fn one_command_makes_a_debian_13_ready() {
    a_life(Suite::Trixie);
}

#[test]
fn one_command_makes_a_debian_12_ready() {
    a_life(Suite::Bookworm);
}

fn a_life(suite: Suite) {
    let it = Workbox::declared(suite);
    assert_eq!(names_in(&it.folder()), ["config.toml"]);

    // A bare machine, and the address at the end.
    let first = it.up();
    let address = format!(
        "The workshop's server answers at http://{}:8080",
        it.address()
    );
    first.exit(0).says("Ready for the workshop.");
    assert_eq!(first.out.lines().last(), Some(address.as_str()));

    // The server works, seen from here.
    assert_eq!(it.rows(), [(1, "Hello World".to_owned())]);
    let rows = it.post("Привет, it's \"me\"; DROP TABLE call");
    assert_eq!(rows.len(), 2);
    assert_eq!(it.rows(), rows);

    // A second time there is nothing to do.
    let again = it.up();
    again.exit(0).says("Nothing to do: the box is as declared.");
    assert_eq!(again.out.lines().last(), Some(address.as_str()));
    it.doctor().ready();
    it.dwenv(&["provision", "--plan"])
        .exit(0)
        .says("Nothing to do");
    let again = it.dwenv(&["provision", "--yes", "--format", "json"]);
    assert_eq!(
        again.exit(0).json()["changes"].as_array().map(Vec::len),
        Some(0)
    );

    // One handshake and one exec, whatever is asked.
    it.dwenv(&["doctor", "-v"])
        .exit(0)
        .says("sandbox: handshakes 1, execs 1, tunnels");
    it.dwenv(&["provision", "-v"])
        .exit(0)
        .says("sandbox: handshakes 1, execs 1, tunnels");

    // The tutorial's files are good for the Compose that this release has.
    let compose = match suite {
        Suite::Trixie => "docker compose",
        Suite::Bookworm => "docker-compose",
    };
    it.run(&format!("cd ~/docker-workshop && {compose} config --quiet"));

    // The box is stopped, and comes back as it was.
    it.dwenv(&["down"]).exit(0).says("sandbox is stopped");
    it.doctor().exit(3).says("dwenv up --target sandbox");
    let back = timed("up of a stopped box", || it.up());
    back.exit(0).says("Nothing to do: the box is as declared.");
    it.doctor().ready();
    assert_eq!(it.rows(), rows);

    // It starts anew by itself, and all that it needs begins with it.
    it.reboot();
    let began = it.dwenv(&["doctor", "--wait", "60s", "--format", "json"]);
    began.ready();
    assert_eq!(it.rows(), rows);

    // A command in the box, with its own outcome.
    let who = it.dwenv(&["ssh", "--", "whoami"]);
    assert_eq!(who.exit(0).out, "vagrant\n");
    it.dwenv(&["ssh", "--", "sh", "-c", "echo \"it's\"; exit 7"])
        .exit(7)
        .says("it's");
    it.dwenv(&["targets"])
        .exit(0)
        .says("sandbox:docker-workshop (default)")
        .says("running");

    // The end of it.
    it.dwenv(&["destroy"])
        .exit(2)
        .says("nobody is there to say yes");
    it.rows();
    it.dwenv(&["destroy", "--yes"])
        .exit(0)
        .says("sandbox is removed");
    assert_host_is_clean(it.lab());
    assert_eq!(names_in(&it.lab().folder().join("machines")), [""; 0]);
}
