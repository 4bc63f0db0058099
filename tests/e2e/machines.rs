//! Machines that dwenv did not make, reached by `ssh://`.

use dwenv::target::sandbox::Suite;

use crate::support::run;
use crate::workbox::{Workbox, assert_untouched};

/// Makes users who log in with the key `identity` of the test's home.
fn with_users(it: &Workbox) -> String {
    let identity = it.home().join("key").display().to_string();
    run(
        "ssh-keygen",
        &["-q", "-t", "ed25519", "-N", "", "-f", &identity],
    );
    let public = run("cat", &[&format!("{identity}.pub")]);
    it.run(&format!(
        "set -e
        for user in attendee guest; do sudo useradd -m -s /bin/bash $user; done
        for home in /home/attendee /home/guest /root; do
          owner=$(stat -c %U $home)
          sudo install -d -m 700 -o $owner $home/.ssh
          echo '{}' | sudo tee $home/.ssh/authorized_keys >/dev/null
          sudo chown $owner $home/.ssh/authorized_keys
        done
        echo 'attendee ALL=(ALL) NOPASSWD: ALL' | sudo tee /etc/sudoers.d/attendee >/dev/null
        printf 'echo Welcome to this machine!\\necho oops >&2\\n' | sudo tee -a /home/attendee/.profile \
          | sudo tee /home/attendee/.bashrc >/dev/null
        printf 'Port 22\\nPort 2222\\n' | sudo tee /etc/ssh/sshd_config.d/ports.conf >/dev/null
        sudo systemctl restart ssh",
        public.trim_end()
    ));
    identity
}

#[test]
fn another_user_another_port_root_and_nobody() {
    let it = Workbox::stocked(Suite::Trixie);
    let identity = with_users(&it);
    let at = |user: &str, port: u16| format!("ssh://{user}@{}:{port}", it.address());
    let dwenv = |command: &[&str], target: &str| {
        it.dwenv(&[command, &["--target", target, "--identity", &identity]].concat())
    };

    // A user who cannot become root is told so before anything is changed.
    let guest = at("guest", 2222);
    let before = it.fingerprint();
    let seen = dwenv(&["doctor", "--format", "json"], &guest);
    assert_eq!(seen.exit(1).check("box.sudo").status, "fail");
    assert!(seen.says("First contact with").err.contains("known_hosts"));
    dwenv(&["provision", "--yes"], &guest)
        .exit(1)
        .says("guest cannot become root, so nothing can be changed");
    dwenv(&["up", "--yes"], &guest).exit(1).says("[box.sudo]");
    assert_untouched(&before, &it.fingerprint());

    // A user by another name, who has sudo and a shell that talks, at another port.
    let attendee = at("attendee", 2222);
    let up = dwenv(&["up", "--yes"], &attendee);
    up.exit(0).says("Ready for the workshop.");
    up.says(&format!(
        "The workshop's server answers at http://{}:8080",
        it.address()
    ));
    assert_eq!(
        it.run("systemctl show --value -p User docker-workshop"),
        "attendee"
    );
    assert_eq!(it.run("id -nG attendee"), "attendee docker");
    dwenv(&["doctor", "--format", "json"], &attendee)
        .ready()
        .never_says("First contact");
    dwenv(&["provision", "-v"], &attendee)
        .exit(0)
        .says("Nothing to do: the box is as declared.")
        .says("handshakes 1, execs 1, tunnels");
    let rows = it.post("A row of an attendee");
    it.dwenv(&["doctor"])
        .exit(3)
        .says("refused the login of attendee");
    it.dwenv(&["ssh", "--identity", &identity, "--", "sh", "-c", "id -un"])
        .exit(0)
        .says("attendee");
    it.dwenv(&["down", "--identity", &identity])
        .exit(2)
        .says("a machine that dwenv did not make, so it does not stop it");
    it.dwenv(&["destroy", "--yes"])
        .exit(2)
        .says("does not remove it");

    // Root needs no sudo, and none is there.
    let root = at("root", 22);
    let ssh_as_root = format!(
        "ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -i {identity} root@{}",
        it.address()
    );
    let as_root = |command: &str| {
        run(
            "sh",
            &[
                "-c",
                &format!("{ssh_as_root} {}", dwenv::quote::sh(command)),
            ],
        )
    };
    as_root("mv /usr/bin/sudo /usr/bin/sudo.away");
    dwenv(&["doctor", "--format", "json"], &attendee)
        .exit(1)
        .says("cannot become root");
    dwenv(&["up", "--yes"], &root)
        .exit(0)
        .says("Ready for the workshop.");
    dwenv(&["doctor", "--format", "json"], &root).ready();
    assert_eq!(
        as_root("systemctl show --value -p User docker-workshop"),
        "root\n"
    );
    assert_eq!(it.rows(), rows);
}

#[test]
fn another_system_is_left_alone() {
    let it = Workbox::bare(Suite::Trixie);
    it.run(
        "sudo rm /etc/os-release && printf 'ID=fedora\\nVERSION_ID=42\\nPRETTY_NAME=\"Fedora Linux 42\"\\n' \
         | sudo tee /etc/os-release >/dev/null",
    );
    let before = it.fingerprint();
    let seen = it.doctor();
    assert_eq!(
        seen.exit(1).check("box.os").summary,
        "The box runs Fedora Linux 42"
    );
    assert_eq!(
        seen.check("box.docker.package").because.as_deref(),
        Some("box.os")
    );
    it.provision()
        .exit(1)
        .says("Fedora Linux 42 is not a system that dwenv can provision");
    it.up().exit(1).says("[box.os]");
    assert_untouched(&before, &it.fingerprint());
}
