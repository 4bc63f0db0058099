//! OpenSSH's configuration, as people write it and as Vagrant prints it: text in, settings out.

use std::path::{Path, PathBuf};
use std::time::Duration;

use dwenv::error::ErrorKind;
use dwenv::target::ssh_config::{self, Asked, Settings, Surroundings};
use dwenv::target::vagrant::said;

const FILES: &[(&str, &str)] = &[
    (
        "/home/anna/.ssh/conf.d/lab",
        "Port 2200\nHost other\n  User wrong\n",
    ),
    ("/home/anna/.ssh/loop", "Include loop\n"),
];

/// Resolves a host in a text, for Anna, whose home has the files above.
fn resolve(text: &str, host: &str) -> dwenv::error::Result<Settings> {
    let surroundings = Surroundings {
        home: Path::new("/home/anna"),
        local_user: "anna",
        variable: &|name| (name == "KEYS").then(|| "/keys".to_owned()),
        include: &|path| {
            let found = FILES.iter().filter(|(file, _)| {
                Path::new(file) == path
                    || (path.ends_with("*") && Path::new(file).parent() == path.parent())
            });
            Ok(found
                .map(|(file, text)| (PathBuf::from(file), (*text).to_owned()))
                .collect())
        },
    };
    let asked = Asked {
        host,
        ..Asked::default()
    };
    ssh_config::resolve(text, "config", &asked, &surroundings)
}

fn paths(paths: &[&str]) -> Option<Vec<PathBuf>> {
    Some(paths.iter().map(PathBuf::from).collect())
}

#[test]
fn the_first_value_of_an_option_wins_and_identities_add_up() {
    let text = "# ours\nHost lab*, !labx !lab9\n\
        Host lab1\n  HostName %h.example.org\n  Port 2222\n  IdentityFile ~/.ssh/lab\n\
        Host lab? !lab9\n  User=student\n  Port 22\n  IdentityFile \"%d/.ssh/%r at %h\"\n  IdentitiesOnly yes\n\
        Host *\n  User root\n  ConnectTimeout 1m30\n  IdentityFile ${KEYS}/%u-%n-%p%%\n";
    let lab1 = resolve(text, "lab1").unwrap();
    assert_eq!(lab1.host_name, "lab1.example.org");
    assert_eq!(lab1.port, Some(2222));
    assert_eq!(lab1.user.as_deref(), Some("student"));
    assert_eq!(
        lab1.identity_files,
        paths(&[
            "/home/anna/.ssh/lab",
            "/home/anna/.ssh/student at lab1.example.org",
            "/keys/anna-lab1-2222%"
        ])
    );
    assert!(lab1.identities_only && lab1.named);
    assert_eq!(lab1.connect_timeout, Some(Duration::from_secs(90)));

    let other = resolve(text, "lab9").unwrap();
    assert_eq!(other.user.as_deref(), Some("root"));
    assert!(!other.named && !other.identities_only);
    assert_eq!(other.host_name, "lab9");
}

#[test]
fn an_empty_text_says_nothing() {
    for text in [
        "",
        "\r\n# only a note\r\n",
        "\u{feff}Host other\r\n\tPort 5\r\n",
    ] {
        let settings = resolve(text, "lab").unwrap();
        assert_eq!(settings.host_name, "lab");
        assert_eq!(
            (settings.port, settings.user, settings.identity_files),
            (None, None, None)
        );
        assert!(!settings.named);
    }
}

#[test]
fn what_is_known_about_keys_is_read() {
    let text = "Host a\n UserKnownHostsFile ~/.ssh/one \"/two files\"\n StrictHostKeyChecking yes\n HostKeyAlias lab\n\
        Host b\n UserKnownHostsFile none\n StrictHostKeyChecking accept-new\n IdentityFile none\n IdentityAgent none\n";
    let a = resolve(text, "a").unwrap();
    assert_eq!(
        a.user_known_hosts,
        paths(&["/home/anna/.ssh/one", "/two files"])
    );
    assert!(a.known_hosts_only);
    assert_eq!(a.host_key_alias, Some("lab".into()));
    let b = resolve(text, "b").unwrap();
    assert_eq!(b.user_known_hosts, paths(&[]));
    assert_eq!(b.identity_files, paths(&[]));
    assert!(!b.known_hosts_only && b.no_agent);
}

#[test]
fn another_way_to_log_in_is_remembered_by_its_name_and_place() {
    let text = "Host a\n CertificateFile ~/.ssh/id-cert.pub\nHost b\n IdentityAgent SSH_AUTH_SOCK\n \
        PKCS11Provider none\nHost *\n IdentityAgent ~/.vault/agent.sock\n";
    let a = resolve(text, "a").unwrap();
    assert_eq!(
        a.unused,
        ["`CertificateFile` (config:2)", "`IdentityAgent` (config:7)"]
    );
    assert!(!a.no_agent);
    assert!(resolve(text, "b").unwrap().unused.is_empty());
    // Where only ssh could say whether it applies, it is no reason to refuse the host.
    let unclear = "Match exec \"test\"\n CertificateFile ~/.ssh/id-cert.pub\n";
    assert!(resolve(unclear, "a").unwrap().unused.is_empty());
    // Agents of password managers are given in such a block; it has nothing to do with which machine that is.
    let unclear = "Match host * exec \"test\"\n IdentityAgent ~/agent.sock\n IdentitiesOnly yes\n";
    let other_box = resolve(unclear, "box").unwrap();
    assert_eq!(
        other_box.unused,
        ["`IdentityAgent` (config:2)", "`IdentitiesOnly` (config:3)"]
    );
    assert!(other_box.identities_only && !other_box.no_agent);
}

#[test]
fn included_files_speak_where_they_are_included() {
    let text = "Host lab\n  Include conf.d/*\n  User student\nHost *\n  Port 22\n";
    let lab = resolve(text, "lab").unwrap();
    assert_eq!(lab.port, Some(2200));
    // A `Host` line of the included file ends with it.
    assert_eq!(lab.user.as_deref(), Some("student"));
    assert_eq!(resolve(text, "elsewhere").unwrap().port, Some(22));
    assert_eq!(resolve("Include /nowhere/*\n", "lab").unwrap().port, None);
    let endless = resolve("Include ~/.ssh/loop\n", "lab").unwrap_err();
    assert_eq!(
        endless.message,
        "/home/anna/.ssh/loop:1: files include one another more than 16 deep"
    );
}

#[test]
fn what_leads_elsewhere_is_refused_by_its_name_where_it_applies() {
    let text = "Host jumping\n  ProxyJump gate\nHost hop jumping\n  ProxyCommand nc %h %p\n\
        Host near\n  ProxyCommand none\nMatch exec \"test\" host near2\n  Port 5\nHost *\n  ProxyJump gate\n\
        Host krl\n  RevokedHostKeys /etc/krl\nHost *\n  RevokedHostKeys none\n  KnownHostsCommand none\n";
    let message = |host: &str| resolve(text, host).unwrap_err().message;
    for (host, place_and_name) in [
        ("hop", "config:4: `ProxyCommand`"),
        ("krl", "config:12: `RevokedHostKeys`"),
    ] {
        assert_eq!(
            message(host),
            format!("{place_and_name} applies to `{host}`, and dwenv does not support it yet")
        );
    }
    assert_eq!(
        message("near2"),
        "config:7: `Match exec` may apply to `near2`, and dwenv does not support it yet"
    );
    assert!(resolve(text, "near").unwrap().jump.is_empty());
    // The first of the two counts, as for ssh.
    assert_eq!(resolve(text, "jumping").unwrap().jump.len(), 1);
    for line in [
        "CanonicalizeHostname yes",
        "KnownHostsCommand /bin/keys %H",
        "ProxyCommand nc a b",
        "BindAddress 10.0.0.1",
        "BindInterface eth1",
    ] {
        let error = resolve(line, "a").unwrap_err();
        let keyword = line.split(' ').next().unwrap();
        assert!(error.message.starts_with(&format!("config:1: `{keyword}`")));
        assert_eq!(error.kind, ErrorKind::Config);
    }
}

#[test]
fn the_machines_on_the_way_are_read_in_their_order() {
    let text = "Host far\n  User otto\n  Port 2022\n  ProxyJump %r@gate-%n:%p,ssh://inner:99 \n\
        Host six\n  ProxyJump anna@[fd00::1]:2222\nHost near\n  ProxyJump none\n\
        Host bad\n  ProxyJump gate,,x\nHost worse\n  ProxyJump -oProxyCommand=x\n";
    let jump = |host: &str| -> Vec<String> {
        let settings = resolve(text, host).unwrap();
        settings.jump.iter().map(ToString::to_string).collect()
    };
    assert_eq!(jump("far"), ["ssh://otto@gate-far:2022", "ssh://inner:99"]);
    assert_eq!(resolve(text, "far").unwrap().jump_place, "config:4");
    assert_eq!(jump("six"), ["ssh://anna@[fd00::1]:2222"]);
    assert!(jump("near").is_empty() && jump("else").is_empty());
    for (host, line) in [("bad", 10), ("worse", 12)] {
        let error = resolve(text, host).unwrap_err();
        assert!(
            error
                .message
                .starts_with(&format!("config:{line}: `ProxyJump` takes"))
        );
    }
}

#[test]
fn match_is_decided_where_names_decide_it() {
    let text = "Host lab\n  HostName 10.0.0.5\nMatch host 10.0.* user anna\n  Port 2\n\
        Match originalhost lab\n  User one\nMatch !host 10.*\n  User two\nMatch all\n  User three\n\
        Match final\n  SendEnv LANG\nMatch exec x host elsewhere\n  Port 7\n";
    let lab = resolve(text, "lab").unwrap();
    assert_eq!((lab.port, lab.user.as_deref()), (Some(2), Some("one")));
    let other = resolve(text, "other").unwrap();
    assert_eq!((other.port, other.user.as_deref()), (None, Some("two")));
}

#[test]
fn a_wrong_value_is_named_with_its_line() {
    for (text, message) in [
        (
            "Port many\n",
            "config:1: `Port` is a number from 1 to 65535, not `many`",
        ),
        (
            "\nPort 0\n",
            "config:2: `Port` is a number from 1 to 65535, not `0`",
        ),
        ("User a b\n", "config:1: `User` takes one value, not `a b`"),
        (
            "IdentitiesOnly maybe\n",
            "config:1: `IdentitiesOnly` is `yes` or `no`, not `maybe`",
        ),
        (
            "ConnectTimeout soon\n",
            "config:1: `ConnectTimeout` is a time such as `10` or `1m30s`, not `soon`",
        ),
        (
            "IdentityFile %z\n",
            "config:1: dwenv does not know `%z` in `%z`",
        ),
        (
            "IdentityFile ${NO}/a\n",
            "config:1: the variable `NO` in `${NO}/a` is not set",
        ),
        (
            "HostName \"x\n",
            "config:1: a quote is opened and never closed",
        ),
    ] {
        let error = resolve(text, "lab").unwrap_err();
        assert_eq!(
            (error.message.as_str(), error.kind),
            (message, ErrorKind::Config)
        );
    }
}

#[test]
fn vagrants_configuration_is_read_in_all_its_forms() {
    let plain = "Host default\n  HostName 127.0.0.1\n  User vagrant\n  Port 2222\n  UserKnownHostsFile /dev/null\n  StrictHostKeyChecking no\n  PasswordAuthentication no\n  IdentityFile /w/.vagrant/machines/default/virtualbox/private_key\n  IdentitiesOnly yes\n  LogLevel FATAL\n\n";
    let settings = resolve(plain, "default").unwrap();
    assert_eq!(settings.host_name, "127.0.0.1");
    assert_eq!(settings.port, Some(2222));
    assert!(settings.identities_only && settings.named);

    let windows = "Host docker-workshop\r\n  HostName 127.0.0.1\r\n  User vagrant\r\n  Port 2200\r\n\r\n  IdentityFile \"C:/Users/Jos\u{e9} M/.vagrant.d/insecure_private_keys/vagrant.key.ed25519\"\r\n\r\n  IdentityFile C:/w/private_key\r\n  LogLevel FATAL\r\n  ForwardAgent yes\r\n  PubkeyAcceptedKeyTypes +ssh-rsa\r\n  HostKeyAlgorithms +ssh-rsa\r\n";
    let noisy = format!("==> a plugin has something to say\r\n{windows}");
    let settings = resolve(said::ssh_config(&noisy).unwrap(), "docker-workshop").unwrap();
    assert_eq!(
        settings.identity_files,
        paths(&[
            "C:/Users/Jos\u{e9} M/.vagrant.d/insecure_private_keys/vagrant.key.ed25519",
            "C:/w/private_key"
        ])
    );
    assert!(!settings.identities_only);
    assert_eq!(said::ssh_config("nothing of the kind\n"), None);

    let proxied = format!("{plain}  ProxyCommand ssh gate nc %h %p\n");
    assert!(
        resolve(&proxied, "default")
            .unwrap_err()
            .message
            .contains("ProxyCommand")
    );
}
