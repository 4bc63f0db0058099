//! Docker from Docker's own repository: one that the test makes, signs and serves.
//!
//! Its packages have the names, versions and conflicts of Docker's, and what is in them is the distribution's
//! Docker: the daemon that runs is real.

use std::fs;
use std::path::PathBuf;

use dwenv::target::sandbox::Suite;
use serde_json::Value;

use crate::support::{run, timed};
use crate::venue::WebServer;
use crate::workbox::Workbox;

const PORT: u16 = 8480;

/// Makes Docker's packages from the distribution's, in the box: only its archives have those of its release.
const MAKE_PACKAGES: &str = r#"set -eu
rm -rf /var/tmp/made; mkdir -p /var/tmp/made/from; cd /var/tmp/made/from
sudo apt-get update -qq
apt-get download -qq docker.io docker-cli docker-buildx docker-compose containerd runc
make() {
  name=$1 version=$2 fields=$3; shift 3
  for part; do dpkg-deb -x "$part"_*.deb "../$name"; done
  rm -rf "../$name/etc"; mkdir -p "../$name/DEBIAN"
  printf 'Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: The test <test@example.org>\n%b\nDescription: made for a test\n' \
    "$name" "$version" "$(dpkg --print-architecture)" "$fields" >"../$name/DEBIAN/control"
  if [ "$name" = docker-ce ]; then
    printf '#!/bin/sh\nset -e\ngetent group docker >/dev/null || groupadd --system docker\nsystemctl daemon-reload\nsystemctl enable -q --now docker.socket docker.service\n' >"../$name/DEBIAN/postinst"
    printf '#!/bin/sh\n[ "$1" != remove ] || systemctl disable -q --now docker.service docker.socket\n' >"../$name/DEBIAN/prerm"
    chmod 755 "../$name/DEBIAN/postinst" "../$name/DEBIAN/prerm"
  fi
  if [ "$name" = containerd.io ]; then
    printf '#!/bin/sh\nset -e\nsystemctl daemon-reload\nsystemctl enable -q --now containerd.service\n' >"../$name/DEBIAN/postinst"
    chmod 755 "../$name/DEBIAN/postinst"
  fi
  dpkg-deb --root-owner-group -Znone -b "../$name" "../${name}_$version.deb" >/dev/null
}
engine=$(dpkg-deb -f docker.io_*.deb Version); engine=${engine%%+*}
make docker-ce "5:$engine-1~debian.13~trixie" 'Depends: containerd.io, docker-ce-cli, iptables, libsystemd0, tini\nConflicts: docker.io\nReplaces: docker.io' docker.io
make docker-ce-cli "5:$engine-1~debian.13~trixie" 'Conflicts: docker-cli\nReplaces: docker-cli' docker-cli
make containerd.io 1.7.27-1 'Provides: containerd, runc\nConflicts: containerd, runc\nReplaces: containerd, runc\nDepends: libseccomp2' containerd runc
make docker-buildx-plugin 0.23.0-1~debian.13~trixie 'Conflicts: docker-buildx\nReplaces: docker-buildx' docker-buildx
make docker-compose-plugin 2.35.1-1~debian.13~trixie 'Conflicts: docker-compose\nReplaces: docker-compose' docker-compose
"#;

/// Makes the archive in the folder `$1` and signs it.
const MAKE_ARCHIVE: &str = r#"set -eu
cd "$1"
GNUPGHOME=$1/gnupg; export GNUPGHOME; mkdir -m 700 gnupg
gpg -q --batch --passphrase '' --quick-gen-key 'Made for a test' rsa3072 sign never
root=$1/served/linux/debian; dist=$root/dists/trixie
binary=stable/binary-$(dpkg --print-architecture); mkdir -p "$dist/$binary"
gpg -q --batch --armor --export >"$root/gpg"
cd "$root"
for deb in pool/*.deb; do
  dpkg-deb -f "$deb"
  printf 'Filename: %s\nSize: %s\nSHA256: %s\n\n' "$deb" "$(stat -c %s "$deb")" "$(sha256sum "$deb" | cut -d' ' -f1)"
done >"$dist/$binary/Packages"
cd "$dist"
{
  printf 'Origin: Docker\nSuite: trixie\nCodename: trixie\nArchitectures: amd64 arm64\nComponents: stable\nDate: %s\nSHA256:\n' "$(date -Ru)"
  printf ' %s %s %s\n' "$(sha256sum "$binary/Packages" | cut -d' ' -f1)" "$(stat -c %s "$binary/Packages")" "$binary/Packages"
} >Release
gpg -q --batch --clearsign -o InRelease Release
gpg --batch --with-colons --list-keys | sed -n 's/^fpr:*\([0-9A-F]*\):*$/\1/p'
gpgconf --kill all
"#;

/// The archive, served on the bridge.
struct Repository {
    fingerprint: String,
    url: String,
    server: WebServer,
}

impl Repository {
    /// Made with what `it` gets from its archives.
    fn made_in(it: &Workbox) -> Self {
        timed("the packages", || it.run(MAKE_PACKAGES));
        let folder = it.lab().folder().join("repository");
        let pool = folder.join("served/linux/debian/pool");
        fs::create_dir_all(&pool).expect("a folder");
        let made = it.root().join("var/tmp/made");
        for entry in fs::read_dir(made).expect("what was made") {
            let path: PathBuf = entry.expect("an entry").path();
            if path.extension().is_some_and(|it| it == "deb") {
                let name = path.file_name().expect("a name");
                fs::copy(&path, pool.join(name)).expect("a copy");
            }
        }
        it.run("rm -rf /var/tmp/made");
        let folder_text = folder.display().to_string();
        let fingerprint = timed("the archive", || {
            run("sh", &["-c", MAKE_ARCHIVE, "sh", &folder_text])
        });
        let address = it.lab().address(1);
        Self {
            fingerprint: fingerprint.trim().to_owned(),
            url: format!("http://{address}:{PORT}/linux"),
            server: WebServer::start(address, PORT, &folder.join("served")),
        }
    }

    fn declared(&self, fingerprint: &str) -> String {
        format!(
            "[docker]\nsource = \"docker\"\nrepository = \"{}\"\nkey_fingerprint = \"{fingerprint}\"\n",
            self.url
        )
    }
}

const FILES: &str = "sudo find /etc/apt /etc/docker -type f -exec sha256sum {} + | sort -k2";

#[test]
fn a_bare_box_gets_docker_from_dockers_repository() {
    let it = Workbox::bare(Suite::Trixie);
    let repository = Repository::made_in(&it);
    let url = &repository.url;

    // What an earlier workshop left: its list, without any key, and somebody's settings of the daemon.
    let list = format!("deb {url}/debian trixie stable");
    let settings = r#"{"log-opts": {"max-size": "7m"}}"#;
    it.run(&format!(
        "echo '{list}' | sudo tee /etc/apt/sources.list.d/docker.list >/dev/null; \
         sudo mkdir /etc/docker; echo '{settings}' | sudo tee /etc/docker/daemon.json >/dev/null"
    ));

    // A key that is not the declared one is told, and nothing trusts it.
    it.declare(&repository.declared(&"0123456789".repeat(4)));
    let before = it.run(FILES);
    it.provision()
        .exit(1)
        .says(&format!(
            "the key at {url}/debian/gpg has the fingerprint {}, not 0123456789",
            repository.fingerprint
        ))
        .says("it is not used");
    assert_eq!(it.run(FILES), before);
    assert_eq!(it.run("command -v dockerd || true"), "");

    // The declared one. All of it in one run, the user's group too.
    it.declare(&repository.declared(&repository.fingerprint));
    it.dwenv(&["provision", "--plan", "--diff", "--target", "sandbox"])
        .exit(0)
        .says("Set up Docker's own apt repository")
        .says(&format!("+URIs: {url}/debian"));
    assert_eq!(it.run(FILES), before);
    it.provision()
        .exit(0)
        .says("it is kept as /var/backups/docker.list.orig-")
        .says("the box is as declared");
    it.doctor().ready();
    assert_eq!(
        it.run("docker info -f '{{.ServerVersion}} {{.ID}}' >/dev/null && id -nG | tr ' ' '\\n' | grep -x docker"),
        "docker"
    );
    assert_eq!(
        it.run("grep -v '^# SHA-256' /etc/apt/sources.list.d/docker.sources"),
        format!(
            "# Key {}\nTypes: deb\nURIs: {url}/debian\nSuites: trixie\nComponents: stable\nSigned-By: /etc/apt/keyrings/docker.asc",
            repository.fingerprint
        )
    );
    assert_eq!(
        it.run("stat -c '%a %U' /etc/apt/keyrings/docker.asc"),
        "644 root"
    );
    assert_eq!(
        it.run("cd /etc/apt && ls sources.list.d/docker* keyrings/docker*"),
        "keyrings/docker.asc\nsources.list.d/docker.sources"
    );
    assert_eq!(it.run("cat /var/backups/docker.list.orig-*"), list);
    assert_eq!(it.run("cat /etc/docker/daemon.json"), settings);
    assert!(repository.server.log().contains("/pool/docker-ce_"));
    assert_eq!(
        it.run("dpkg-query -W -f='${db:Status-Abbrev}' docker-ce docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin"),
        "ii ii ii ii ii"
    );
    assert_eq!(
        it.run("docker compose version --short && docker buildx version | cut -c1-6")
            .lines()
            .count(),
        2
    );
    it.provision().exit(0).says("Nothing to do");

    // A key that is gone or another one, and the repository named elsewhere, which together with ours stops all of apt.
    let line = list.trim_end();
    for fault in [
        "rm /etc/apt/keyrings/docker.asc",
        ": >/etc/apt/keyrings/docker.asc",
        "cp /var/backups/docker.list.orig-* /etc/apt/sources.list.d/docker.list",
        &format!("echo \"{line}\" >/etc/apt/sources.list.d/archive_uri-docker.list"),
        &format!("echo \"{line}\" >>/etc/apt/sources.list"),
    ] {
        it.run(&format!("sudo sh -c '{fault}'"));
        it.doctor().fails("box.docker.repository");
        it.provision().exit(0);
        it.doctor().ready();
        it.run("sudo apt-get update -qq");
    }
    assert_eq!(
        it.run("grep -c '^# deb.*stable' /etc/apt/sources.list"),
        "1"
    );
}

#[test]
fn the_distributions_docker_makes_way_in_a_step_that_is_shown() {
    let it = Workbox::provisioned(Suite::Trixie);
    let repository = Repository::made_in(&it);
    it.run(
        "set -e; echo '{\"debug\": false}' | sudo tee /etc/docker/daemon.json >/dev/null
        sudo systemctl restart docker
        sudo tar -C / -c etc/hostname | docker import - dw-kept:1 >/dev/null; docker volume create dw-kept >/dev/null",
    );
    let rows = it.post("A row of an attendee");

    it.declare(&repository.declared(&repository.fingerprint));
    let seen = it.dwenv(&["provision", "--plan", "--target", "sandbox"]);
    seen.exit(0).says("Replace docker.io, docker-cli,");
    seen.says("by Docker's own packages");
    // The repository is not there yet, so apt knows nothing of it, and that is said.
    let changes = it.planned();
    let replaces = |change: &&Value| {
        change["title"]
            .as_str()
            .is_some_and(|it| it.starts_with("Replace"))
    };
    let replace = changes.iter().find(replaces).expect("the step");
    assert!(replace["packages"]["unknown"].is_string(), "{replace}");
    assert_eq!(
        it.run("dpkg-query -W -f='${db:Status-Abbrev}' docker.io"),
        "ii"
    );
    // The power goes in its middle.
    let mut run = it.start(&["provision", "--yes", "--target", "sandbox"]);
    run.await_said("Replace docker.io, docker-cli,");
    it.await_in_box("pgrep -f '^[^ ]*dpkg .*--unpack' >/dev/null");
    it.lab().cut_power();
    run.kill();
    it.start_machine();
    it.provision().exit(0).says("the box is as declared");
    it.doctor().ready();
    it.provision().exit(0).says("Nothing to do");

    // Nothing of the distribution's is installed any more; all that people made is there.
    assert_eq!(
        it.run("dpkg-query -W -f='${db:Status-Abbrev} ${Package}\\n' docker.io docker-cli containerd runc docker-compose docker-buildx 2>/dev/null | grep ^ii || true"),
        ""
    );
    assert_eq!(
        it.run("docker image ls -q dw-kept:1 | wc -l; docker volume ls -q"),
        "1\ndw-kept"
    );
    assert_eq!(it.run("cat /etc/docker/daemon.json"), "{\"debug\": false}");
    assert_eq!(it.rows(), rows);
}
