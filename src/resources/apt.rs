//! The script that has apt install packages, on a bad link and after an interrupted run.

use super::change::Install;
use super::releases;
use crate::quote;

/// `apt` that asks nothing, and `patiently` for what does not wait for a lock by itself.
const APT: &str = r#"export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a APT_LISTCHANGES_FRONTEND=none
# Translations are a fifth of the work with the lists. Where somebody has them they are kept.
languages=
ls /var/lib/apt/lists/*_i18n_Translation-* >/dev/null 2>&1 || languages="-o Acquire::Languages=none"
apt() {
  apt-get -q -y -o DPkg::Lock::Timeout=600 -o Acquire::Retries=5 -o Acquire::http::Timeout=30 \
    -o Acquire::https::Timeout=30 -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confdef \
    -o Dpkg::Options::=--force-confold -o APT::Status-Fd=3 -o APT::Update::Error-Mode=any \
    -o APT::Install-Recommends=false $languages "$@" 3>&1 </dev/null
}
# Neither dpkg itself nor apt with its package lists waits for a lock. Both say which process holds it, and dpkg
# not what that is called. What they say is told as they say it, but for that.
patiently() {
  tries=300
  while said=$({ status=0; "$@" 2>&1 || status=$?; echo "status $status"; } | told); [ "${said##*status }" != 0 ]; do
    case $said in
      *"locked by another process"*|*"ould not get lock"*) ;;
      *) exit 1 ;;
    esac
    tries=$((tries - 1)); [ $tries -gt 0 ] || { echo "$said"; exit 1; }
    holder=$(echo "$said" | sed -n 's/.*\(held by process\|with pid\) \([0-9]\{1,\}\).*/\2/p' | head -n 1)
    who="another apt or dpkg"
    if [ -n "$holder" ]; then
      who="process $holder"
      if read -r name <"/proc/$holder/comm"; then who="$name (process $holder)"; fi 2>/dev/null
    fi
    echo "waiting for $who to end"
    sleep 2
  done
} 4>&1
is_unfinished() { [ -n "$(ls /var/lib/dpkg/updates)" ] || [ -n "$(command dpkg --audit)" ]; }
told() {
  while IFS= read -r line; do
    printf '%s\n' "$line"
    case $line in
      "status "*|*"locked by another process"*|*"ould not get lock"*|*"emoving the lock file"*|"E: Unable to lock "*) ;;
      *) printf '%s\n' "$line" >&4 ;;
    esac
  done
}
"#;

/// Finishes what an interrupted run left.
const FINISH: &str = r#"if is_unfinished; then
  echo "dpkg is at work, or was interrupted before: its work is finished first"
  # A package whose needs were never unpacked cannot be configured before apt has fetched them.
  (patiently ran dpkg --force-confdef --force-confold --configure -a) || echo "apt goes on from here"
  # Only what dwenv itself was about to install may remove something.
  remove=--no-remove; [ ! -e "${unsynced:-}" ] || remove=
  apt $remove -f install || {
    echo "perhaps the archives have newer packages by now: their lists are fetched"
    patiently apt update
    apt $remove -f install
  }
fi
"#;

/// Stands while packages are written without a sync each: its first line is the boot of the box in which that was,
/// the others name files that stand no longer than it.
///
/// A process that is killed loses nothing that it wrote, a box that loses its power may. So the mark is on the
/// disk before the first of these writes, and goes when all of them are.
pub const UNSYNCED: &str = "/var/lib/dwenv/unsynced";

/// `begin_unsynced` and `end_unsynced` around what need not sync each file, and `settle` for what is left where that was
/// cut.
const UNSYNCED_WRITES: &str = r#"boot() { read -r boot </proc/sys/kernel/random/boot_id; }
begin_unsynced() {
  boot; mkdir -p "${unsynced%/*}"
  printf '%s\n' "$boot" "$@" >"$unsynced.part"
  sync "$unsynced.part"; mv -f "$unsynced.part" "$unsynced"; sync "${unsynced%/*}"
}
end_unsynced() {
  sed 1d "$unsynced" | while read -r file; do rm -f "$file"; done
  sync; rm -f "$unsynced"
}
# A cluster that was being made is made once more, unless somebody has put something into it: PostgreSQL numbers
# its own things below 16384.
is_empty() {
  if [ ! -d "$1/base" ] && [ -n "$(find "$1" -type f 2>/dev/null | head -n 1)" ]; then
    echo "$1 is no cluster: it is left as it is"; return 1
  fi
  for file in "$1"/base/* "$1"/base/*/*; do
    number=${file##*/}
    case $number in ''|*[!0-9]*) continue ;; esac
    [ "$number" -lt 16384 ] || { echo "$1 holds somebody's tables: it is left as it is"; return 1; }
  done
}
# What the package makes is called main, and lies where Debian has it. Its last file is called environment.
clear_half_made() {
  half_made=
  for place in /etc/postgresql/[0-9]*/main /var/lib/postgresql/[0-9]*/main; do
    name=${place#*/postgresql/}; data=/var/lib/postgresql/$name conf=/etc/postgresql/$name
    [ -d "$place" ] || continue
    if [ -d "$conf" ] && [ ! "$conf" -nt "$unsynced" ]; then continue; fi
    if [ -e "$data/PG_VERSION" ] && [ ! "$data/PG_VERSION" -nt "$unsynced" ]; then continue; fi
    if grep -s '^data_directory' "$conf/postgresql.conf" | grep -qvF "'$data'"; then continue; fi
    if [ -e "$conf/environment" ] && [ -s "$data/PG_VERSION" ] && [ -z "$lost" ]; then continue; fi
    is_empty "$data" || continue
    echo "the cluster $name of PostgreSQL was being made: it is made once more"
    systemctl stop "postgresql@${name%/*}-${name#*/}" || true
    rm -rf "$data" "$conf"
    half_made="$half_made $name"
  done
}
make_cleared() {
  for name in $half_made; do
    [ -e "/etc/postgresql/$name" ] || pg_createcluster --start "${name%/*}" "${name#*/}"
  done
}
settle() {
  [ -e "$unsynced" ] || return 0
  # What is started from here on is waited for.
  for file in "$policy" "$policy.part"; do ! grep -qxF "$file" "$unsynced" || rm -f "$file"; done
  boot; read -r cut <"$unsynced" || cut=
  lost=; [ "$cut" = "$boot" ] || lost=1
  clear_half_made
  if [ -n "$lost" ]; then
    echo "the box lost its power while packages were written: they are installed once more"
    (finish) || true
    for list in $(find /var/lib/dpkg/info -name '*.list' -newer "$unsynced" -printf '%f\n'); do
      name=${list%.list}
      if dpkg -s "$name" 2>/dev/null | grep -q '^Status: .* ok installed$'; then set -- "$@" "$name"; fi
    done
    [ $# -eq 0 ] || { patiently apt update; apt --reinstall install "$@"; }
  fi
  finish
  make_cleared
  end_unsynced
}
"#;

/// Where Debian asks whether a package may start a service. What is there already is somebody's.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// The services that the workshop's packages start are asked for, and not waited for: they start while the other
/// packages are set up. PostgreSQL's own start sleeps for two seconds after its server answers.
const START_UNWAITED: &str = r#"start_unwaited() {
  cat >"$policy.part" <<'END'
#!/bin/sh
case "$2 $1" in
  # What is asked in brackets does not happen where nobody is there to be asked.
  "("*) exit 101 ;;
  "start containerd.service"|"start docker.service"|"start docker.socket"|"start postgresql"|"start postgresql.service")
    if systemctl -q is-enabled "$1"; then systemctl --no-block start "$1"; exit 101; fi ;;
esac
exit 104
END
  chmod 755 "$policy.part"
  mv "$policy.part" "$policy"
}
# PostgreSQL's server is what the next step talks to. Where it does not start, that is told there.
await_postgresql() {
  tries=1200
  for ready in /usr/lib/postgresql/*/bin/pg_isready; do :; done
  until [ -z "$(systemctl show --value -p Job 'postgresql@*.service' | tr -d '\n')" ] || [ $tries -le 0 ]; do
    for socket in /run/postgresql/.s.PGSQL.*[0-9]; do
      if [ -S "$socket" ] && "$ready" -q -h /run/postgresql -p "${socket##*.}"; then return 0; fi
    done
    tries=$((tries - 1)); sleep 0.05
  done
}
"#;

/// Finishes the work of a dpkg that was interrupted, and installs nothing else.
#[must_use]
pub fn finish_script() -> String {
    format!("{}settle\nfinish\n", means())
}

/// PostgreSQL's package counts as installed even where its first cluster could not be made: then this tells why.
const CLUSTER: &str = r#"if [ -z "$(ls /etc/postgresql)" ]; then
  pg_createcluster --start "$(ls /usr/lib/postgresql | sort -n | tail -n 1)" main
fi
"#;

/// What the scripts here are made of.
fn means() -> String {
    let (unsynced, policy) = (quote::sh(UNSYNCED), quote::sh(POLICY));
    format!("unsynced={unsynced}\npolicy={policy}\n{APT}finish() {{\n{FINISH}}}\n{UNSYNCED_WRITES}")
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
    // What has to make way is named in the plan.
    let remove = if install.removes() {
        ""
    } else {
        "--no-remove "
    };
    let settings = begin_with_settings(install);
    let cluster = match install.packages.contains(releases::POSTGRES) {
        true => format!("{CLUSTER}await_postgresql\n"),
        false => String::new(),
    };
    format!(
        r#"{means}{START_UNWAITED}settle
finish
patiently apt update
{settings}apt {remove}-o Dpkg::Options::=--force-unsafe-io install {names} || {{
  status=$?
  # Where nothing was begun, as after a download that failed, nothing is left to finish either.
  is_unfinished || end_unsynced
  exit "$status"
}}
{cluster}end_unsynced
"#,
        means = means(),
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

/// Marks that what follows is not synced, puts the settings in place, and has them gone however the script ends.
fn begin_with_settings(install: &Install) -> String {
    let paths: Vec<String> = install
        .settings
        .keys()
        .map(|path| quote::sh(path))
        .collect();
    let mut script = format!(
        "set -- {}\n[ -e \"$policy\" ] || set -- \"$@\" \"$policy\" \"$policy.part\"\n\
         begin_unsynced \"$@\"\ntrap 'rm -f \"$@\"' EXIT\ntrap 'exit 1' HUP INT TERM\n\
         [ -e \"$policy\" ] || start_unwaited\n",
        paths.join(" "),
    );
    for (path, content) in &install.settings {
        let (path, content) = (quote::sh(path), quote::sh(content));
        script.push_str(&format!(
            "mkdir -p \"$(dirname {path})\"\nprintf %s {content} >{path}\n"
        ));
    }
    script
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;

    /// What the policy answers to these words, and what it had systemd do. Docker's socket is disabled here.
    fn asked(unit: &str, action: &str) -> (Option<i32>, String) {
        let folder = tempfile::tempdir().expect("a folder");
        let place = |name: &str| folder.path().join(name);
        let systemctl = format!(
            "#!/bin/sh\ncase \"$*\" in\n  '-q is-enabled docker.socket') exit 1 ;;\n  -q*) ;;\n  *) echo \"$*\" >>{} ;;\nesac\n",
            quote::sh(&place("calls").display().to_string())
        );
        std::fs::write(place("systemctl"), systemctl).expect("a program");
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(place("systemctl"), mode).expect("a mode");
        let policy = place("policy-rc.d").display().to_string();
        let script = format!(
            "set -eu\npolicy={policy}\n{START_UNWAITED}start_unwaited\nPATH={}:$PATH \"$policy\" {} {}",
            folder.path().display(),
            quote::sh(unit),
            quote::sh(action),
        );
        let ended = Command::new("sh").args(["-c", &script]).status();
        let calls = std::fs::read_to_string(place("calls")).unwrap_or_default();
        assert!(!place("policy-rc.d.part").exists());
        (ended.expect("sh").code(), calls.trim_end().to_owned())
    }

    /// What is left below `/etc/postgresql` and `/var/lib/postgresql` when an installation that was cut is settled.
    /// Files end with a word; the folders and files of `before` are older than the installation.
    fn settled(before: &[&str], since: &[&str]) -> Vec<String> {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().display().to_string();
        let make = |places: &[&str]| {
            for place in places {
                let (path, content) = place.split_once(' ').unwrap_or((place, ""));
                let path = folder.path().join(path);
                std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
                let content = content.replace("ROOT", &root);
                std::fs::write(path, content).expect("a file");
            }
        };
        make(before);
        let script = format!(
            "set -eu\nsystemctl() {{ :; }}\nlost=\nunsynced={root}/unsynced\n{UNSYNCED_WRITES}"
        );
        let script = script.replace("/etc/postgresql", &format!("{root}/etc/postgresql"));
        let script = script.replace("/var/lib/postgresql", &format!("{root}/var/lib/postgresql"));
        let run = |script: &str| {
            let ended = Command::new("sh").args(["-c", script]).output();
            let ended = ended.expect("sh");
            assert!(ended.status.success(), "{ended:?}");
            String::from_utf8(ended.stdout).expect("text")
        };
        run(&format!(
            "find {root} -exec touch -d '1 hour ago' {{}} +; touch -d '1 minute ago' {root}/unsynced"
        ));
        make(since);
        run(&format!("{script}clear_half_made"));
        let left = run(&format!("cd {root}; find etc var -type f | sort"));
        left.lines().map(str::to_owned).collect()
    }

    #[test]
    fn only_a_cluster_that_was_being_made_is_taken_away() {
        // What the package was making, at two moments.
        let begun = ["var/lib/postgresql/17/main/base/1/1259 x"];
        assert!(settled(&[], &begun).is_empty());
        let before_its_last_file = [
            "etc/postgresql/17/main/postgresql.conf data_directory = 'ROOT/var/lib/postgresql/17/main'",
            "var/lib/postgresql/17/main/PG_VERSION 17",
            "var/lib/postgresql/17/main/base/1/1259 x",
        ];
        assert!(settled(&[], &before_its_last_file).is_empty());
        // What is somebody's, however new it is.
        for (before, since) in [
            (
                vec![],
                vec!["var/lib/postgresql/17/wal_archive/000000010000000000000001 x"],
            ),
            (vec![], vec!["var/lib/postgresql/backups/2026/main.dump x"]),
            (vec![], vec!["var/lib/postgresql/17/main/notes.txt x"]),
            (vec![], vec!["var/lib/postgresql/17/main/base/5/16384 x"]),
            (
                vec![],
                vec!["etc/postgresql/15/main/postgresql.conf data_directory = '/srv/postgresql'"],
            ),
            (
                vec!["etc/postgresql/15/main/postgresql.conf port = 5432"],
                vec!["var/lib/postgresql/15/main/postmaster.opts x"],
            ),
        ] {
            let left = settled(&before, &since);
            assert_eq!(
                left.len(),
                before.len() + since.len(),
                "{before:?} {since:?}"
            );
        }
    }

    #[test]
    fn only_the_first_start_of_the_workshops_own_services_is_not_waited_for() {
        let done = (Some(101), "--no-block start docker.service".to_owned());
        assert_eq!(asked("docker.service", "start"), done);
        let done = (Some(101), "--no-block start postgresql".to_owned());
        assert_eq!(asked("postgresql", "start"), done);
        // A disabled one, a restart and somebody else's service are left to Debian's helper.
        for (unit, action) in [
            ("docker.socket", "start"),
            ("docker.service", "restart"),
            ("ssh.service", "start"),
        ] {
            assert_eq!(asked(unit, action), (Some(104), String::new()));
        }
        // What the helper would not do by itself it still does not do.
        for action in ["(start)", "(restart)"] {
            assert_eq!(asked("postgresql", action), (Some(101), String::new()));
        }
    }
}
