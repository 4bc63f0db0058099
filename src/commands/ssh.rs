//! Logs in to the box, or runs a command there, with the laptop's own OpenSSH: it has the terminal.

use std::process::{Command, Stdio};

use super::Environment;
use super::boxes::Remote;
use crate::error::{Error, ExitCode, Result};
use crate::quote;
use crate::transport::endpoint::{Endpoint, HostKeyPolicy};
use crate::workshop::Secrets;

/// Ends as the command did, so that scripts can build on it; what ended by a signal counts as failed.
pub async fn run(environment: &Environment, command: &[String]) -> Result<std::process::ExitCode> {
    let workshop = environment.workshop(Secrets::Leave).await?;
    let target = environment.one_target(&workshop)?;
    let remote = Remote::find(environment, &workshop, &target).await;
    let endpoint = remote.located()?.endpoint;
    let status = environment
        .with_terminal(|| openssh(&endpoint, command).status())
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
fn openssh(endpoint: &Endpoint, command: &[String]) -> Command {
    let mut ssh = Command::new("ssh");
    ssh.args(["-p", &endpoint.port.to_string(), "-l", &endpoint.user]);
    for identity in &endpoint.identities {
        ssh.arg("-i").arg(identity);
    }
    if !endpoint.use_agent {
        ssh.args(["-o", "IdentitiesOnly=yes"]);
    }
    ssh.args([
        "-o",
        &format!("ConnectTimeout={}", endpoint.timeout.as_secs()),
    ]);
    match &endpoint.host_key {
        HostKeyPolicy::Pinned { machine_id, file } => {
            ssh.args(["-o", "StrictHostKeyChecking=accept-new"]);
            ssh.args(["-o", &format!("HostKeyAlias={machine_id}")]);
            ssh.args(["-o", &format!("UserKnownHostsFile=\"{}\"", file.display())]);
            ssh.args(["-o", "LogLevel=ERROR"]);
        }
        HostKeyPolicy::KnownHosts { files, accept_new } => {
            let check = if *accept_new { "accept-new" } else { "yes" };
            ssh.args(["-o", &format!("StrictHostKeyChecking={check}")]);
            let quoted: Vec<String> = files
                .iter()
                .map(|file| format!("\"{}\"", file.display()))
                .collect();
            ssh.args(["-o", &format!("UserKnownHostsFile={}", quoted.join(" "))]);
        }
    }
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
