//! The tutorial's containers: the workshop's Dockerfile and compose.yaml in the box, used as their comments say, with
//! images that come by their own names from a mirror of Docker Hub.

use std::fs;
use std::path::Path;

use dwenv::target::sandbox::Suite;

use crate::debian_root::debian_root;
use crate::support::{run, timed};
use crate::venue::Registry;
use crate::workbox::Workbox;

/// Debian 13, as the images stand on it: its Python and its PostgreSQL, without what neither of them needs.
const PACKAGES: &str = "python3,python3-pip,postgresql";
const LEFT_OUT: [&str; 7] = [
    "--dpkgopt=force-unsafe-io",
    "--dpkgopt=path-exclude=/usr/lib/*/libLLVM*",
    "--dpkgopt=path-exclude=/usr/lib/postgresql/*/lib/bitcode/*",
    "--dpkgopt=path-exclude=/usr/lib/postgresql/*/lib/llvmjit*",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--customize-hook=rm -r \"$1\"/var/lib/postgresql/17",
];

/// What a wheel for Debian 13's Python is called.
const WHEELS_FOR: [&str; 8] = [
    "--only-binary=:all:",
    "--python-version=3.13",
    "--implementation=cp",
    "--abi=cp313",
    "--abi=abi3",
    "--abi=none",
    "--platform=manylinux2014_x86_64",
    "--platform=any",
];

const FOLDER: &str = "cd ~/docker-workshop";

#[test]
fn the_tutorials_containers_run_on_both_debians() {
    // This base is made while another test makes the other one.
    let bookworm = Workbox::stocked(Suite::Bookworm);
    let trixie = Workbox::stocked(Suite::Trixie);
    let host = trixie.lab().address(1);
    let hub = Registry::start(host, 5443, &trixie.lab().folder().join("hub"));

    // The images are pulled by what needs them.
    behind(&trixie, &hub, "");
    trixie.up().exit(0);
    timed("the images", || fill(&hub, &trixie));
    timed("Debian 13", || tutorial(&trixie, "docker compose"));

    // The images are in the box before they are needed.
    let images = "[docker]\nimages = [\"python:3-slim\", \"postgres:17\"]\n";
    behind(&bookworm, &hub, images);
    bookworm
        .up()
        .exit(0)
        .says("Pull python:3-slim")
        .says("Pull postgres:17");
    timed("Debian 12", || tutorial(&bookworm, "docker-compose"));
}

/// Declares that images come from `hub`.
fn behind(it: &Workbox, hub: &Registry, more: &str) {
    fs::write(it.folder().join("venue.crt"), &hub.authority).expect("a certificate");
    it.declare(&format!(
        "[network]\nca_certificates = [\"venue.crt\"]\nregistry_mirrors = [\"https://{}\"]\n{more}",
        hub.place
    ));
}

/// Makes the images in the box and leaves them in `hub` alone.
fn fill(hub: &Registry, it: &Workbox) {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = it.root().join("var/tmp/images");
    let shown = folder.display().to_string();
    let from = project.join("tests/data/images").display().to_string();
    run("cp", &["-r", &from, &shown]);
    let root = debian_root("images", "trixie", PACKAGES, &LEFT_OUT);
    fs::copy(root, folder.join("root.tar")).expect("the root in the box");

    // What the requirements come to, from the package index that this computer's pip uses.
    let wheels = folder.join("python/wheels").display().to_string();
    let requirements = project.join("provision/requirements.txt");
    let requirements = requirements.display().to_string();
    let download = [
        "-m",
        "pip",
        "download",
        "-q",
        "-d",
        &wheels,
        "-r",
        &requirements,
    ];
    run("python3", &[&download[..], &WHEELS_FOR].concat());

    it.run(&format!(
        "set -e
        cd /var/tmp/images
        docker import root.tar dwenv-test-root >/dev/null
        for image in python:3-slim postgres:17; do
            docker build -q -t {place}/library/$image ${{image%:*}} >/dev/null
            docker push -q {place}/library/$image >/dev/null
            docker rmi {place}/library/$image >/dev/null
        done
        docker rmi dwenv-test-root >/dev/null
        docker builder prune -af >/dev/null
        [ -z \"$(docker images -q)\" ]
        sudo rm -r /var/tmp/images",
        place = hub.place
    ));
}

/// What an attendee does with the workshop's files, one step after the other.
fn tutorial(it: &Workbox, compose: &str) {
    it.doctor().ready();
    let before = it.post("from the service");

    // The server by hand: while the service holds the port it says so, and then it runs.
    let refused = it.run(&format!("{FOLDER}; python3 server.py 2>&1 && exit 9; true"));
    assert!(refused.starts_with("Port 8080 is in use."), "{refused}");
    let stop = "sudo systemctl stop docker-workshop";
    assert!(refused.ends_with(stop), "{refused}");
    it.run(stop);
    it.run(&format!(
        "{FOLDER}; setsid python3 server.py >/dev/null 2>~/by-hand.log </dev/null & echo $! >~/by-hand.pid"
    ));
    it.await_in_box("grep -q 'Listening on port 8080' ~/by-hand.log");
    assert_eq!(it.rows(), before);
    it.run("kill $(cat ~/by-hand.pid) && rm ~/by-hand.*");
    it.await_in_box("! ss -Hltn 'sport = :8080' | grep -q .");

    // The image, and its container with the box's own database. The source is not in it.
    for command in commands("provision/Dockerfile") {
        it.run(&format!(
            "{FOLDER} && {}",
            command.replace("run --rm", "run -d --name by-hand")
        ));
    }
    it.await_in_box("docker logs by-hand 2>&1 | grep -q 'Listening on port 8080'");
    assert_eq!(it.rows(), before);
    let before = it.post("from the container");
    it.run("docker rm -f by-hand");
    let inside = "docker run --rm docker-workshop-web ls -A /code";
    assert_eq!(it.run(inside), "");

    // Server and database, each in a container of its own.
    let comments = comments("provision/compose.yaml");
    let up = format!("{compose} up");
    assert!(
        comments.contains(stop) && comments.contains(&up),
        "{comments}"
    );
    let start = || {
        it.run(&format!("{FOLDER} && {up} -d 2>&1"));
        it.await_in_box(&format!(
            "(cd docker-workshop && {compose} logs web 2>&1) | grep -q 'Listening on port 8080'"
        ));
    };
    start();
    assert_eq!(it.rows(), [(1, "Hello World".to_owned())]);
    let theirs = it.post("from Compose, with a \"quote\" and Grüße");
    assert_eq!(theirs.len(), 2);

    // Whose port it is now, and that nobody takes it from them.
    let seen = it.doctor();
    seen.fails("box.port.8080");
    let held = seen.check("box.port.8080").summary;
    assert!(
        held.starts_with("Port 8080 is held by the container docker-workshop"),
        "{held}"
    );
    it.provision().exit(1).says(&held[8..]);
    assert_eq!(it.rows(), theirs);

    // The source is the attendee's own file: an edit, and a restart, as they would.
    it.run(&format!(
        "{FOLDER} && cp server.py ~/kept && sed -i 's/\"count\": len/\"edited\": True, \"count\": len/' server.py && \
         {compose} restart web 2>&1"
    ));
    it.await_in_box("python3 -c 'from urllib.request import urlopen; urlopen(\"http://localhost:8080\")' 2>/dev/null");
    let answer = "python3 -c 'from urllib.request import urlopen; print(urlopen(\"http://localhost:8080\").read().decode())'";
    assert!(it.run(answer).starts_with("{\"edited\": true"));
    it.run("mv ~/kept docker-workshop/server.py");

    // Another day: what was stored is there.
    it.run(&format!("{FOLDER} && {compose} down 2>&1"));
    start();
    assert_eq!(it.rows(), theirs);

    // The end of it, and the box as it was before.
    it.run(&format!("{FOLDER} && {compose} down -v 2>&1"));
    it.run("sudo systemctl start docker-workshop");
    it.await_in_box("ss -Hltn 'sport = :8080' | grep -q .");
    it.doctor().ready();
    assert_eq!(it.rows(), before);
    it.provision().exit(0).says("Nothing to do");
}

/// The comments at the head of one of the workshop's files.
fn comments(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = fs::read_to_string(path).expect("a file of the workshop");
    let head = text.lines().take_while(|line| line.starts_with('#'));
    head.collect::<Vec<_>>().join("\n")
}

/// The commands among them, which stand indented. A line that ends with \ goes on.
fn commands(file: &str) -> Vec<String> {
    let comments = comments(file).replace("\\\n#", "");
    let commands = comments
        .lines()
        .filter_map(|line| line.strip_prefix("#     "));
    commands.map(str::to_owned).collect()
}
