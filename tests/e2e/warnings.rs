//! A change that serves a warning alone holds nothing else up.

use dwenv::target::sandbox::Suite;

use crate::workbox::Workbox;

#[test]
fn a_change_for_a_warning_that_fails_lets_the_others_be_made() {
    let it = Workbox::provisioned(Suite::Trixie);
    // Docker's network shall move, and the daemon is called with its place: it would not start with both.
    it.run(
        "echo DOCKER_OPTS=--bip=172.17.0.1/16 | sudo tee -a /etc/default/docker; sudo systemctl restart docker
        sudo ip route add 172.16.0.0/12 dev host0",
    );
    it.run("sudo systemctl disable -q --now docker-workshop");
    let ran = it.provision_as_json();
    ran.exit(1);
    let document = ran.json();
    let changes = document["changes"].as_array().expect("changes");
    let became: Vec<(&str, &str)> = changes
        .iter()
        .map(|change| {
            let text = |value: &'static str| change["checks"][0].as_str().expect(value);
            (
                text("a check"),
                change["status"]["state"].as_str().expect("a state"),
            )
        })
        .collect();
    assert_eq!(
        became,
        [
            ("box.docker.subnets", "failed"),
            ("box.server.unit", "done")
        ],
        "{document:#}"
    );
    assert_eq!(document["remaining"], serde_json::json!([]));
    let reason = changes[0]["status"]["reason"].as_str().expect("a reason");
    assert!(reason.contains("bip"), "{reason}");
    // What runs goes on, by what stood there before.
    it.run("sudo docker version && [ ! -e /etc/docker/daemon.json ]");
    let seen = it.doctor();
    assert_eq!(seen.exit(0).check("box.docker.subnets").status, "warn");
}
