//! A change that serves a warning alone holds nothing else up.

use dwenv::target::sandbox::Suite;

use crate::workbox::Workbox;

#[test]
fn a_change_for_a_warning_that_fails_lets_the_others_be_made() {
    let it = Workbox::provisioned(Suite::Trixie);
    // Docker would not start with it, which only a diagnosis sees: so its restart is refused.
    it.run(
        "sudo mkdir -p /etc/docker; echo '{\"debugg\": true}' | sudo tee /etc/docker/daemon.json",
    );
    it.run("sudo systemctl disable -q --now docker-workshop");
    let ran = it.dwenv(&[
        "provision",
        "--yes",
        "--format",
        "json",
        "--target",
        "sandbox",
    ]);
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
        [("box.docker.daemon", "failed"), ("box.server.unit", "done")],
        "{document:#}"
    );
    assert_eq!(document["remaining"], serde_json::json!([]));
    let reason = changes[0]["status"]["reason"].as_str().expect("a reason");
    assert!(reason.contains("debugg"), "{reason}");
    // What runs goes on, by what stood there before.
    it.run("sudo docker version");
    let seen = it.doctor();
    assert_eq!(seen.exit(0).check("box.docker.daemon").status, "warn");
}
