//! Targets, and boxes that cannot be reached.

use std::net::TcpListener;

use insta::assert_snapshot;

use super::place::Place;

/// A port of this machine where nobody listens.
fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn targets_that_are_none() {
    let place = Place::new();
    let mut said = String::new();
    for target in [
        "room-1",
        "ftp://box",
        "vagrnt",
        "admin@box",
        "ssh://",
        "ssh://a:b@box",
        "'ssh://box'",
    ] {
        let ran = place.dwenv(&format!("doctor --target {target}")).ended(2);
        assert_eq!(ran.out, "");
        said += &ran.err;
    }
    assert_snapshot!(said, @r#"
        error: there is no target `room-1`
          hint: Declare it: `[target.room-1]` with `host = …` in config.toml
          hint: Or give its address: `ssh://USER@room-1`
        error: `ftp://` is no kind of target
          hint: A target is `vagrant`, `vagrant:MACHINE`, `sandbox`, `sandbox:NAME`,
                `ssh://USER@HOST:PORT`, or a name from `[target.NAME]` or
                `~/.ssh/config`
        error: there is no target `vagrnt`
          hint: Did you mean `vagrant`?
        error: `admin@box` is no target
          hint: For a machine that SSH reaches, write `ssh://admin@box`
        error: there is no host in the target `ssh://`
          hint: Write `ssh://USER@HOST:PORT`; user and port may be left out
        error: a password stands in the target
          hint: Leave it out: a target is seen by everybody who lists processes
          hint: dwenv logs in with keys, or asks
        error: the target `\'ssh://box\'` begins with a quote
          hint: This terminal passes quotes on: leave them out
        "#);
}

#[test]
fn a_closed_port() {
    let place = Place::new();
    let port = closed_port();
    let target = format!("ssh://admin@127.0.0.1:{port}");
    let without_port =
        |ran: &dyn std::fmt::Display| ran.to_string().replace(&port.to_string(), "PORT");
    let doctor = place.dwenv(&format!("doctor --target {target}")).ended(3);
    assert_snapshot!(without_port(&doctor), @r#"
        ? unknown: The box answers over SSH [box.ssh]
            ssh://admin@127.0.0.1:PORT refuses connections: nothing listens on port
            PORT: 127.0.0.1:PORT: Connection refused (os error 111)
          → Check the port, and that the SSH server runs there; a machine that is still
            starting refuses connections until it does
            40 checks skipped because of box.ssh

        41 checks: 1 unknown, 40 skip
        Could not tell: 1 check has no answer, start with [box.ssh] above.
        [exit 3]
        "#);
    let provision = place
        .dwenv(&format!("provision --target {target}"))
        .ended(3);
    assert_snapshot!(without_port(&provision), @r#"
        --- stderr ---
        error: ssh://admin@127.0.0.1:PORT refuses connections: nothing listens on port
               PORT
          cause: 127.0.0.1:PORT: Connection refused (os error 111)
          hint: Check the port, and that the SSH server runs there; a machine that is
                still starting refuses connections until it does
        [exit 3]
        "#);
    let up = place.dwenv(&format!("up --target {target}")).ended(3);
    assert_eq!(up.out, "");
}

#[test]
fn a_closed_port_as_a_document() {
    let place = Place::new();
    let target = format!("ssh://admin@127.0.0.1:{}", closed_port());
    let report = place
        .dwenv(&format!("doctor --format json --target {target}"))
        .ended(3)
        .document();
    assert_eq!(report["target"], target.as_str());
    assert_eq!(report["counts"]["unknown"], 1);
    assert_eq!(report["counts"]["fail"], 0);
    assert_eq!(report["checks"][0]["id"], "box.ssh");
    let ran = place
        .dwenv(&format!("provision --yes --format=json --target {target}"))
        .ended(3);
    assert_eq!(ran.document()["error"]["kind"], "unreachable");
}

#[test]
fn several_targets_are_one_document() {
    let place = Place::new();
    let one = format!("ssh://admin@127.0.0.1:{}", closed_port());
    let ran = place.dwenv(&format!(
        "doctor --target {one} --target vagrant --format json"
    ));
    let report = ran.ended(1).document();
    assert_eq!(report["ready"], false);
    assert_eq!(report["targets"][0]["target"], one.as_str());
    assert_eq!(report["targets"][1]["target"], "vagrant");
    let ran = place
        .dwenv(&format!("down --target {one} --target vagrant"))
        .ended(2);
    assert_snapshot!(ran, @r#"
        --- stderr ---
        error: this command works on one box, and 2 are named
          hint: Name one of them with `--target`
        [exit 2]
        "#);
}

#[test]
fn what_destroys_asks_first() {
    assert_snapshot!(Place::new().dwenv("destroy --target sandbox").ended(2), @r#"
        --- stderr ---
        error: nobody is there to say yes, so nothing was changed in the box
          hint: Add `--yes` to have it done without a question
        [exit 2]
        "#);
}
