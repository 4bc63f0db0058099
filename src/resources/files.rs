//! Files that dwenv puts into the box: written beside, synced, renamed; edited ones are kept.

use std::time::Duration;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::docker::facts::{CONFIG, VALIDATE};
use crate::date;
use crate::facts::Facts;
use crate::quote;

/// A file as it shall be in the box.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BoxFile {
    /// Absolute path in the box.
    pub path: String,
    /// The user that owns it; its group is that user's login group.
    pub owner: String,
    /// Octal permissions, such as `644`.
    pub mode: &'static str,
    #[serde(skip)]
    pub content: String,
}

/// The line by which a script says that it kept a file, before the path.
pub const KEPT: &str = "dwenv-kept ";

/// Keeps a file as it was, beside it or in another folder: PATH [FOLDER]. No two have the same name.
pub const KEEP: &str = r#"keep() {
  kept=${2:-${1%/*}}/${1##*/}.orig-$(date -u +%Y%m%dT%H%M%SZ) number=1 more=
  while [ -e "$kept$more" ]; do number=$((number + 1)); more=-$number; done
  cp -a "$1" "$kept$more"; sync "$kept$more"
  printf 'dwenv-kept %s\n' "$kept$more"
}
"#;

/// The SHA-256 of everything that dwenv ever wrote to a path, or into a file of somebody's own: what is not among them
/// was edited by somebody.
pub const WRITTEN: &str = "/var/lib/dwenv/written";

/// Writes one file from the script's stdin: PATH OWNER MODE LENGTH.
///
/// A file that only its owner may read is a secret: neither a copy nor a sum of it is kept.
///
/// A file that a program on the box can verify is put in place only when that has nothing against it. Of what systemd
/// says, a line that it ignores counts, but not a key of a newer release, nor what other units have.
const PUT: &str = r#"umask 077
check() {
  case $1 in
    /etc/systemd/system/*.service|/etc/systemd/system/*.service.d/*.conf)
      command -v systemd-analyze >/dev/null || return 0
      file=${1#/etc/systemd/system/} unit=${file%%/*}; unit=${unit%.d}
      folder=$(mktemp -d /run/dwenv-check.XXXXXX); mkdir "$folder/$unit.d"
      # The unit that a drop-in is for; without it nothing is said of the drop-in.
      for place in /lib/systemd/system /etc/systemd/system; do
        [ ! -f "$place/$unit" ] || cp "$place/$unit" "$folder/$unit"
      done
      cp "$2" "$folder/$file"
      kinds=ignoring
      said=$(systemd-analyze verify --man=no "$folder/$unit" 2>&1) || kinds=
      said=$(echo "$said" | sed "s#$folder/##g"); rm -rf "$folder"
      echo "$said"
      said=$(echo "$said" | grep -F "$file" | grep -i "$kinds" | grep -v 'Unknown') || return 0
      ;;
    /etc/docker/daemon.json)
      said=$(validate --config-file "$2") || true
      case $said in *'unable to configure'*) ;; *) return 0 ;; esac
      ;;
    *) return 0 ;;
  esac
  rm -f "$2"
  echo "$1 is left as it is, because the new one is wrong:"; echo "$said"
  exit 1
}
put() {
  new=$1.dwenv-new
  head -c "$4" >"$new"
  if [ "$(wc -c <"$new")" -ne "$4" ]; then
    rm -f "$new"; echo "the content of $1 did not come whole" >&2; exit 1
  fi
  check "$1" "$new"
  chown "$2:" "$new"; chmod "$3" "$new"; sync "$new"
  # Docker makes an empty folder of a file that it shall mount and that is not there.
  if [ -d "$1" ] && [ ! -L "$1" ]; then rmdir "$1"; fi
  if [ "$3" = 600 ]; then mv -T "$new" "$1"; return; fi
  sum=$(sha256sum <"$new"); sum=${sum%% *}
  if [ -e "$1" ]; then
    old=$(sha256sum <"$1"); old=${old%% *}
    if [ "$old" != "$sum" ] && ! grep -qxF "$old $1" "$written"; then
      keep "$1"
    fi
  fi
  grep -qxF "$sum $1" "$written" || printf '%s\n' "$sum $1" >>"$written"
  mv -T "$new" "$1"
}
"#;

/// The script that writes `files`, and what goes to its stdin.
#[must_use]
pub fn write_script(files: &[BoxFile]) -> (String, String) {
    let mut script = format!(
        "written={WRITTEN}; mkdir -p {}; touch \"$written\"\n{KEEP}{PUT}",
        parent(WRITTEN)
    );
    if files.iter().any(|file| file.path == CONFIG) {
        script.push_str(VALIDATE);
    }
    let mut stdin = String::new();
    let mut folders: Vec<(&str, &str)> = Vec::new();
    for file in files {
        let folder = (parent(&file.path), file.owner.as_str());
        if !folders.contains(&folder) {
            folders.push(folder);
            script.push_str(&format!(
                "[ -d {folder} ] || install -d -o {owner} -g \"$(id -gn {owner})\" {folder}\n",
                folder = quote::sh(folder.0),
                owner = quote::sh(folder.1),
            ));
        }
        script.push_str(&format!(
            "put {} {} {} {}\n",
            quote::sh(&file.path),
            quote::sh(&file.owner),
            file.mode,
            file.content.len()
        ));
        stdin.push_str(&file.content);
    }
    (script, stdin)
}

/// Commands that somebody types in the box, by which a file is kept as it was and not lost by a second typing. The
/// name says when it was looked at, as that of a file that a script keeps says when it was kept.
pub struct Keeping(String);

impl Keeping {
    #[must_use]
    pub fn of(facts: &Facts) -> Self {
        let moment = date::moment(Duration::from_secs(facts.records().taken_at));
        let moment = moment.split('.').next().unwrap_or_default();
        Self(format!(".orig-{}Z", moment.replace(['-', ':'], "")))
    }

    /// What a file is called that is kept beside this one.
    #[must_use]
    pub fn name(&self, path: &str) -> String {
        format!("{path}{}", self.0)
    }

    /// A copy beside.
    #[must_use]
    pub fn copy(&self, path: &str) -> String {
        self.command("cp -a", path)
    }

    /// Out of the way.
    #[must_use]
    pub fn set_aside(&self, path: &str) -> String {
        self.command("mv", path)
    }

    fn command(&self, verb: &str, path: &str) -> String {
        let (from, to) = (quote::sh(path), quote::sh(&self.name(path)));
        format!("sudo {verb} -T --backup=numbered {from} {to}")
    }
}

/// Whether the content of one of them is a secret.
#[must_use]
pub fn hold_secret(files: &[BoxFile]) -> bool {
    files.iter().any(|file| file.mode == "600")
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("/", |(folder, _)| folder)
}

#[must_use]
pub fn sha256(content: &str) -> String {
    let digest = Sha256::digest(content.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A unified diff from what is in the box to what shall be.
#[must_use]
pub fn unified_diff(path: &str, old: &str, new: &str) -> String {
    similar::TextDiff::from_lines(old, new)
        .unified_diff()
        .header(
            &format!("{path} (in the box)"),
            &format!("{path} (declared)"),
        )
        .to_string()
}
