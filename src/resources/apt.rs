//! The script that has apt install packages, on a bad link and after an interrupted run.

use super::change::Install;
use crate::quote;

/// `apt` that asks nothing, and `patiently` for what does not wait for a lock by itself.
const APT: &str = r#"export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a APT_LISTCHANGES_FRONTEND=none
apt() {
  apt-get -q -y -o DPkg::Lock::Timeout=600 -o Acquire::Retries=5 -o Acquire::http::Timeout=30 \
    -o Acquire::https::Timeout=30 -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confdef \
    -o Dpkg::Options::=--force-confold -o APT::Status-Fd=3 -o APT::Update::Error-Mode=any \
    -o APT::Install-Recommends=false "$@" 3>&1 </dev/null
}
# Neither dpkg itself nor apt with its package lists waits for a lock.
patiently() {
  tries=300
  until said=$("$@" 2>&1); do
    case $said in
      *"locked by another process"*|*"ould not get lock"*) echo "waiting for another apt or dpkg to end" ;;
      *) echo "$said"; exit 1 ;;
    esac
    tries=$((tries - 1)); [ $tries -gt 0 ] || { echo "$said"; exit 1; }
    sleep 2
  done
}
"#;

/// Finishes what an interrupted run left.
const FINISH: &str = r#"if [ -n "$(ls /var/lib/dpkg/updates)" ] || [ -n "$(dpkg --audit)" ]; then
  echo "dpkg is at work, or was interrupted before: its work is finished first"
  patiently dpkg --force-confdef --force-confold --configure -a
  apt -f install
fi
"#;

/// Finishes the work of a dpkg that was interrupted, and installs nothing else.
#[must_use]
pub fn finish_script() -> String {
    format!("{APT}{FINISH}")
}

/// Installs packages: repairs an interrupted dpkg first, waits for apt's locks, and retries downloads. apt
/// itself downloads everything before it unpacks the first package.
///
/// A name with `-` behind it is removed in the same transaction.
#[must_use]
pub fn install_script(install: &Install) -> String {
    let quoted = |name: &String| quote::sh(name);
    let names: Vec<String> = install.packages.iter().map(quoted).collect();
    let names = names.join(" ");
    let settings = settings(install);
    format!(
        r#"{APT}{FINISH}{settings}patiently apt update
apt install {names}
"#
    )
}

/// Has a program there that a script needs, from this package. An archive that does not answer is
/// no reason to stop: what apt knew before may do.
#[must_use]
pub fn need_script(program: &str, package: &str) -> String {
    format!(
        r#"{APT}if ! command -v {program} >/dev/null; then
{FINISH}(patiently apt update) || echo "not all archives of apt answer"
apt install {package}
fi
"#
    )
}

/// Puts the settings in place, and has them gone however the script ends.
fn settings(install: &Install) -> String {
    if install.settings.is_empty() {
        return String::new();
    }
    let paths: Vec<String> = install
        .settings
        .keys()
        .map(|path| quote::sh(path))
        .collect();
    let mut script = format!(
        "trap 'rm -f \"$@\"' EXIT\ntrap 'exit 1' HUP INT TERM\nset -- {}\n",
        paths.join(" ")
    );
    for (path, content) in &install.settings {
        let (path, content) = (quote::sh(path), quote::sh(content));
        script.push_str(&format!(
            "mkdir -p \"$(dirname {path})\"\nprintf %s {content} >{path}\n"
        ));
    }
    script
}
