//! The program that makes the changes, run as root on the box.
//!
//! Its steps come in argv's loader like the probes' (see `facts::program`); what a step reads follows the
//! program on stdin, step after step. Each step's output comes back line by line, in frames.

use crate::facts::program::{self, LOADER, Program, Rights};
use crate::quote;
use crate::resources::apt;
use crate::resources::change::{Action, Script};

use super::plan::Step;

/// One run at a time holds this file locked on the box; it says who.
const LOCK: &str = "/run/dwenv.lock";

/// The ids of the frames that say who holds the lock: while it is waited for, and when that was in vain.
pub const HELD: &str = "held";
pub const LOCKED: &str = "locked";
/// Comes after a wait that was not in vain: what was planned before it is out of date, so nothing is run.
pub const WAITED: &str = "waited";

/// The end of a frame's id that says only that a step is still at work.
pub const PULSE: &str = "pulse";

/// The longest that one step may take, in seconds: a slow download of all packages.
const STEP_DEADLINE: u32 = 3600;

/// How long a run waits for the box, in seconds. What an interrupted run left needs a moment to notice that
/// nobody listens any more.
const PATIENCE: u32 = 10;

/// A step that says nothing for long would not notice that its laptop has gone, and hold the box. So each has
/// a pulse: once it cannot be passed on, the run ends and lets the box go. (What the step had begun, such as
/// apt with locks of its own, ends at its next line that nobody hears.)
const STEPS: &str = r#"
frame() { printf '\n%s %s %s 0 %s\n%s' "$mark" "$1" "$2" "${#3}" "$3"; }
step() {
  frame "$1.begin" 0 ''
  {
    {
      trap '' PIPE
      while sleep 1 && printf '\n%s pulse\n' "$mark"; do :; done
      kill $$
    } </dev/null &
    pulse=$!
    head -c "$2" | {
      timeout -k 5 "$4" sh -eu -c "$3"
      status=$?
      # Before the status is heard: behind it nobody reads any more.
      kill "$pulse"
      printf '\n%s %s\n' "$mark" "$status"
    }
  } 2>&1 8>&- |
  {
    status=1
    while IFS= read -r line || [ -n "$line" ]; do
      case $line in
        "$mark pulse") frame "$1.pulse" 0 '' ;;
        "$mark "*) status=${line##* }; break ;;
        *) frame "$1.line" 0 "$line" ;;
      esac
    done
    frame "$1.end" "$status" ''
    exit "$status"
  }
}
"#;

/// The program for `steps`, each with its number among all steps of the plan.
#[must_use]
pub fn changing(steps: &[(usize, &Step)], rights: Rights, owner: &str, mark: &str) -> Program {
    let mut body = format!(
        "LC_ALL=C; export LC_ALL\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n\
         mark={mark}\n{STEPS}\
         exec 8>>{LOCK}\n\
         flock -n 8 || {{ frame {HELD} 0 \"$(cat {LOCK})\"; if flock -w {PATIENCE} 8; \
         then frame {WAITED} 0 ''; else frame {LOCKED} 0 \"$(cat {LOCK})\"; fi; exit 0; }}\n\
         echo {owner} \"since $(date -u '+%F %T UTC')\" >{LOCK}\n",
        owner = quote::sh(owner),
    );
    let mut payload = Vec::new();
    for (number, step) in steps {
        let script = match &step.change.action {
            Action::Install(install) => Script {
                sh: apt::install_script(install),
                stdin: crate::secret::Secret::new(""),
            },
            Action::Script(script) => script.clone(),
            Action::Pull(_) => continue,
        };
        let stdin = script.stdin.reveal().as_bytes();
        body.push_str(&format!(
            "step {number} {} {} {STEP_DEADLINE} || exit 0\n",
            stdin.len(),
            quote::sh(&script.sh)
        ));
        payload.extend_from_slice(stdin);
    }
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
        stdin: [body.into_bytes(), payload].concat(),
        mark: mark.to_owned(),
        asks: by_password,
        waits: by_password,
    }
}
