//! `[network]`: a box whose only way out is a proxy that asks for a password, with a mirror behind it and a
//! registry that an authority of the venue's own vouches for.

use std::fs;

use dwenv::target::sandbox::Suite;

use crate::venue::{Proxy, REGISTRY, Registry};
use crate::workbox::Workbox;

/// A word of the proxy's password; nothing may ever show it.
const CANARY: &str = "canary";
const MIRROR: &str = "http://mirror.example";

const APT: &str = "/etc/apt/apt.conf.d/99dwenv-network";
const SHELLS: &str = "/etc/profile.d/dwenv-network.sh";
const DAEMON: &str = "/etc/dwenv/docker-network.env";

/// The web addresses of the archives that the box installs from, and by which the mirror has them.
fn aliases(it: &Workbox) -> Vec<(String, String)> {
    let uris = it.run(
        "grep -ohE 'https?://[^] ]+/debian(-security)?/?( |$)' /etc/apt/sources.list | sort -u",
    );
    let uris = uris.lines().map(|uri| uri.trim().trim_end_matches('/'));
    let alias = |uri: &str| {
        let name = uri.rsplit('/').next().expect("a path");
        (format!("{MIRROR}/{name}/"), format!("{uri}/"))
    };
    uris.map(alias).collect()
}

#[test]
fn a_box_gets_out_by_the_venues_proxy_alone_and_forgets_it_at_home() {
    let mut it = Workbox::bare(Suite::Trixie);
    let host = it.lab().address(1);
    let registry = Registry::start(host, 5443, &it.lab().folder().join("registry"));
    let behind = format!("{REGISTRY}:5443");
    let mut known = aliases(&it);
    known.push((behind.clone(), registry.place.clone()));
    let proxy = Proxy::start(host, &format!("anna:{CANARY}@1"), known);
    let sources = it.run("cat /etc/apt/sources.list");

    // No way out but the bridge; and settings of Docker's keeper.
    it.run("sudo ip route del default");
    let settings = r#"{"debug": false, "registry-mirrors": ["https://keepers.example"]}"#;
    it.run(&format!(
        "sudo mkdir /etc/docker; echo '{settings}' | sudo tee /etc/docker/daemon.json >/dev/null"
    ));
    fs::write(it.folder().join("venue.crt"), &registry.authority).expect("a certificate");
    it.variable(
        "DWENV_TEST_PROXY",
        &format!("http://anna:{CANARY}%401@{}", proxy.place()),
    );
    let network = format!(
        "[network]\nproxy = {{ env = \"DWENV_TEST_PROXY\" }}\nno_proxy = [\"{host}\"]\n\
         ca_certificates = [\"venue.crt\"]\napt_mirror = \"{MIRROR}\"\nregistry_mirrors = [\"https://{}\"]\n",
        registry.place
    );

    it.declare(&network);
    let plan = it.dwenv(&["provision", "--plan", "--diff", "--target", "sandbox"]);
    let up = it.dwenv(&["up", "-v", "--yes", "--target", "sandbox"]);
    let doctor = it.doctor();
    let again = it.dwenv(&["provision", "-v", "--diff"]);
    for ran in [plan.exit(0), up.exit(0), doctor.ready(), again.exit(0)] {
        ran.never_says(CANARY);
    }
    again.says("Nothing to do");
    it.dwenv(&[
        "doctor",
        "--deep",
        "--save",
        "facts.json",
        "--target",
        "sandbox",
    ])
    .never_says("box.proxy");
    let saved = std::fs::read_to_string(it.folder().join("facts.json")).expect("what was saved");
    assert!(
        saved.contains("proxies") && !saved.contains(CANARY),
        "{saved}"
    );

    // Everything that was installed came by the proxy, and from the mirror.
    let asked = proxy.asked();
    let of_mirror = asked
        .iter()
        .filter(|one| one.starts_with(&format!("GET {MIRROR}/debian/pool/")))
        .count();
    assert!(of_mirror > 20, "{asked:#?}");
    assert!(
        asked
            .iter()
            .all(|one| one.starts_with(&format!("GET {MIRROR}/debian"))),
        "{asked:#?}"
    );

    // The password lies in three files that nobody else may read, and nowhere else.
    let search = "printf %s%s can ary%401 | sudo grep -rlFs -f - --devices=skip --exclude-dir=proc \
                  --exclude-dir=sys / | sort";
    assert_eq!(it.run(search), format!("{APT}\n{DAEMON}\n{SHELLS}"));
    assert_eq!(
        it.run(&format!("sudo stat -c '%a %U' {APT} {DAEMON} {SHELLS}")),
        "600 root\n600 root\n600 vagrant"
    );
    assert_eq!(
        it.run("systemctl show docker | grep -c '[c]anary' || true"),
        "0"
    );
    // Whose login it is may use it, and the box's own server is not asked for there.
    assert_eq!(
        it.run("bash -lc 'echo $https_proxy'"),
        format!("http://anna:{CANARY}%401@{}", proxy.place())
    );
    it.run("bash -lc 'case ,$no_proxy, in *,localhost,*) ;; *) exit 1 ;; esac'");
    assert_eq!(
        it.run("apt-cache policy docker.io | grep -c Installed:"),
        "1"
    );

    // A line of the authority's certificate, in what all programs trust.
    let line = registry.authority.lines().nth(3).expect("a certificate");
    let trusted = format!("grep -cF {line} /etc/ssl/certs/ca-certificates.crt || true");
    assert_eq!(it.run(&trusted), "1");

    // An image from the mirror of Docker Hub, which is asked without the proxy, and one that only the proxy reaches.
    it.run(&format!(
        "set -e
        echo hello >hello; tar -c hello | docker import - {place}/library/dw-hello:1 >/dev/null
        docker push -q {place}/library/dw-hello:1 >/dev/null
        docker rmi -f {place}/library/dw-hello:1 >/dev/null",
        place = registry.place
    ));
    let images = format!("[docker]\nimages = [\"dw-hello:1\", \"{behind}/library/dw-hello:1\"]\n");
    it.declare(&format!("{network}{images}"));
    it.doctor().fails("box.docker.images");
    it.provision().exit(0).says("Pull dw-hello:1");
    it.doctor().ready();
    assert!(proxy.asked().contains(&format!("CONNECT {behind}")));
    assert_eq!(
        it.run("docker info -f '{{range .RegistryConfig.Mirrors}}{{.}} {{end}}'"),
        format!("https://{}/ https://keepers.example/", registry.place)
    );

    // One thing less each time: named, and put right.
    for (command, check) in [
        (format!("sudo rm {SHELLS}"), "box.network.proxy"),
        (format!("sudo chmod 644 {APT}"), "box.network.proxy"),
        (
            "sudo rm /usr/local/share/ca-certificates/dwenv-venue.crt".to_owned(),
            "box.network.certificates",
        ),
        (
            format!("echo '{sources}' | sudo tee /etc/apt/sources.list >/dev/null"),
            "box.network.mirrors",
        ),
        (
            format!("echo '{settings}' | sudo tee /etc/docker/daemon.json >/dev/null"),
            "box.network.docker",
        ),
        (
            format!(
                "sudo sh -c 'mv {DAEMON} {DAEMON}.away && systemctl restart docker && mv {DAEMON}.away {DAEMON}'"
            ),
            "box.network.docker",
        ),
    ] {
        println!("--- {command}");
        it.run(&command);
        let seen = it.doctor();
        seen.exit(1).never_says(CANARY);
        assert_eq!(seen.check(check).status, "fail");
        it.provision().exit(0).says("the box is as declared");
        it.doctor().ready();
    }

    // At home again: all of it goes, and nothing else does. What somebody wrote into a file of dwenv's is kept.
    let own = "/usr/local/share/ca-certificates/dwenv-venue.crt";
    it.run(&format!(
        "echo '# anna was here' | sudo tee -a {own} >/dev/null"
    ));
    it.declare(&images);
    let seen = it.doctor();
    assert_eq!(seen.check("box.network.left").status, "warn");
    it.provision()
        .exit(0)
        .says("Take away what an earlier network needed")
        .says("it is kept as /var/backups/dwenv-venue.crt.orig-")
        .says("the box is as declared");
    it.doctor().ready();
    it.provision().exit(0).says("Nothing to do");
    assert_eq!(it.run("cat /etc/apt/sources.list"), sources);
    assert_eq!(
        it.run("cat /etc/docker/daemon.json | tr -d ' \\n'"),
        settings.replace(' ', "")
    );
    assert_eq!(
        it.run("docker info -f '{{range .RegistryConfig.Mirrors}}{{.}} {{end}}{{.HTTPProxy}}'"),
        "https://keepers.example/"
    );
    assert_eq!(it.run("bash -lc 'echo $https_proxy'"), "");
    assert_eq!(
        it.run("sudo find /etc /usr/local/share /var/lib/dwenv \\( -name '*dwenv-network*' -o -name 'dwenv-venue*' -o -name orig -o -name registry-mirrors -o -name 'docker-network*' \\)"),
        ""
    );
    assert_eq!(it.run(&trusted), "0");
    assert_eq!(it.run(search), "");

    // A proxy that Docker's keeper gave it stays theirs, with a mirror of the venue's and without.
    let keepers = "HTTP_PROXY=http://keepers.example:3128";
    it.run(&format!(
        "sudo mkdir -p /etc/systemd/system/docker.service.d
        printf '[Service]\\nEnvironment={keepers}\\n' | sudo tee /etc/systemd/system/docker.service.d/keeper.conf >/dev/null
        sudo systemctl daemon-reload && sudo systemctl restart docker"
    ));
    it.declare(&format!(
        "[network]\nregistry_mirrors = [\"https://{}\"]\n",
        registry.place
    ));
    it.provision().exit(0);
    it.doctor().ready();
    it.provision().exit(0).says("Nothing to do");
    it.declare("");
    it.provision().exit(0);
    it.doctor().ready();
    assert_eq!(
        it.run("systemctl show -p Environment docker"),
        format!("Environment={keepers}")
    );
    assert_eq!(
        it.run("cat /etc/docker/daemon.json | tr -d ' \\n'"),
        settings.replace(' ', "")
    );
}
