//! How a venue's network is set up in a box, and taken away again.

use std::collections::BTreeSet;

use super::super::Plan;
use super::super::apt;
use super::super::docker::facts::{CONFIG, Host};
use super::super::docker::start_again;
use super::super::files::{self, BoxFile, KEEP, WRITTEN};
use super::super::system::Login;
use super::facts::{ARCHIVE, Daemon, Found};
use super::files::{
    APT, DAEMON, MIRRORS, ORIGINALS, SHELLS, SOURCES, UNIT, link, of_certificates, of_docker,
    of_proxy,
};
use super::{Drift, docker};
use crate::facts::Facts;
use crate::provision::outcome::Difference;
use crate::quote;
use crate::workshop::Workshop;

/// The daemon again, if it runs: one that does not reads its files when it starts.
fn restart() -> String {
    format!(
        "systemctl daemon-reload\n\
         systemctl reset-failed docker.service 2>/dev/null || true\n\
         if systemctl -q is-active docker.service; then\n{}fi\n",
        start_again()
    )
}

pub fn plan(workshop: &Workshop, facts: &Facts, drift: &Drift) -> Plan {
    let found = facts.get::<Found>();
    let host = facts.get::<Host>();
    let login = facts.get::<Login>();
    let (Ok(found), Ok(login)) = (found.as_ref(), login.as_ref()) else {
        return Plan::leave("what the box has for its network is not known");
    };
    if let (Ok(host), Drift::DockerUntold(_) | Drift::DaemonStale) = (host.as_ref(), drift)
        && let Some(said) = &host.refusal
    {
        return Plan::leave(format!(
            "Docker would not start again, since it refuses {CONFIG}: {said}"
        ));
    }
    match drift {
        Drift::ProxyUntold(paths) => {
            let files = of_proxy(workshop, &login.user);
            let (write, stdin) = files::write_script(&files);
            Plan::script_reading(
                "Tell apt and login shells of the network's proxy",
                write,
                stdin,
            )
            .with_secret(files::hold_secret(&files))
            .showing(new_files(&files, paths, found))
        }
        Drift::Untrusted(paths) => {
            let files = of_certificates(&workshop.venue);
            let (write, stdin) = files::write_script(&files);
            let need = apt::need_script("update-ca-certificates", "ca-certificates");
            Plan::script_reading(
                "Trust the network's certificate authorities",
                format!("{write}umask 022\n{need}{UPDATE_TRUST}"),
                stdin,
            )
            .showing(new_files(&files, paths, found))
        }
        Drift::OtherArchives(others) => {
            let mirror = workshop.venue.apt_mirror.as_deref().unwrap_or_default();
            Plan::script(
                format!("Have apt install from {mirror}"),
                mirror_script(mirror),
            )
            .showing(vec![other_archives(others, mirror)])
        }
        Drift::DockerUntold(paths) => match host.as_ref() {
            Ok(host) => tell_docker(workshop, found, host, paths),
            Err(unobserved) => Plan::leave(unobserved.0.clone()),
        },
        Drift::DaemonStale => Plan::script(
            "Start Docker again, with the network's settings; its containers stop",
            restart(),
        ),
        Drift::Left(paths) => match host.as_ref() {
            Ok(host) => take_away(found, host, paths),
            Err(unobserved) => Plan::leave(unobserved.0.clone()),
        },
    }
}

/// Has programs trust the certificates that are there. It adds to the bundle that an earlier one left half made.
const UPDATE_TRUST: &str =
    "rm -f /etc/ssl/certs/ca-certificates.crt.new\nran update-ca-certificates\n";

/// What `--diff` shows of files that are not there yet. What is a secret is not shown, nor is what a file says
/// now: that may be one.
fn new_files(files: &[BoxFile], paths: &[String], found: &Found) -> Vec<Difference> {
    let is_shown = |file: &&BoxFile| {
        file.mode != "600" && paths.contains(&file.path) && !found.there.contains(&file.path)
    };
    let shown = files.iter().filter(is_shown).map(|file| Difference {
        subject: file.path.clone(),
        text: files::unified_diff(&file.path, "", &file.content),
    });
    shown.collect()
}

fn settings_file(content: String) -> BoxFile {
    BoxFile {
        path: CONFIG.to_owned(),
        owner: "root".to_owned(),
        mode: "644",
        content,
    }
}

fn list(mirrors: &[String]) -> BoxFile {
    BoxFile {
        path: MIRRORS.to_owned(),
        owner: "root".to_owned(),
        mode: "644",
        content: mirrors.iter().map(|url| format!("{url}\n")).collect(),
    }
}

fn changed_settings(host: &Host, content: &str) -> Difference {
    let old = host.config.clone().unwrap_or_default();
    Difference {
        subject: CONFIG.to_owned(),
        text: files::unified_diff(CONFIG, &old, content),
    }
}

fn tell_docker(workshop: &Workshop, found: &Found, host: &Host, paths: &[String]) -> Plan {
    let wanted = &workshop.venue.registry_mirrors;
    let mut files = of_docker(workshop);
    let mut shown = new_files(&files, paths, found);
    let mut remove = String::new();
    match docker::merged(wanted, found, host) {
        Err(error) => {
            return Plan::leave(format!(
                "{CONFIG} is somebody's own, and what was meant cannot be known: {error}"
            ));
        }
        Ok(None) => {}
        Ok(Some(content)) => {
            let ours = docker::ours(wanted, found, host);
            // Noted before it is so: what is cut in between is still known as dwenv's.
            let mut both = ours.clone();
            both.extend(
                found
                    .mirrors
                    .iter()
                    .filter(|url| !ours.contains(url))
                    .cloned(),
            );
            files.push(list(&both));
            shown.push(changed_settings(host, &content));
            if content.is_empty() {
                remove.push_str(&format!("rm -f {CONFIG}\n"));
            } else {
                files.push(settings_file(content));
            }
            files.push(list(&ours));
        }
    }
    let (write, stdin) = files::write_script(&files);
    let title = match found.daemon {
        Daemon::Off => "Tell Docker's daemon of the network",
        _ => "Tell Docker's daemon of the network, and start it again; its containers stop",
    };
    Plan::script_reading(title, format!("{write}{remove}{}", restart()), stdin)
        .with_secret(files::hold_secret(&files))
        .showing(shown)
}

/// The addresses that the mirror takes the place of.
fn other_archives(others: &[String], mirror: &str) -> Difference {
    let line = |url: &String| format!("-{url}\n+{mirror}/…\n");
    Difference {
        subject: "apt's sources".to_owned(),
        text: others.iter().map(line).collect(),
    }
}

/// Puts the mirror in the place of the distribution's archives, wherever apt's sources name them. How a file
/// was is kept, once.
fn mirror_script(mirror: &str) -> String {
    format!(
        r##"mkdir -p {ORIGINALS}; touch {WRITTEN}
for file in {sources}; do
  [ -e "$file" ] || continue
  new=$file.dwenv-new
  sed -E '/^(deb|URIs:)/ s#{ARCHIVE}([[:space:]]|$)#{mirror}/\2\3\4#g' "$file" >"$new"
  if cmp -s "$file" "$new"; then rm -f "$new"; continue; fi
  orig={ORIGINALS}/${{file##*/}}
  if [ ! -e "$orig" ]; then
    cp -a "$file" "$orig.new"; sync "$orig.new"; mv -T "$orig.new" "$orig"
  fi
  chmod 644 "$new"; sync "$new"
  sum=$(sha256sum <"$new"); echo "${{sum%% *}} $file" >>{WRITTEN}
  mv -T "$new" "$file"
done
"##,
        sources = SOURCES.join(" "),
    )
}

/// Puts the files of apt's sources back as they were; one that somebody edited since is kept.
fn restore_script() -> String {
    format!(
        r#"for file in {sources}; do
  orig={ORIGINALS}/${{file##*/}}
  [ -e "$orig" ] || continue
  sum=$(sha256sum <"$file") || sum=gone
  if [ "$sum" != gone ] && ! grep -qxF "${{sum%% *}} $file" {WRITTEN}; then
    keep "$file" /var/backups
  fi
  mv -T "$orig" "$file"
done
rm -rf {ORIGINALS}
"#,
        sources = SOURCES.join(" "),
    )
}

/// What is there, and what this declaration does not have. What is Docker's stays as long as Docker is told
/// anything.
pub fn left(workshop: &Workshop, found: &Found) -> Vec<String> {
    let venue = &workshop.venue;
    let certificates = of_certificates(venue);
    let is_declared = |path: &str| match path {
        APT | SHELLS => venue.proxy.is_some(),
        UNIT | DAEMON | MIRRORS => venue.concerns_docker(),
        path if path.starts_with(ORIGINALS) => venue.apt_mirror.is_some(),
        path => certificates
            .iter()
            .any(|file| path == file.path || path == link(&file.path)),
    };
    let left = found.there.iter().filter(|path| !is_declared(path));
    left.cloned().collect()
}

fn take_away(found: &Found, host: &Host, paths: &[String]) -> Plan {
    let has = |path: &str| paths.iter().any(|left| left == path);
    let is_docker = |path: &&String| [UNIT, DAEMON, MIRRORS].contains(&path.as_str());
    let is_original = |path: &&String| path.starts_with(ORIGINALS);
    let is_certificate = |path: &&String| path.ends_with(".crt") || path.ends_with(".pem");
    let mut script = String::new();
    let mut written = Vec::new();
    let public = paths
        .iter()
        .filter(|path| ![DAEMON, MIRRORS].contains(&path.as_str()));
    let mut shown: Vec<Difference> = public
        .filter(|path| !is_original(path) && !path.ends_with(".pem"))
        .map(|path| Difference {
            subject: path.clone(),
            text: "(taken away)\n".to_owned(),
        })
        .collect();
    let plain: Vec<String> = paths
        .iter()
        .filter(|path| !is_docker(path) && !is_original(path) && !path.ends_with(".pem"))
        .map(|path| quote::sh(path))
        .collect();
    script.push_str(&away());
    for path in plain {
        script.push_str(&format!("away {path}\n"));
    }
    if paths.iter().any(|path| is_certificate(&path)) {
        script.push_str(UPDATE_TRUST);
    }
    // That leaves the links, which lead nowhere now. Last goes the one that tells what there was.
    let links: BTreeSet<String> = paths
        .iter()
        .filter(is_certificate)
        .map(|path| link(path))
        .collect();
    for link in links {
        let name = link.rsplit('/').next().unwrap_or(&link);
        script.push_str(&format!(
            "find /etc/ssl/certs -type l -lname {} -delete\nrm -f {}\n",
            quote::sh(name),
            quote::sh(&link),
        ));
    }
    if paths.iter().any(|path| is_original(&path)) {
        script.push_str(&restore_script());
    }
    if has(MIRRORS) {
        match docker::merged(&[], found, host) {
            Err(error) => {
                return Plan::leave(format!(
                    "{CONFIG} is somebody's own, and what was meant cannot be known: {error}"
                ));
            }
            Ok(None) => {}
            Ok(Some(content)) => {
                shown.push(changed_settings(host, &content));
                if content.is_empty() {
                    script.push_str(&format!("rm -f {CONFIG}\n"));
                } else {
                    written.push(settings_file(content));
                }
            }
        }
    }
    let (write, stdin) = match written.as_slice() {
        [] => (String::new(), String::new()),
        files => files::write_script(files),
    };
    script.push_str(&write);
    let mut title = "Take away what an earlier network needed".to_owned();
    if paths.iter().any(|path| is_docker(&path)) {
        title.push_str(", and start Docker again; its containers stop");
        // Last goes what tells the next run that this one came to its end.
        script.push_str(&format!(
            "away {UNIT}\n{}rm -f {MIRRORS} {DAEMON}\n",
            restart()
        ));
    }
    Plan::script_reading(title, script, stdin)
        .with_secret(files::hold_secret(&written))
        .showing(shown)
}

/// Takes away one of dwenv's own files. What somebody edited is kept, unless it may hold a secret.
fn away() -> String {
    format!(
        r#"{KEEP}away() {{
  if [ "$(stat -c %a "$1" 2>/dev/null)" = 644 ]; then
    sum=$(sha256sum <"$1")
    grep -qsxF "${{sum%% *}} $1" {WRITTEN} || keep "$1" /var/backups
  fi
  rm -f "$1"
}}
"#
    )
}

pub fn predict(workshop: &Workshop, facts: &Facts, drift: &Drift) {
    let user = facts.get::<Login>();
    let user = user.as_ref().as_ref().map_or("", |login| &login.user);
    let wanted = &workshop.venue.registry_mirrors;
    match drift {
        Drift::ProxyUntold(_) => {
            facts.predict::<Found>(|found| found.expect(&of_proxy(workshop, user)));
        }
        Drift::Untrusted(_) => facts.predict::<Found>(|found| {
            let files = of_certificates(&workshop.venue);
            found.expect(&files);
            found
                .trusted
                .extend(files.into_iter().map(|file| file.path));
        }),
        Drift::OtherArchives(_) => facts.predict::<Found>(|found| {
            let mirror = workshop.venue.apt_mirror.clone().unwrap_or_default();
            found.archives = vec![format!("{mirror}/")];
        }),
        Drift::DockerUntold(_) => {
            settle_settings(facts, wanted);
            facts.predict::<Found>(|found| {
                found.expect(&of_docker(workshop));
                found.mirrors.clone_from(wanted);
                if found.daemon == Daemon::Stale {
                    found.daemon = Daemon::Current;
                }
            });
        }
        Drift::DaemonStale => facts.predict::<Found>(|found| found.daemon = Daemon::Current),
        Drift::Left(paths) => {
            if paths.iter().any(|path| path == MIRRORS) {
                settle_settings(facts, &[]);
            }
            facts.predict::<Found>(|found| {
                found.there.retain(|path| !paths.contains(path));
                if paths.iter().any(|path| path == MIRRORS) {
                    found.mirrors.clear();
                }
            });
        }
    }
}

fn settle_settings(facts: &Facts, wanted: &[String]) {
    let found = facts.get::<Found>();
    if let Ok(found) = found.as_ref() {
        facts.predict::<Host>(|host| {
            if let Ok(Some(content)) = docker::merged(wanted, found, host) {
                host.config = Some(content).filter(|content| !content.is_empty());
            }
        });
    }
}
