//! `[network]`: what a venue's network asks of a box.

use std::fs;

use dwenv::workshop::{self, Secrets};
use insta::assert_snapshot;
use tempfile::TempDir;

use crate::refused;

#[test]
fn a_network_that_would_not_work_is_told() {
    assert_snapshot!(refused("[network]\nproxy = \"proxy.example:3128\"\n"), @r#"
    config.toml:2:9: "proxy.example:3128" cannot be `network.proxy`: it is no web address of a proxy
      |
    2 | proxy = "proxy.example:3128"
      |         ^^^^^^^^^^^^^^^^^^^^
    hint: such as http://proxy.example:3128
    "#);
    assert_snapshot!(refused("[network]\nproxy = { env = \"DWENV_TEST_NO_SUCH_PROXY\" }\n"), @r#"
    config.toml:2:17: "DWENV_TEST_NO_SUCH_PROXY" cannot be `network.proxy.env`: it is not set
      |
    2 | proxy = { env = "DWENV_TEST_NO_SUCH_PROXY" }
      |                 ^^^^^^^^^^^^^^^^^^^^^^^^^^
    hint: set DWENV_TEST_NO_SUCH_PROXY in the environment that dwenv runs in
    "#);
    assert_snapshot!(refused("[network]\nno_proxy = [\"mirror.example\"]\n"), @r#"
    config.toml:2:12: ["mirror.example"] cannot be `network.no_proxy`: there is no `network.proxy` to go around
      |
    2 | no_proxy = ["mirror.example"]
      |            ^^^^^^^^^^^^^^^^^^
    "#);
    assert_snapshot!(refused("[network]\nproxy = \"http://proxy:1\"\nno_proxy = [\"a b\"]\n"), @r#"
    config.toml:3:13: "a b" cannot be in `network.no_proxy`: it is no host, domain or network
      |
    3 | no_proxy = ["a b"]
      |             ^^^^^
    hint: such as mirror.example, .example.org or 10.0.0.0/8
    "#);
    assert_snapshot!(refused("[network]\nca_certificates = [\"absent.crt\"]\n"), @r#"
    config.toml:2:20: "absent.crt" cannot be in `network.ca_certificates`: there is no such file
      |
    2 | ca_certificates = ["absent.crt"]
      |                    ^^^^^^^^^^^^
    hint: looked for absent.crt
    "#);
    assert_snapshot!(refused("[network]\napt_mirror = \"mirror.example\"\n"), @r#"
    config.toml:2:14: "mirror.example" cannot be `network.apt_mirror`: it is no web address of a mirror
      |
    2 | apt_mirror = "mirror.example"
      |              ^^^^^^^^^^^^^^^^
    hint: such as http://mirror.example
    "#);
    assert_snapshot!(refused("[network]\nregistry_mirrors = [\"https://hub.example/v2\"]\n"), @r#"
    config.toml:2:21: "https://hub.example/v2" cannot be in `network.registry_mirrors`: Docker takes no path behind a registry's name
      |
    2 | registry_mirrors = ["https://hub.example/v2"]
      |                     ^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
    assert_snapshot!(refused("[network]\nproxies = \"http://proxy:1\"\n"), @r#"
    config.toml:2:1: there is no key `proxies` in [network]
      |
    2 | proxies = "http://proxy:1"
      | ^^^^^^^
    hint: did you mean `proxy`?
    "#);
}

fn load(config: &str, files: &[(&str, &str)]) -> Result<workshop::Workshop, String> {
    let folder = TempDir::new().unwrap();
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    let path = folder.path().join("config.toml");
    fs::write(&path, config).unwrap();
    workshop::load(&path, Secrets::Read).map_err(|error| error.to_string())
}

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

#[test]
fn a_certificate_is_one_and_no_key() {
    let config = "[network]\nca_certificates = [\"ca.pem\"]\n";
    let loaded = load(config, &[("ca.pem", CERTIFICATE)]).unwrap();
    assert_eq!(loaded.venue.certificates[0].content, CERTIFICATE);
    for (content, said) in [
        ("0\u{1}", "it is no certificate as PEM"),
        (&CERTIFICATE.repeat(2), "it holds several certificates"),
        (
            &format!("-----BEGIN PRIVATE KEY-----\n{CERTIFICATE}"),
            "it holds a private key",
        ),
    ] {
        let error = load(config, &[("ca.pem", content)]).unwrap_err();
        assert!(error.contains(said), "{error}");
    }
    let twice = "[network]\nca_certificates = [\"ca.pem\", \"ca.crt\"]\n";
    let error = load(twice, &[("ca.pem", CERTIFICATE), ("ca.crt", CERTIFICATE)]).unwrap_err();
    assert!(error.contains("already called ca"), "{error}");
}

#[test]
fn a_proxy_with_a_password_is_a_secret_wherever_it_stands() {
    let secret = "http://anna:canary@proxy.example:3128";
    let outside = load(
        "[network]\nproxy = { file = \"proxy.txt\" }\n",
        &[("proxy.txt", secret)],
    );
    let inside = load(&format!("[network]\nproxy = \"{secret}\"\n"), &[]);
    for workshop in [outside, inside] {
        let workshop = workshop.unwrap();
        let proxy = workshop.venue.proxy.as_ref().unwrap();
        assert_eq!(proxy.address.reveal(), secret);
        assert!(!proxy.is_public);
        assert!(!format!("{workshop:?}").contains("canary"));
    }
    // What is wrong with it is said without it.
    let error = load(
        "[network]\nproxy = { file = \"proxy.txt\" }\n",
        &[("proxy.txt", "http://anna:can ary@proxy.example")],
    );
    let error = error.unwrap_err();
    assert!(
        error.contains("proxy.txt") && !error.contains("ary"),
        "{error}"
    );
}
