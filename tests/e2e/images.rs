//! Images, from a registry that is real.

use dwenv::target::sandbox::{Running, Suite};

use serde_json::Value;

use crate::cutter::Cutter;
use crate::support::{said, timed};
use crate::workbox::Workbox;

#[test]
fn images_are_pulled_and_a_missing_one_is_told_in_the_registrys_words() {
    let it = Workbox::provisioned(Suite::Trixie);

    // Debian's registry, in a machine beside the box.
    let registry = it.lab().up(&it.lab().spec("registry", 20));
    timed("the registry", || {
        said(
            &registry,
            "sudo apt-get update -qq && sudo DEBIAN_FRONTEND=noninteractive apt-get install -qqy \
             --no-install-recommends docker-registry >/dev/null 2>&1 && \
             printf 'version: 0.1\\nstorage: {filesystem: {rootdirectory: /var/lib/docker-registry}}\\nhttp: {addr: \":5000\"}\\n' \
             | sudo tee /etc/docker/registry/config.yml >/dev/null && sudo systemctl restart docker-registry && \
             timeout 30 sh -c 'until ss -Hltn \"sport = :5000\" | grep -q .; do sleep 0.1; done'",
        )
    });
    let place = format!("{}:5000", registry.spec.address);

    // It speaks no TLS, which Docker takes only from those it was told of. The image is one static program
    // and a few megabytes that no compression makes smaller.
    it.run(&format!(
        "set -e
        echo '{{\"insecure-registries\": [\"{place}\"]}}' | sudo tee /etc/docker/daemon.json >/dev/null
        sudo systemctl restart docker
        sudo DEBIAN_FRONTEND=noninteractive apt-get install -qqy busybox-static >/dev/null 2>&1
        head -c 5000000 /dev/urandom | sudo tee /opt/ballast >/dev/null
        sudo tar -C / -c usr/bin/busybox opt/ballast | docker import - {place}/dw-hello:1 >/dev/null
        docker tag {place}/dw-hello:1 {place}/dw-hello:latest
        docker push -q {place}/dw-hello:1 >/dev/null
        docker push -q {place}/dw-hello:latest >/dev/null
        docker rmi -f {place}/dw-hello:1 {place}/dw-hello:latest >/dev/null"
    ));

    // What is not declared is not missed.
    it.doctor().ready();
    it.declare(&format!(
        "[docker]\nimages = [\"{place}/dw-hello:1\", \"{place}/dw-hello\"]\n"
    ));
    let seen = it.doctor();
    seen.fails("box.docker.images");
    assert_eq!(
        seen.check("box.docker.images").summary,
        format!("Not in the box: {place}/dw-hello:1, {place}/dw-hello")
    );
    let pulled = it.dwenv(&["provision", "--yes", "--format", "ndjson"]);
    pulled
        .exit(0)
        .says(&format!("\"Pull {place}/dw-hello:1\""))
        .says(&format!("\"Pull {place}/dw-hello\""));
    assert_told_as_it_came(&pulled.out, &format!("{place}/dw-hello:1: "));
    it.doctor().ready();
    it.provision().exit(0).says("Nothing to do");
    let said = it.run(&format!(
        "docker run --rm {place}/dw-hello:1 /usr/bin/busybox echo hello"
    ));
    assert_eq!(said, "hello");

    a_pull_outlives_its_link(&it, &registry, &place);
    a_pull_outlives_its_laptop(&it, &registry, &place);
    a_pull_is_stopped_behind_its_image_or_at_once(&it, &registry, &place);
    it.doctor().ready();

    // A container at the server's port is called by its name.
    it.run(&format!(
        "sudo systemctl stop docker-workshop && docker run -d --stop-signal KILL --name lunch -p 8080:80 {place}/dw-hello:1 \
         /usr/bin/busybox sleep 600 >/dev/null"
    ));
    let seen = it.doctor();
    seen.fails("box.port.8080");
    let check = seen.check("box.port.8080");
    assert_eq!(check.summary, "Port 8080 is held by the container lunch");
    it.provision()
        .exit(1)
        .says("is held by the container lunch");
    let stop = "docker stop lunch";
    assert_eq!(
        check.commands[0],
        format!("dwenv ssh --target sandbox -- {stop}")
    );
    it.run(stop);
    it.provision().exit(0);
    it.doctor().ready();

    // One that the registry does not have, and a registry that is not there.
    it.declare(&format!("[docker]\nimages = [\"{place}/absent:1\"]\n"));
    it.doctor().fails("box.docker.images");
    it.provision()
        .exit(1)
        .says(&format!("{place}/absent:1 could not be pulled"))
        .says("manifest unknown");
    it.declare(&format!(
        "[docker]\nimages = [\"{}:5001/dw-hello:1\"]\n",
        registry.spec.address
    ));
    it.provision().exit(1).says("connection refused");
    it.declare("");
    it.doctor().ready();
}

/// No image is there, and the registry keeps whoever pulls one waiting.
fn hold_pulls(it: &Workbox, registry: &Running, place: &str) {
    it.run(&format!(
        "docker rmi -f {place}/dw-hello:1 {place}/dw-hello >/dev/null 2>&1 || true"
    ));
    said(registry, "sudo systemctl kill -s STOP docker-registry");
}

fn let_pulls_go_on(registry: &Running) {
    said(registry, "sudo systemctl kill -s CONT docker-registry");
}

fn a_pull_outlives_its_link(it: &Workbox, registry: &Running, place: &str) {
    hold_pulls(it, registry, place);
    let cutter = Cutter::before((it.address(), 22).into());
    let target = format!("ssh://vagrant@127.0.0.1:{}", cutter.port);
    let identity = it.machine().identity.display().to_string();
    let link = ["--target", &target, "--identity", &identity];
    let mut run = it.start(&[&["provision", "--yes"], &link[..]].concat());
    run.await_said("Pull ");
    cutter.cut();
    run.await_said("The link to the box is lost");
    let_pulls_go_on(registry);
    run.wait().exit(0).says("2 changes made");
}

/// The box pulls on, and the next run waits for that.
fn a_pull_outlives_its_laptop(it: &Workbox, registry: &Running, place: &str) {
    hold_pulls(it, registry, place);
    let mut run = it.start(&["provision", "--yes"]);
    run.await_said("Pull ");
    run.kill();
    let mut next = it.start(&["provision", "--yes"]);
    next.await_said("An earlier run is still at work on this box, without its laptop");
    next.await_said(&format!("The other run: Pull {place}/dw-hello:1"));
    let_pulls_go_on(registry);
    next.wait().exit(0).says("Nothing to do");
}

/// The registry lets nothing through of the first image until the person has stopped the run.
fn a_pull_is_stopped_behind_its_image_or_at_once(it: &Workbox, registry: &Running, place: &str) {
    let hello = |tag: &str| format!("{place}/dw-hello:{tag}");
    let stopped = |times: usize| {
        hold_pulls(it, registry, place);
        let mut run = it.start(&["provision", "--yes"]);
        run.await_said("Pull ");
        it.await_in_box(&format!(
            "ss -Htn state established dst {place} | grep -q ."
        ));
        if times == 1 {
            run.interrupt();
            run.await_said("Stopping after this step");
            let_pulls_go_on(registry);
        } else {
            run.interrupt_twice();
        }
        let ran = run.wait();
        let_pulls_go_on(registry);
        ran
    };
    stopped(1)
        .exit(5)
        .says("the run has stopped; 1 of 2 changes were made");
    assert_eq!(
        it.doctor().check("box.docker.images").summary,
        format!("Not in the box: {place}/dw-hello")
    );
    stopped(2)
        .exit(5)
        .says(&format!("the run was ended during: Pull {}", hello("1")));
    it.provision().exit(0).says("2 changes made");
}

/// How much of the image was there was told while it came: never less than before, and all of it at the end.
#[track_caller]
fn assert_told_as_it_came(told: &str, image: &str) {
    let events = told.lines().map(|line| -> Value {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
    });
    let fractions: Vec<f64> = events
        .filter(|event| event["event"] == "step_progress")
        .filter(|event| {
            event["detail"]
                .as_str()
                .is_some_and(|it| it.starts_with(image))
        })
        .filter_map(|event| event["fraction"].as_f64())
        .collect();
    assert!(fractions.len() > 2, "{fractions:?}");
    assert!(fractions.is_sorted(), "{fractions:?}");
    assert_eq!(fractions.last(), Some(&1.0));
}
