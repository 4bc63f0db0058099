//! A port that somebody else holds.

use dwenv::target::sandbox::Suite;

use crate::workbox::{Workbox, assert_untouched};

#[test]
fn a_stranger_at_a_port_is_named_and_left_alone() {
    let it = Workbox::provisioned(Suite::Trixie);
    let rows = it.post("A row of an attendee");
    for (port, service) in [(8080, "docker-workshop"), (5432, "postgresql")] {
        it.run(&format!("sudo systemctl stop {service}"));
        let pid = stranger(&it, port);
        let check = format!("box.port.{port}");
        let holder = format!("Port {port} is held by python3 (pid {pid})");
        let seen = it.doctor();
        seen.fails(&check);
        assert_eq!(seen.check(&check).summary, holder);

        let before = it.fingerprint();
        let left = it.dwenv(&["provision", "--yes", "--format", "json"]);
        left.exit(1).says(&holder);
        assert_eq!(left.json()["changes"].as_array().map(Vec::len), Some(0));
        assert_untouched(&before, &it.fingerprint());
        assert_eq!(it.run("systemctl show --value -p MainPID stranger"), pid);

        // What the remedy says helps: to end the stranger, and to provision.
        let [end, provision] = &seen.check(&check).commands[..] else {
            panic!("{:?}", seen.check(&check));
        };
        let in_the_box = format!("sudo kill {pid}");
        assert_eq!(*end, typed_on_the_laptop(&in_the_box));
        assert_eq!(provision, "dwenv provision --target sandbox");
        it.run(&in_the_box);
        it.await_in_box("! systemctl is-active -q stranger");
        it.provision().exit(0);
        it.doctor().ready();
        assert_eq!(it.rows(), rows);
    }

    // PostgreSQL that started beside a stranger listens to IPv6 alone, until it is started again.
    it.run("sudo systemctl stop postgresql");
    let pid = stranger(&it, 5432);
    it.run("sudo systemctl start postgresql");
    it.doctor().fails("box.port.5432");
    it.run(&format!("sudo kill {pid}"));
    it.await_in_box("! systemctl is-active -q stranger");
    it.doctor()
        .fails("box.postgres.listen")
        .says("nobody listens on port 5432");
    it.provision().exit(0);
    it.doctor().ready();
    assert_eq!(it.rows(), rows);
}

fn typed_on_the_laptop(command: &str) -> String {
    format!("dwenv ssh --target sandbox -- {command}")
}

/// A web server at this port of the box, where nobody expects it; its pid.
fn stranger(it: &Workbox, port: u16) -> String {
    it.await_in_box(&format!("! ss -Hltn 'sport = :{port}' | grep -q ."));
    it.run(&format!(
        "sudo systemctl reset-failed stranger 2>/dev/null; \
         sudo systemd-run -q --unit=stranger python3 -m http.server --bind 0.0.0.0 {port}"
    ));
    it.await_in_box(&format!(
        "ss -Hltn 'sport = :{port}' | grep -qF 0.0.0.0:{port}"
    ));
    it.run("systemctl show --value -p MainPID stranger")
}
