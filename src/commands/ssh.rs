//! Logs in to the box, or runs a command there, with the laptop's own OpenSSH: it has the terminal.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::Environment;
use super::boxes::Remote;
use crate::error::{Error, ExitCode, Result};
use crate::quote;
use crate::target::{Person, ssh};
use crate::transport::endpoint::{Agent, Endpoint, HostKeyPolicy};
use crate::workshop::Secrets;

/// Ends as the command did, so that scripts can build on it; what ended by a signal counts as failed.
pub async fn run(environment: &Environment, command: &[String]) -> Result<std::process::ExitCode> {
    let workshop = environment.workshop(Secrets::Leave).await?;
    let target = environment.one_target(&workshop)?;
    let remote = Remote::find(environment, &workshop, &target).await;
    let endpoint = remote.located()?.endpoint;
    let way = way_file(&endpoint)?;
    let status = environment
        .with_terminal(|| openssh(&endpoint, way.as_ref().map(|file| file.path()), command).status())
        .map_err(|error| {
            Error::failed("the program ssh could not be started")
                .because(error)
                .hint("Install OpenSSH's client; Windows 10 and newer have it among their optional features")
        })?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(match code {
        // OpenSSH's own, where it did not get as far as the command.
        Some(255) => ExitCode::Undetermined.into(),
        Some(code) => code.into(),
        None => ExitCode::Failed.into(),
    })
}

/// OpenSSH, told what dwenv knows of the box, its pinned host key among it.
fn openssh(endpoint: &Endpoint, way: Option<&Path>, command: &[String]) -> Command {
    let mut ssh = Command::new("ssh");
    if let Some(way) = way {
        ssh.arg("-F").arg(way);
    }
    for option in options(endpoint) {
        ssh.arg("-o").arg(option);
    }
    ssh.arg("-o").arg(match endpoint.via.len() {
        // A pattern of the person's own may mean the address; dwenv went by the name.
        0 => "ProxyJump=none".to_owned(),
        last => format!("ProxyJump={}", hop_name(last)),
    });
    ssh.arg("--").arg(&endpoint.host);
    match command {
        [] => {}
        // One text is a line for the box's shell, as ssh takes it; several are the words of one command.
        [line] => drop(ssh.arg(line)),
        words => {
            let quoted: Vec<String> = words.iter().map(|word| quote::sh(word)).collect();
            ssh.arg(quoted.join(" "));
        }
    }
    ssh.stdin(Stdio::inherit());
    ssh
}

/// A configuration for OpenSSH with the machines on the way; the person's own and everybody's come after.
fn way_file(endpoint: &Endpoint) -> Result<Option<tempfile::NamedTempFile>> {
    if endpoint.via.is_empty() {
        return Ok(None);
    }
    let text = way_text(endpoint, &Person::this()?.ssh_config());
    let written = tempfile::NamedTempFile::new().and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        Ok(file)
    });
    written.map(Some).map_err(|error| {
        Error::failed("the way to the box could not be written down for the program ssh")
            .because(error)
    })
}

fn way_text(endpoint: &Endpoint, own: &Path) -> String {
    let mut text = String::new();
    let mut before = "none".to_owned();
    for (number, hop) in (1..).zip(&endpoint.via) {
        let hop = Endpoint {
            timeout: endpoint.timeout,
            ..hop.clone()
        };
        let name = hop_name(number);
        text += &format!("Host {name}\n  HostName={}\n", hop.host);
        for option in options(&hop) {
            text += &format!("  {option}\n");
        }
        text += &format!("  ProxyJump={before}\n");
        before = name;
    }
    text + &format!(
        "Match all\n  Include {}\n  Include {}\n",
        path(own),
        path(&ssh::everybodys("ssh_config"))
    )
}

fn hop_name(number: usize) -> String {
    format!("dwenv-hop-{number}")
}

/// What is known of one machine, in the words of ssh_config(5).
fn options(endpoint: &Endpoint) -> Vec<String> {
    let mut options = vec![
        format!("Port={}", endpoint.port),
        format!("User={}", endpoint.user),
        format!("ConnectTimeout={}", endpoint.timeout.as_secs()),
    ];
    let identities = endpoint.identities.iter();
    options.extend(identities.map(|file| format!("IdentityFile={}", path(file))));
    if endpoint.agent != Agent::All {
        options.push("IdentitiesOnly=yes".to_owned());
    }
    match &endpoint.host_key {
        HostKeyPolicy::Pinned { machine_id, file } => options.extend([
            "StrictHostKeyChecking=accept-new".to_owned(),
            format!("HostKeyAlias={machine_id}"),
            format!("UserKnownHostsFile={}", path(file)),
            "LogLevel=ERROR".to_owned(),
        ]),
        HostKeyPolicy::KnownHosts {
            files,
            accept_new,
            alias,
        } => {
            let check = if *accept_new { "accept-new" } else { "yes" };
            let files: Vec<String> = files.iter().map(|file| path(file)).collect();
            options.push(format!("StrictHostKeyChecking={check}"));
            options.push(format!("UserKnownHostsFile={}", files.join(" ")));
            options.extend(alias.as_ref().map(|alias| format!("HostKeyAlias={alias}")));
        }
    }
    options
}

/// A path as one word, in which nothing is filled in.
fn path(file: &Path) -> String {
    format!("\"{}\"", file.display().to_string().replace('%', "%%"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn endpoint(name: &str, identity: &str, alias: Option<&str>) -> Endpoint {
        Endpoint {
            name: name.to_owned(),
            host: format!("{name}.lab"),
            port: 2222,
            user: "anna".to_owned(),
            identities: vec![identity.into()],
            agent: Agent::None,
            unused: Vec::new(),
            password: None,
            host_key: HostKeyPolicy::KnownHosts {
                files: vec!["/k/a b".into(), "/k/c".into()],
                accept_new: false,
                alias: alias.map(str::to_owned),
            },
            timeout: Duration::from_secs(7),
            via: Vec::new(),
        }
    }

    #[test]
    fn openssh_goes_the_same_way_with_the_same_keys() {
        let mut there = endpoint("there", "/keys/there", None);
        there.via = vec![
            endpoint("gate", "/keys/100%", Some("gates")),
            endpoint("inner", "/keys/inner", None),
        ];
        let expected = [
            "Host dwenv-hop-1",
            "  HostName=gate.lab",
            "  Port=2222",
            "  User=anna",
            "  ConnectTimeout=7",
            "  IdentityFile=\"/keys/100%%\"",
            "  IdentitiesOnly=yes",
            "  StrictHostKeyChecking=yes",
            "  UserKnownHostsFile=\"/k/a b\" \"/k/c\"",
            "  HostKeyAlias=gates",
            "  ProxyJump=none",
            "Host dwenv-hop-2",
            "  HostName=inner.lab",
            "  Port=2222",
            "  User=anna",
            "  ConnectTimeout=7",
            "  IdentityFile=\"/keys/inner\"",
            "  IdentitiesOnly=yes",
            "  StrictHostKeyChecking=yes",
            "  UserKnownHostsFile=\"/k/a b\" \"/k/c\"",
            "  ProxyJump=dwenv-hop-1",
            "Match all",
            "  Include \"/home/anna/.ssh/config\"",
        ];
        let text = way_text(&there, Path::new("/home/anna/.ssh/config"));
        let lines: Vec<&str> = text.lines().take(expected.len()).collect();
        assert_eq!(lines, expected);
        let arguments = |endpoint: &Endpoint| -> Vec<String> {
            let command = openssh(endpoint, None, &[]);
            let words = command.get_args().map(|word| word.to_string_lossy());
            words.map(std::borrow::Cow::into_owned).collect()
        };
        assert!(arguments(&there).contains(&"ProxyJump=dwenv-hop-2".to_owned()));
        there.via.clear();
        assert!(arguments(&there).contains(&"ProxyJump=none".to_owned()));
    }
}
