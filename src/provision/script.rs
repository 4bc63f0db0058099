//! The program that makes the changes, run as root on the box.
//!
//! It belongs to the box, not to the connection: a transient unit of systemd runs it, and a follower passes on
//! what it writes. When the link is lost the unit goes on, and another follower begins at the last frame that
//! was heard. What a step reads lies in a root-only folder in memory. A secret never lies there: the step asks
//! for it when its turn comes, and the laptop answers over the follower's stdin.

use std::time::Duration;

use crate::facts::program::{self, LOADER, Program, Rights};
use crate::quote;
use crate::resources::apt;
use crate::resources::change::{Action, Script};
use crate::secret::Secret;

use super::plan::Step;

/// One run at a time holds this file locked on the box; it says which run, and whose.
const LOCK: &str = "/run/dwenv.lock";

/// Each run has a folder in here: its program, what its steps read, and what it says.
const RUNS: &str = "/run/dwenv";

/// The ids of the program's frames that are about the whole run.
pub mod said {
    /// The follower begins; what comes after is what the program wrote, byte for byte.
    pub const ATTACHED: &str = "attached";
    /// There is no such run on the box (any more).
    pub const GONE: &str = "gone";
    /// The program's process is no more, and all that it wrote was passed on.
    pub const OVER: &str = "over";
    /// The program could not be started.
    pub const NOT_STARTED: &str = "not-started";
    /// Another run holds the box. The body says who.
    pub const HELD: &str = "held";
    /// The other run has lost its laptop. The body says who began it.
    pub const ABANDONED: &str = "abandoned";
    /// What the other run is doing.
    pub const HELD_STEP: &str = "held-step";
    /// The other run still held the box when the patience was over.
    pub const LOCKED: &str = "locked";
    /// The other run has ended. What was planned before is out of date, so nothing is run.
    pub const WAITED: &str = "waited";
    /// A run that held the box was ended before its end. The body says whose it was.
    pub const TAKEN: &str = "taken";
    /// Somebody asked for it, so no further step is begun.
    pub const STOPPED: &str = "stopped";
    /// Nobody gave a step the secret that it needs.
    pub const UNANSWERED: &str = "unanswered";
    /// Every step was made, or one failed on which others stand.
    pub const ENDED: &str = "ended";
}

/// The ends of the ids of a step's frames, behind its number and a dot. Another is `pulse`: it is still at work.
pub mod step {
    pub const BEGIN: &str = "begin";
    pub const LINE: &str = "line";
    /// It runs this command.
    pub const COMMAND: &str = "command";
    /// The command that it ran last ended, with this status.
    pub const RAN: &str = "ran";
    /// It waits for its secret.
    pub const SECRET: &str = "secret";
    pub const END: &str = "end";
}

/// The longest that one step may take, in seconds: a slow download of all packages.
const STEP_DEADLINE: u32 = 3600;
/// How long a step waits for its secret, in seconds: a laptop that lost its link is back by then, or not soon.
const SECRET_DEADLINE: u32 = 120;

const FRAME: &str = r#"frame() { printf '\n%s %s %s 0 %s\n%s' "$mark" "$1" "$2" "${#3}" "$3"; }
"#;

/// What the unit runs. Its output is a file that only it writes to.
const STEPS: &str = r#"
step() { # NUMBER TITLE SCRIPT SECRET_LENGTH WHERE_IT_FAILS
  if [ -e "$run/stop" ]; then frame stopped 0 ''; exit 0; fi
  printf '%s' "$2" >"$run/current"
  frame "$1.begin" 0 "$2"
  secret=.
  if [ "$4" -gt 0 ]; then
    frame "$1.secret" 0 ''
    # The dot keeps the newlines at its end.
    secret=$(timeout "$secret_deadline" cat "$run/stdin.$1"; echo .)
    if [ "${#secret}" -ne $(($4 + 1)) ]; then frame unanswered 0 ''; exit 0; fi
  fi
  {
    while sleep 1 && printf '\n%s pulse\n' "$mark"; do :; done </dev/null &
    pulse=$!
    if [ "$4" -gt 0 ]; then
      printf '%s' "${secret%.}" | timeout -k 5 "$deadline" sh -eu -c "$3"
    else
      timeout -k 5 "$deadline" sh -eu -c "$3" <"$run/stdin.$1"
    fi
    status=$?
    # Before the status is heard: behind it nobody reads any more.
    kill "$pulse"
    printf '\n%s %s\n' "$mark" "$status"
  } 2>&1 4>&1 8>&- |
  {
    status=1
    while IFS= read -r line || [ -n "$line" ]; do
      case $line in
        "$mark pulse") frame "$1.pulse" 0 '' ;;
        "$mark + "*) frame "$1.command" 0 "${line#"$mark + "}" ;;
        "$mark ! "*) frame "$1.ran" "${line##* }" '' ;;
        "$mark "*) status=${line##* }; break ;;
        *) frame "$1.line" 0 "$line" ;;
      esac
    done
    frame "$1.end" "$status" ''
    exit "$status"
  } || $5
}
finish() { : >"$lock"; frame ended 0 ''; exit 0; }

exec 8>>"$lock"
if ! flock -n 8; then
  # Another may take it over meanwhile; one that ends empties the file before it lets go.
  whose=
  holder() { { read -r who || return 0; read -r mark_of || mark_of=; } <"$lock"; whose=$who; other=${run%/*}/$mark_of; }
  holder
  # Where nobody has its folder's file locked, nobody follows it: it will end by itself. A laptop that is asleep or out
  # of reach seems to, and gives no sign.
  abandoned() {
    [ -e "$other/follow" ] || return 1
    flock -n "$other/follow" true || [ -n "$(find "$other/follow" ! -newermt '1 minute ago')" ]
  }
  told=held
  if abandoned; then told=abandoned; fi
  frame "$told" 0 "$whose"
  waited=0
  until flock -w 1 8; do
    if [ -e "$run/stop" ]; then frame stopped 0 ''; exit 0; fi
    holder
    frame held-step 0 "$(cat "$other/current" 2>/dev/null)"
    if ! abandoned; then waited=$((waited + 1))
    elif [ "$told" = held ]; then told=abandoned; frame abandoned 0 "$whose"; fi
    if [ "$waited" -ge "$patience" ]; then frame locked 0 "$whose"; exit 0; fi
  done
  frame waited 0 ''
  exit 0
fi
if [ -s "$lock" ]; then read -r whose <"$lock"; frame taken 0 "$whose"; fi
printf '%s since %s\n%s\n' "$owner" "$(date -u '+%F %T UTC')" "$mark" >"$lock"
"#;

/// Begins each step's script: the programs that change the box are told as they are run, and how they ended, over a
/// descriptor of their own, so that what they print goes where it went. What they read is not told.
const RAN: &str = r#"ran() {
  ran=$*
  printf '\n%s + %s\n' MARK "${ran%%"
"*}" >&4
  ended=0; "$@" 4>&- || ended=$?
  printf '\n%s ! %s\n' MARK "$ended" >&4
  return "$ended"
}
"#;

/// The programs that are told. A name that a script asks `command -v` for, or that its trap calls, must not be here.
const TOLD: &[&str] = &[
    "apt-get",
    "chmod",
    "chown",
    "cp",
    "dpkg",
    "install",
    "mv",
    "pg_conftool",
    "pg_createcluster",
    "setpriv",
    "sysctl",
    "systemctl",
    "timedatectl",
    "usermod",
];

fn telling(mark: &str) -> String {
    let mut telling = RAN.replace("MARK", mark);
    for name in TOLD {
        telling.push_str(&format!("alias {name}='ran {name}'\n"));
    }
    telling
}

/// Passes on what a run writes, from the byte `$from` on, and hears what the laptop has to say to it.
const FOLLOW: &str = r#"
hear() {
  while read -r word number length; do
    case $word in
      stop) touch "$run/stop" || true ;;
      alive) touch "$run/follow" || true ;;
      kill) systemctl stop "$mark.service" ;;
      secret) head -c "$length" | timeout 10 sh -c 'cat >"$1"' sh "$run/stdin.$number" ;;
    esac
  done
}
follow() {
  if ! [ -s "$run/pid" ]; then frame gone 0 ''; exit 0; fi
  exec 7>>"$run/follow"
  flock -s 7
  touch "$run/follow" || true
  hear <&3 &
  frame attached 0 ''
  tail -c "+$((from + 1))" -s 0.2 -f --pid="$(cat "$run/pid")" "$run/output"
  # What the run has started may end later than the run itself.
  tries=75
  while [ "$(systemctl show -p ActiveState --value "$mark.service")" = deactivating ] && [ "$tries" -gt 0 ]; do
    tries=$((tries - 1)); sleep 0.2
  done
  frame over 0 ''
}
"#;

/// Puts the program and its steps' stdin into the run's folder, and has systemd run it.
const START: &str = r#"
# What ended runs left, unless somebody still reads it.
for old in "${run%/*}"/*/; do
  # Its laptop may have lost the link a moment ago, and come back to hear of its end.
  [ -n "$(find "$old/output" -mmin +5 2>/dev/null)" ] || continue
  if [ -s "$old/pid" ] && ! [ -d "/proc/$(cat "$old/pid")" ] && flock -n "$old/follow" true; then rm -rf "$old"; fi
done
mkdir -p "$run"
: >"$run/follow"
take() { # NAME LENGTH
  head -c "$2" >"$run/$1"
  if [ "$(wc -c <"$run/$1")" -ne "$2" ]; then rm -rf "$run"; exit 1; fi
}
start() {
  if ! said=$(systemd-run --quiet --collect --service-type=exec --unit="$mark" -p TimeoutStopSec=10 -p OOMPolicy=continue \
    sh -c 'exec sh "$1/program" >"$1/output" 2>&1 </dev/null' sh "$run" 2>&1); then
    rm -rf "$run"; frame not-started 0 "$said"; exit 0
  fi
  tries=400
  until [ -s "$run/pid" ] || [ "$tries" -le 0 ]; do tries=$((tries - 1)); sleep 0.05; done
}
"#;

/// How a run is made.
pub struct Manner<'a> {
    pub rights: Rights,
    /// Who begins it, for somebody who finds the box held.
    pub owner: &'a str,
    /// How long another run is waited for.
    pub patience: Duration,
}

/// The program for `steps`: it starts the run and is its first follower.
#[must_use]
pub fn changing(steps: &[Step], manner: &Manner, mark: &str) -> Program {
    let mut program = format!(
        "{}umask 022\ncd /\nlock={LOCK}\nowner={}\npatience={}\ndeadline={STEP_DEADLINE}\n\
         secret_deadline={SECRET_DEADLINE}\necho $$ >\"$run/pid\" || exit 1\n{STEPS}",
        beginning(mark),
        quote::sh(manner.owner),
        manner.patience.as_secs(),
    );
    let mut take = String::new();
    let mut payload = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let script = match &step.change.action {
            Action::Install(install) => Script {
                sh: apt::install_script(install),
                stdin: Secret::new(""),
                holds_secret: false,
            },
            Action::Script(script) => script.clone(),
            Action::Pull(pull) => {
                program.push_str(&format!("deadline={}\n", super::pull::DEADLINE));
                Script {
                    sh: super::pull::script(pull),
                    stdin: Secret::new(""),
                    holds_secret: false,
                }
            }
        };
        let stdin = script.stdin.reveal().as_bytes();
        let asked_for = if script.holds_secret { stdin.len() } else { 0 };
        program.push_str(&format!(
            "step {number} {} {} {asked_for} {}\n",
            quote::sh(&step.change.title),
            quote::sh(&format!("{}{}", telling(mark), script.sh)),
            if step.ends_the_run() { "finish" } else { ":" },
        ));
        if script.holds_secret {
            take.push_str(&format!("mkfifo \"$run/stdin.{number}\"\n"));
        } else {
            take.push_str(&format!("take stdin.{number} {}\n", stdin.len()));
            payload.extend_from_slice(stdin);
        }
    }
    program.push_str("finish\n");
    let body = format!(
        "exec 3<&0\n{}umask 077\n{START}take program {}\n{take}start\nfrom=0\n{FOLLOW}follow\n",
        beginning(mark),
        program.len(),
    );
    loaded(
        body,
        [program.into_bytes(), payload].concat(),
        manner.rights,
        mark,
    )
}

/// Follows the run again, from the byte `from` of what it wrote.
#[must_use]
pub fn following(mark: &str, from: u64, rights: Rights) -> Program {
    let body = format!(
        "exec 3<&0\n{}from={from}\n{FOLLOW}follow\n",
        beginning(mark)
    );
    loaded(body, Vec::new(), rights, mark)
}

fn beginning(mark: &str) -> String {
    format!(
        "LC_ALL=C; export LC_ALL\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n\
         HOME=/root; export HOME\nmark={mark}\nrun={RUNS}/{mark}\n{FRAME}"
    )
}

/// `body` as the loader takes it, and what it reads itself.
fn loaded(body: String, stdin: Vec<u8>, rights: Rights, mark: &str) -> Program {
    let by_password = rights == Rights::Password;
    let loader = match by_password {
        true => format!("{}; {LOADER}", program::say_ready(mark)),
        false => LOADER.to_owned(),
    };
    let run = format!("sh -c {} dwenv {}", quote::sh(&loader), body.len());
    Program {
        command: match rights {
            Rights::Root => format!("exec {run}"),
            Rights::Sudo => format!("exec sudo -n {run}"),
            Rights::Password => format!("exec {} {run}", program::sudo_by_password(mark)),
        },
        stdin: [body.into_bytes(), stdin].concat(),
        mark: mark.to_owned(),
        asks: by_password,
        waits: by_password,
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::Command;

    use super::*;

    /// What a step's script says, its own words and what is told of its commands, and its status.
    fn run(sh: &str) -> (String, Option<i32>) {
        let script = format!("{}{sh}", telling("M"));
        let line = format!("exec sh -eu -c {} 4>&1 2>&1", quote::sh(&script));
        let output = Command::new("sh").args(["-c", &line]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        (lines.join("\n"), output.status.code())
    }

    #[test]
    fn the_commands_of_a_step_are_told_and_go_as_they_would_without_that() {
        let folder = std::env::temp_dir().join(format!("dwenv-told-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let place = folder.display();
        let (told, status) = run(&format!(
            "cd {place}\nprintf 'a secret' | {{ install -m 600 /dev/stdin file; }}\n\
             copy() {{ cp \"$@\"; }}\ncopy file 'two\nlines'\n\
             mode=$(chmod -v 640 file >/dev/null; stat -c %a file)\necho \"mode $mode\"\n\
             if cp nothing there 2>/dev/null; then echo wrong; fi\nls | grep -c two\n\
             mv file lost/file\necho wrong"
        ));
        std::fs::remove_dir_all(&folder).unwrap();
        let said = told.lines().find(|line| line.starts_with("mv: ")).unwrap();
        assert_eq!(
            told,
            format!(
                "M + install -m 600 /dev/stdin file\nM ! 0\nM + cp file two\nM ! 0\nM + chmod -v 640 file\nM ! 0\n\
                 mode 640\nM + cp nothing there\nM ! 1\n1\nM + mv file lost/file\n{said}\nM ! 1"
            )
        );
        assert_eq!(status, Some(1));
    }

    /// `command -v` would find the other name, be the program there or not.
    #[test]
    fn no_script_asks_whether_a_told_program_is_there() {
        let asks = regex::Regex::new(r#"(?:command -v |need_script\(")([\w-]+)"#).unwrap();
        let mut folders = vec![std::path::PathBuf::from(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/src/resources"
        ))];
        let mut asked = std::collections::BTreeSet::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let source = std::fs::read_to_string(path).unwrap();
                asked.extend(asks.captures_iter(&source).map(|found| found[1].to_owned()));
            }
        }
        assert!(asked.contains("update-ca-certificates") && asked.contains("locale-gen"));
        for name in TOLD {
            assert!(!asked.contains(*name), "{name}");
        }
    }

    #[test]
    fn a_variable_for_one_command_reaches_it_and_no_other() {
        let (told, status) =
            run("WORD=there setpriv sh -c 'echo \"$WORD\"'\necho \"${WORD:-gone}\"");
        assert_eq!(told, "M + setpriv sh -c echo \"$WORD\"\nthere\nM ! 0\ngone");
        assert_eq!(status, Some(0));
    }
}
