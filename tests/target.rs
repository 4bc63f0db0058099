//! From what a person names, and what files and programs say, to a box: as data.

#[path = "support/sample.rs"]
mod sample;

use std::fs;
use std::path::Path;
use std::time::Duration;

use dwenv::error::ErrorKind;
use dwenv::target::laptop::Os;
use dwenv::target::vagrant::said::{self, State};
use dwenv::target::{
    Choice, Here, Person, Purpose, Reach, Target, choose, last_used, remember, ssh,
};
use dwenv::transport::endpoint::{Agent, Endpoint, HostKeyPolicy};
use dwenv::workshop::NamedTarget;

#[test]
fn machine_readable_rows_are_read_among_other_lines() {
    let output = "a warning of Ruby, with commas, in it\r\n\
        1795457063,web,metadata,provider,virtualbox\r\n\
        1795457063,web,provider-name,virtualbox\r\n\
        1795457063,web,state,running\r\n\
        1795457063,web,state-human-long,The VM is running.\\nYes%!(VAGRANT_COMMA) it is\r\n\
        1795457064,db,provider-name,docker\n1795457064,db,state,not_created\n\
        1795457064,old,provider-name,virtualbox\n1795457064,old,state,poweroff\n\
        1795457064,saved,state,saved\n,,,\n1795457065,,ui,info,Current machine states:\n";
    let machines = said::machines(output);
    let seen: Vec<_> = machines
        .iter()
        .map(|machine| {
            (
                machine.name.as_str(),
                machine.provider.as_str(),
                machine.state.to_string(),
            )
        })
        .collect();
    let expected = [
        ("web", "virtualbox", "running"),
        ("db", "docker", "not created"),
        ("old", "virtualbox", "powered off"),
        ("saved", "", "saved"),
    ];
    assert_eq!(
        seen,
        expected.map(|(name, provider, state)| (name, provider, state.to_owned()))
    );
    assert_eq!(machines[1].state, State::NotCreated);
    assert_eq!(said::error_exit(output), None);

    let failed = "1,,ui,error,x\n1,,error-exit,Vagrant::Errors::NoEnvironmentError,A Vagrant environment%!(VAGRANT_COMMA)\\nor machine,more\n";
    assert_eq!(
        said::error_exit(failed),
        Some("A Vagrant environment,\nor machine,more".into())
    );
}

#[test]
fn what_is_known_of_vagrants_error_is_its_hint() {
    let said = "The IP address configured for the host-only network is not within the\nallowed ranges. \
        Please update the address used to be within the allowed\nranges and run the command again.\n\n  \
        Address: 10.11.12.13\n  Ranges: 192.168.56.0/21\n\nValid ranges can be modified";
    let error = said::error("Vagrant could not start `web`", said);
    assert_eq!(error.kind, ErrorKind::Failed);
    assert!(error.hints[0].starts_with("VirtualBox allows host-only networks only in"));
    if cfg!(unix) {
        let command =
            "`echo '* 10.11.12.0/24 192.168.56.0/21' | sudo tee -a /etc/vbox/networks.conf`";
        assert_eq!(error.hints.last().map(String::as_str), Some(command));
    }
    // What nobody knows has no hint.
    let error = said::error("Vagrant could not start `web`", "A wholly new misfortune.");
    assert_eq!(
        (error.cause.as_deref(), error.hints.len()),
        (Some("A wholly new misfortune."), 0)
    );
}

#[test]
fn progress_lines_are_told_plainly() {
    assert_eq!(
        said::plain("==> web: Booting VM...", "web"),
        "Booting VM..."
    );
    assert_eq!(
        said::plain("    web: SSH address: 127.0.0.1:2222", "web"),
        "SSH address: 127.0.0.1:2222"
    );
    assert_eq!(
        said::plain("\u{1b}[K    web: Progress: 5%", "web"),
        "Progress: 5%"
    );
    assert_eq!(
        said::plain("Bringing machine 'web' up", "web"),
        "Bringing machine 'web' up"
    );
    assert_eq!(
        said::fraction("Progress: 45% (Rate: 2M/s, Estimated time remaining: 0:01)"),
        Some(0.45)
    );
    assert_eq!(said::fraction("Progress: x%"), None);
}

#[test]
fn a_target_reads_back_as_it_was_written() {
    for text in [
        "vagrant",
        "vagrant:web",
        "sandbox",
        "sandbox:two",
        "lab-1.example",
        "ssh://host",
        "ssh://me@host:2222",
        "ssh://me@[fe80::1%eth0]:22",
        "ssh://[::1]",
    ] {
        let target: Target = text.parse().unwrap();
        assert_eq!(target.to_string(), text);
    }
    let trailing: Target = "ssh://me@host/".parse().unwrap();
    assert_eq!(trailing.to_string(), "ssh://me@host");
}

#[test]
fn a_target_that_is_none_says_what_one_is() {
    for (text, message, hint) in [
        ("", "the target is empty", "a target is `vagrant`"),
        (
            "vagrant:",
            "the target `vagrant:` ends where a name was expected",
            "write `vagrant:NAME`",
        ),
        (
            "vagrnt:web",
            "`vagrnt` is no kind of target",
            "did you mean `vagrant:web`?",
        ),
        (
            "me@host",
            "`me@host` is no target",
            "for a machine that SSH reaches, write `ssh://me@host`",
        ),
        (
            "https://host",
            "`https://` is no kind of target",
            "a target is",
        ),
        (
            "ssh://",
            "there is no host in the target `ssh://`",
            "write `ssh://USER@HOST:PORT`",
        ),
        (
            "ssh://me@host:0",
            "`0` is no port from 1 to 65535 in the target `ssh://me@host:0`",
            "write",
        ),
        (
            "ssh://me@host:x",
            "`x` is no port from 1 to 65535 in the target `ssh://me@host:x`",
            "write",
        ),
        (
            "ssh://::1",
            "there is more than one `:` in the target `ssh://::1`",
            "write",
        ),
        (
            "ssh://-oProxyCommand=x",
            "`-oProxyCommand=x` is no host name in the target `ssh://-oProxyCommand=x`",
            "write",
        ),
        (
            "ssh://@host",
            "there is no usable user name in the target `ssh://@host`",
            "write",
        ),
        (
            "a b",
            "`a b` in the target `a b` is no name",
            "a name has letters",
        ),
        (
            "vagrant:-f",
            "`-f` in the target `vagrant:-f` is no name",
            "a name has letters",
        ),
    ] {
        let error = text.parse::<Target>().unwrap_err();
        assert_eq!(
            (error.message.as_str(), error.kind),
            (message, ErrorKind::Usage)
        );
        assert!(
            error.hints[0].starts_with(hint),
            "{text}: {:?}",
            error.hints
        );
    }
    let secret = "ssh://me:canary@host".parse::<Target>().unwrap_err();
    assert!(!format!("{secret:?}").contains("canary"));
}

/// Somebody whose home holds these files.
fn person(files: &[(&str, &str)]) -> (tempfile::TempDir, Person) {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join(".ssh")).unwrap();
    for (name, text) in files {
        fs::write(home.path().join(".ssh").join(name), text).unwrap();
    }
    let person = Person {
        home: home.path().to_owned(),
        user: Some("anna".into()),
    };
    (home, person)
}

#[test]
fn an_ssh_address_takes_the_usual_keys_and_the_known_hosts() {
    let (home, person) = person(&[("id_rsa", ""), ("id_ed25519", "")]);
    let Ok(Target::Ssh(address)) = "ssh://me@192.0.2.7:2200".parse() else {
        panic!("an address");
    };
    let located = ssh::address(&address, None, &person).unwrap();
    let endpoint = located.endpoint;
    assert_eq!(endpoint.name, "ssh://me@192.0.2.7:2200");
    assert_eq!(
        (
            endpoint.host.as_str(),
            endpoint.port,
            endpoint.user.as_str()
        ),
        ("192.0.2.7", 2200, "me")
    );
    let keys = ["id_ed25519", "id_rsa"].map(|name| home.path().join(".ssh").join(name));
    assert_eq!(endpoint.identities, keys);
    assert_eq!(endpoint.agent, Agent::All);
    assert_eq!(endpoint.timeout, Duration::from_secs(10));
    let HostKeyPolicy::KnownHosts {
        files, accept_new, ..
    } = endpoint.host_key
    else {
        panic!("known hosts");
    };
    assert_eq!(files[0], home.path().join(".ssh/known_hosts"));
    assert!(accept_new);
    assert_eq!(located.reach, [Reach::Address("192.0.2.7".into())]);

    let missing = ssh::address(&address, Some(Path::new("/nowhere/key")), &person).unwrap_err();
    assert_eq!(
        missing.message,
        "the private key /nowhere/key cannot be read"
    );
    assert_eq!(missing.kind, ErrorKind::Usage);
}

#[test]
fn a_name_is_declared_or_an_alias_and_the_declaration_goes_first() {
    let config = "Host lab1 lab2\n  HostName 192.0.2.1\n  User student\n  IdentityFile ~/.ssh/lab\n  IdentitiesOnly yes\n  StrictHostKeyChecking yes\n  UserKnownHostsFile /dev/null\n  ConnectTimeout 3\n";
    let (home, person) = person(&[("config", config), ("lab", "")]);
    let mut workshop = sample::workshop();
    workshop.targets.insert(
        "lab2".into(),
        NamedTarget {
            host: "lab1".into(),
            port: Some(2222),
            user: None,
            identity: Some("~/.ssh/lab".into()),
        },
    );
    let named = |name| ssh::named(name, &workshop, home.path(), None, &person);
    let lab1 = named("lab1").unwrap().endpoint;
    assert_eq!(
        (lab1.host.as_str(), lab1.port, lab1.user.as_str()),
        ("192.0.2.1", 22, "student")
    );
    assert_eq!(lab1.identities, [home.path().join(".ssh/lab")]);
    assert_eq!(
        (lab1.agent, lab1.timeout),
        (Agent::OfFiles, Duration::from_secs(3))
    );
    let HostKeyPolicy::KnownHosts {
        files, accept_new, ..
    } = lab1.host_key
    else {
        panic!("known hosts");
    };
    assert!(!accept_new);
    // A key is always compared, whatever the configuration throws away.
    assert_eq!(files[0], home.path().join(".ssh/known_hosts"));

    let lab2 = named("lab2").unwrap().endpoint;
    assert_eq!(
        (lab2.name.as_str(), lab2.host.as_str(), lab2.port),
        ("lab2", "192.0.2.1", 2222)
    );

    for (name, hint) in [
        ("lab3", "did you mean `lab1`?"),
        ("vagrnt", "did you mean `vagrant`?"),
        (
            "elsewhere",
            "declare it: `[target.elsewhere]` with `host = …` in config.toml",
        ),
    ] {
        let error = named(name).unwrap_err();
        assert_eq!(error.message, format!("there is no target `{name}`"));
        assert_eq!(error.hints[0], hint);
    }
}

#[test]
fn every_machine_on_the_way_has_its_own_entry() {
    let (home, person) = person(&[(
        "config",
        "Host lab\n  ProxyJump otto@gate:2200,inner\n  HostKeyAlias cluster\n\
         Host gate\n  HostName 10.0.0.1\n  User nobody\n  IdentityFile ~/.ssh/gate\n  ProxyJump door\n\
         Host inner\n  StrictHostKeyChecking yes\n  ProxyJump nowhere\n  GlobalKnownHostsFile /etc/inner none\n\
         Host door\n  UserKnownHostsFile ~/.ssh/doors\n",
    )]);
    let located = ssh::named("lab", &sample::workshop(), home.path(), None, &person).unwrap();
    let told = |endpoint: &Endpoint| {
        let Endpoint {
            name,
            user,
            host,
            port,
            ..
        } = endpoint;
        format!("{name}: {user}@{host}:{port}")
    };
    let way: Vec<String> = located.endpoint.via.iter().map(told).collect();
    assert_eq!(
        way,
        [
            "door: anna@door:22",
            "otto@gate:2200: otto@10.0.0.1:2200",
            "inner: anna@inner:22"
        ]
    );
    let policy = |endpoint: &Endpoint| match &endpoint.host_key {
        HostKeyPolicy::KnownHosts {
            files,
            accept_new,
            alias,
        } => (files.clone(), *accept_new, alias.clone()),
        HostKeyPolicy::Pinned { .. } => panic!("pinned"),
    };
    let usual = home.path().join(".ssh/known_hosts");
    let everybodys = ssh::everybodys("ssh_known_hosts");
    let [door, gate, inner] = &located.endpoint.via[..] else {
        panic!("three")
    };
    assert_eq!(
        policy(door).0,
        [home.path().join(".ssh/doors"), everybodys.clone()]
    );
    assert_eq!(gate.identities, [home.path().join(".ssh/gate")]);
    assert_eq!(
        policy(inner),
        (vec![usual.clone(), "/etc/inner".into()], false, None)
    );
    assert_eq!(
        policy(&located.endpoint),
        (vec![usual, everybodys], true, Some("cluster".to_owned()))
    );
}

#[test]
fn a_way_in_a_circle_is_refused() {
    let (home, person) = person(&[("config", "Host lab\n  User a\nHost *\n  ProxyJump gate\n")]);
    let error = ssh::named("lab", &sample::workshop(), home.path(), None, &person).unwrap_err();
    assert!(
        error
            .message
            .ends_with("config:4: the way to `lab` leads over `gate` twice"),
        "{error}"
    );
}

fn chosen(given: &[&str], dir: &Path, purpose: Purpose, here: Here) -> Choice {
    let given: Vec<String> = given.iter().map(ToString::to_string).collect();
    choose(&given, &sample::workshop(), dir, purpose, || here).unwrap()
}

#[test]
fn only_up_on_a_linux_without_vagrant_and_virtualbox_turns_to_a_sandbox() {
    let folder = tempfile::tempdir().unwrap();
    for (purpose, os, vagrant, virtualbox, expected) in [
        (Purpose::Make, Os::Linux, false, false, "sandbox"),
        (Purpose::Make, Os::Linux, true, false, "vagrant"),
        (Purpose::Make, Os::Linux, false, true, "vagrant"),
        (Purpose::Make, Os::MacOs, false, false, "vagrant"),
        (Purpose::Use, Os::Linux, false, false, "vagrant"),
    ] {
        let here = Here {
            os,
            vagrant,
            virtualbox,
        };
        let choice = chosen(&[], folder.path(), purpose, here);
        assert_eq!(choice.targets[0].to_string(), expected);
        assert_eq!(choice.reason.is_some(), expected == "sandbox");
    }
}

#[test]
fn what_is_named_goes_before_what_was_used_last() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let bare = Here {
        os: Os::Linux,
        vagrant: false,
        virtualbox: false,
    };
    assert_eq!(last_used(dir).unwrap(), None);
    remember(
        dir,
        &Target::Sandbox {
            name: Some("two".into()),
        },
    )
    .unwrap();
    let choice = chosen(&[], dir, Purpose::Use, bare);
    assert_eq!(choice.targets[0].to_string(), "sandbox:two");
    let choice = chosen(
        &["vagrant", "ssh://a@b", "vagrant"],
        dir,
        Purpose::Make,
        bare,
    );
    let names: Vec<String> = choice.targets.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["vagrant", "ssh://a@b"]);
    assert_eq!(choice.reason, None);
    // What dwenv remembers is never committed by accident.
    assert_eq!(
        fs::read_to_string(dir.join(".dwenv/.gitignore")).unwrap(),
        "*\n"
    );

    fs::write(dir.join(".dwenv/target"), "a b\n").unwrap();
    let error = choose(&[], &sample::workshop(), dir, Purpose::Use, || bare).unwrap_err();
    assert!(error.message.ends_with("names no target"), "{error}");
}
