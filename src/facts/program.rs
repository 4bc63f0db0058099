//! The programs that run on the box: one for all shell probes, sent on the stdin of one exec.
//!
//! What says who logs in and becomes root stands in argv. A fixed loader then reads exactly the announced
//! number of program bytes; what follows on stdin is left for the program. (A shell that read its script
//! from stdin would swallow what follows.)

use super::probe::{Probe, Question};
use super::server;
use crate::date::seconds_since_1970;
use crate::quote;

/// The records that the program itself makes: who logged in, whether it is root, and what was said on
/// stderr by the login shell, sudo and the fragments.
pub const LOGIN: &str = "login";
pub const ELEVATED: &str = "elevated";
pub const NOISE: &str = "noise";

/// Comes where sudo took a password: the program is read only now.
pub const READY: &str = "ready";

/// Comes where fragments ran into the deadline: those without a frame of their own.
pub const OVERDUE: &str = "overdue";

/// The variable of the program that holds what the laptop's clock said when it was made, in seconds since 1970.
pub const LAPTOPS_TIME: &str = "laptops_time";

/// Reads `$1` bytes of program from stdin and runs them.
pub const LOADER: &str = r#"eval "$(head -c "$1")""#;

/// The exit status by which the program says that it did run; neither sudo nor timeout ends with it.
const RAN: i32 = 97;

/// A program for the box: the command line of its exec, and what goes to its stdin first.
pub struct Program {
    pub command: String,
    pub stdin: Vec<u8>,
    /// What every frame of this run begins with.
    pub mark: String,
    /// Whether sudo may ask for a password, with [`prompt`].
    pub asks: bool,
    /// Whether the program is read only after [`READY`].
    pub waits: bool,
}

/// How root's rights are had on a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// The login user is root.
    Root,
    /// sudo asks nothing.
    Sudo,
    /// sudo asks for the user's password.
    Password,
}

impl Rights {
    /// What the program says of itself in the frame [`ELEVATED`]; `no` is none of these.
    pub const BY_PASSWORD: &str = "password";
}

/// What sudo asks with, on stderr: no program says it by chance, and a second time it means that the answer to
/// the first was wrong.
#[must_use]
pub fn prompt(mark: &str) -> String {
    format!("{mark}-asks:")
}

/// sudo, with the password on the stdin of the very command that it runs. (A password never stands in argv,
/// and a pipe that a shell fills would hand the program on as a second try.)
#[must_use]
pub fn sudo_by_password(mark: &str) -> String {
    format!("sudo -S -p {}", prompt(mark))
}

/// The part of a shell program that says [`READY`]. It stands within quotes within quotes, where every shell
/// reads what is quoted in a way of its own: so there is nothing in it to quote.
#[must_use]
pub fn say_ready(mark: &str) -> String {
    format!("echo; echo {mark} {READY} 0 0 0")
}

/// Makes frames, one at a time even when several processes answer at once.
///
/// The lock is a pipe that holds one line: to read the line is to take it. dash reads pipes byte by byte,
/// so a reader never takes more than the line, and no program has to be started for it.
///
/// A fragment runs in a copy of this shell: starting a shell and a timeout(1) for each would take longer
/// than most of what they ask.
const FRAMES: &str = r#"
frame() { read -r _ <&9; printf '\n%s %s %s %s %s\n%s' "$mark" "$1" "$2" "$3" "${#4}" "$4"; echo >&9; }
centis() { read -r up _ </proc/uptime; up=${up%.*}${up#*.}; up=${up#"${up%%[!0]*}"}; }
probe() {
  centis; began=${up:-0}
  out=$(exec 9>&-; fragment=$2; set -- "$home" "$user"; eval "$fragment"); status=$?
  centis; frame "$1" "$status" "$(( (${up:-0} - began) * 10 ))" "$out"
}
"#;

/// The one program that answers all `probes` of the kinds `Login`, `Root` and `Http`.
///
/// It starts as the login user, says who that is, and elevates once. Where sudo refuses, the same
/// program runs with the login user's rights, and what needs root is answered as refused. The fragments
/// share the longest of their deadlines: timeout(1) then ends those that are left, with their children.
///
/// With `asks`, somebody can answer sudo's question. Where sudo refuses without a password, the program is
/// thrown away, sudo asks, and once it is content the program is read anew. Where it never is, nothing runs.
#[must_use]
pub fn probing(probes: &[Probe], mark: &str, asks: bool) -> Program {
    let body = probing_body(probes);
    let fragments = probes.iter().filter(|probe| is_fragment(probe));
    let seconds = fragments.map(|probe| probe.deadline.as_secs()).max();
    let seconds = seconds.unwrap_or(0).max(1);
    let without = "elevated=no; run";
    let refused = if asks {
        format!(
            "if command -v sudo >/dev/null; then head -c {} >/dev/null; elevated={}; run {}; else {without}; fi",
            body.len(),
            Rights::BY_PASSWORD,
            sudo_by_password(mark),
        )
    } else {
        without.to_owned()
    };
    // One line: csh has none within quotes.
    let start = format!(
        concat!(
            "LC_ALL=C; export LC_ALL; who=$(id); id=${{who#uid=}}; id=${{id%%(*}}; ",
            r"user=${{who#*\(}}; user=${{user%%)*}}; ",
            // A login file may have lost it.
            r#"case $HOME in /*) ;; *) HOME=$(getent passwd "$id" | cut -d: -f6); export HOME ;; esac; "#,
            r#"said=$(printf '%s\nhome=%s\nshell=%s' "$who" "$HOME" "$SHELL"); "#,
            r#"printf '\n%s {LOGIN} 0 0 %s\n%s' {mark} "${{#said}}" "$said"; "#,
            r#"run() {{ "$@" timeout -k 1 {seconds} sh -c {loader} dwenv {length} "$HOME" "$user" $elevated; }}; "#,
            r#"elevated=yes; if [ "$id" = 0 ]; then run; ended=$?; else "#,
            "command -v sudo >/dev/null && run sudo -n; ended=$?; ",
            "case $ended in {RAN}|124|137) ;; *) {refused}; ended=$? ;; esac; fi; ",
            r"case $ended in 124|137) printf '\n%s {OVERDUE} 0 0 0\n' {mark} ;; esac",
        ),
        LOGIN = LOGIN,
        OVERDUE = OVERDUE,
        RAN = RAN,
        mark = mark,
        seconds = seconds,
        loader = quote::sh(&format!(
            "home=$2; user=$3; elevated=$4; mark={mark}; \
             case $4 in {password}) {ready} ;; esac; {LOADER}",
            password = Rights::BY_PASSWORD,
            ready = say_ready(mark),
        )),
        length = body.len(),
        refused = refused,
    );
    Program {
        command: format!("exec sh -c {}", quote::sh(&start)),
        stdin: body.into_bytes(),
        mark: mark.to_owned(),
        asks,
        waits: false,
    }
}

/// Whether the program answers this probe.
pub(super) fn is_fragment(probe: &Probe) -> bool {
    matches!(
        probe.question,
        Question::Login(_) | Question::Root(_) | Question::Http { .. }
    )
}

fn probing_body(probes: &[Probe]) -> String {
    let mut body = String::from("LC_ALL=C; export LC_ALL\nPATH=$PATH:/usr/sbin:/sbin\n");
    body.push_str(&format!("{LAPTOPS_TIME}={}\n", seconds_since_1970()));
    body.push_str(FRAMES);
    // The pipe of the lock is made by a pipeline; its reader holds both ends, so it outlives the writer.
    body.push_str("echo | {\nexec 9<>/proc/self/fd/0 </dev/null\n");
    body.push_str(&format!("frame {ELEVATED} 0 0 \"$elevated\"\n"));
    // What needs root is what takes longest: it begins first.
    for probe in probes {
        if let Question::Root(fragment) = &probe.question {
            body.push_str(&format!(
                "[ $elevated = no ] || probe {} {} &\n",
                probe.id,
                quote::sh(fragment)
            ));
        }
    }
    for probe in probes {
        let fragment = match &probe.question {
            Question::Login(fragment) => quote::sh(fragment),
            Question::Http { port } => {
                quote::sh(&server::fragment(*port, probe.deadline.as_secs()))
            }
            _ => continue,
        };
        body.push_str(&format!("probe {} {fragment} &\n", probe.id));
    }
    body.push_str(&format!("wait\n}}\nexit {RAN}\n"));
    body
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use super::super::frames::{Frame, FrameParser};
    use super::*;

    /// Runs the program under the local shell, as the login shell of a box would.
    fn run(shell: &str, probes: &[Probe]) -> Vec<Frame> {
        let program = probing(probes, "dwenv-test", false);
        let mut child = Command::new(shell)
            .args(["-c", &program.command])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(&program.stdin)
            .unwrap();
        let output = child.wait_with_output().unwrap();
        FrameParser::new("dwenv-test").push(&output.stdout)
    }

    fn login(id: &'static str, text: &str) -> Probe {
        Probe::new(id, Question::Login(text.to_owned()))
    }

    #[test]
    fn every_probe_answers_whole_however_they_interleave() {
        let long =
            "i=0; while [ $i -lt 3000 ]; do echo \"a line of some length $i\"; i=$((i+1)); done";
        let ids = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let probes: Vec<Probe> = ids.iter().map(|id| login(id, long)).collect();
        for shell in ["sh", "bash", "csh", "fish", "zsh"] {
            let frames = run(shell, &probes);
            for id in ids {
                let frame = frames.iter().find(|frame| frame.id == id).unwrap();
                assert_eq!(frame.body.split(|b| *b == b'\n').count(), 3000, "{id}");
                assert!(frame.body.ends_with(b"length 2999"));
            }
        }
    }

    #[test]
    fn a_probe_that_hangs_is_stopped_with_its_children_and_costs_only_itself() {
        let long = format!("sleep 60.{}", std::process::id());
        let brief = |id, text: &str| Probe {
            deadline: Duration::from_secs(3),
            ..login(id, text)
        };
        let hanging = brief("hanging", &format!("{long} & {long}"));
        let frames = run("sh", &[hanging, brief("quick", "echo here; exit 3")]);
        let of = |id: &str| frames.iter().find(|frame| frame.id == id);
        let quick = of("quick").unwrap();
        assert_eq!((quick.status, quick.body.as_slice()), (3, &b"here"[..]));
        assert_eq!(of("hanging"), None);
        assert!(of(OVERDUE).is_some() && of(LOGIN).is_some());
        let lives = || {
            let mut processes = std::fs::read_dir("/proc").unwrap().flatten();
            processes.any(|process| {
                let command = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
                let line = String::from_utf8_lossy(&command).replace('\0', " ");
                line.trim_end() == long
            })
        };
        // What was killed takes a moment to end.
        let began = Instant::now();
        while lives() {
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "`{long}` lives on"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn a_fragment_that_is_no_sh_costs_only_itself() {
        let frames = run("sh", &[login("broken", "if ("), login("whole", "echo $2")]);
        let of = |id: &str| frames.iter().find(|frame| frame.id == id).unwrap();
        assert_ne!(of("broken").status, 0);
        assert_eq!(of("whole").status, 0);
    }

    /// What says who logs in, and a sudo that wants this password.
    const STAND_INS: [(&str, &str); 2] = [
        (
            "id",
            "#!/bin/sh\necho 'uid=1000(otto) gid=1000(otto) groups=1000(otto)'\n",
        ),
        (
            "sudo",
            "#!/bin/sh\n[ \"$1\" = -S ] || { echo 'sudo: a password is required' >&2; exit 1; }\n\
             printf %s \"$3\" >&2; read -r given; [ \"$given\" = \"it's right\" ] || exit 1\n\
             shift 3; exec \"$@\"\n",
        ),
    ];

    fn ask(shell: &str, given: &str) -> (Vec<String>, String) {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in STAND_INS {
            let file = folder.path().join(name);
            std::fs::write(&file, text).unwrap();
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let root = Probe::new("root", Question::Root("echo \"$2\"".to_owned()));
        let program = probing(&[root, login("user", "echo here")], "dwenv-test", true);
        let path = std::env::var("PATH").unwrap();
        let mut child = Command::new(shell)
            .args(["-c", &program.command])
            .env("PATH", format!("{}:{path}", folder.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&program.stdin).unwrap();
        stdin.write_all(format!("{given}\n").as_bytes()).unwrap();
        // Where the password is wrong, nobody reads it.
        let _ = stdin.write_all(&program.stdin);
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let frames = FrameParser::new("dwenv-test").push(&output.stdout);
        let told = frames.iter().map(|frame| {
            let body = String::from_utf8_lossy(&frame.body);
            format!("{} {}", frame.id, body.lines().next().unwrap_or_default())
        });
        (
            told.collect(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    }

    #[test]
    fn a_password_goes_before_the_program_under_every_shell() {
        for shell in ["sh", "bash", "csh", "fish", "zsh"] {
            let (mut told, noise) = ask(shell, "it's right");
            told[3..].sort();
            let who = "login uid=1000(otto) gid=1000(otto) groups=1000(otto)";
            let expected = [who, "ready ", "elevated password", "root otto", "user here"];
            assert_eq!(told, expected, "{shell}: {noise}");
            assert!(noise.ends_with("dwenv-test-asks:"), "{shell}: {noise}");
            let (told, _) = ask(shell, "wrong");
            assert_eq!(told, [who], "{shell}");
        }
    }
}
