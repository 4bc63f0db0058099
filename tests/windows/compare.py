"""dwenv and dwenv.exe against the same machine: what they say, how they end, what they write.

    compare.py WORK DWENV MACHINE INSIDE CACHE

WORK has the workshop in `shop/`; MACHINE is the folder of the running sandbox. Prints a table of the cases; ends
with 1 where one differs, and shows the difference. What is compared is the whole of stdout, stderr and the
exit code, after paths, times and the system's own words for its errors are made alike.
"""

import difflib
import functools
import http.server
import json
import os
import pty
import re
import select
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

WORK, DWENV, MACHINE, INSIDE, CACHE = (Path(argument) for argument in sys.argv[1:])
EXE = "/target/x86_64-pc-windows-gnu/release/dwenv.exe"
ADDRESS = json.loads((MACHINE / "machine.json").read_text())["spec"]["address"]
ROUTER = re.sub(r"\d+$", "1", ADDRESS)
TARGET = f"ssh://vagrant@{ADDRESS}"
BOX = ["--target", TARGET, "--identity", "keys/identity"]
LINUX_HOME = WORK / "home"
WINDOWS_HOME = CACHE / "base/wine/drive_c/users/root"


class Differs(Exception):
    """A case did not end as it must."""


def demand(holds, message):
    if not holds:
        raise Differs(message)


class Run:
    """One run of one of the two programs, and what was left of it."""

    def __init__(self, windows, arguments):
        self.windows = windows
        command, environment = line(windows, arguments)
        began = time.monotonic()
        done = subprocess.run(
            command, cwd=WORK, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=300
        )
        self.seconds = time.monotonic() - began
        self.code = done.returncode
        self.out, self.err = (stream.decode("utf-8", "replace") for stream in (done.stdout, done.stderr))
        # Debian's starter of Wine says so on every start; nobody runs a 32-bit program here.
        self.err = re.sub(r"it looks like wine32 is missing.*?wine32:i386\"\n", "", self.err, flags=re.S)

    @property
    def told(self):
        return f"{self.out}\n{self.err}"

    def json(self):
        try:
            document = json.loads(self.out)
        except ValueError as error:
            raise Differs(f"no JSON ({error}):\n{self.told}") from None
        return without_times(document)

    def plain(self):
        """What was told, the same from both systems."""
        return [f"exit code {self.code}", *alike(self.out), "--- stderr", *alike(self.err)]


def line(windows, arguments):
    environment = dict(os.environ, DWENV_WORK=str(WORK))
    if windows:
        return [str(INSIDE), str(CACHE), "sh", "-c", 'cd /work && exec "$@"', "sh", "wine", EXE, *arguments], environment
    for name in ("SSH_AUTH_SOCK", "XDG_CACHE_HOME", "DWENV_STATE_DIR", "DWENV_CACHE"):
        environment.pop(name, None)
    return [str(DWENV), *arguments], dict(environment, HOME=str(LINUX_HOME), USER="root")


def without_times(value):
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if key != "duration_ms"}
    if isinstance(value, list):
        return [without_times(item) for item in value]
    return value


def alike(text):
    """Words, because lines break elsewhere where a path is longer."""
    text = text.replace("\r\n", "\n")
    # A path is broken at any character.
    for there, name in ((str(LINUX_HOME), "HOME"), (str(WORK), "WORK"), ("Z:\\work", "WORK"), ("C:\\users\\root", "HOME")):
        text = text.replace(there, name)
    text = text.replace("\\", "/").replace(".exe", "")
    text = re.sub(r"AppData/Local/dwenv|\.cache/dwenv", "CACHE", text)
    text = re.sub(r"\b\d+(\.\d+)? ?(ms|s|µs)\b", "TIME", text)
    text = re.sub(r"[^:;(]*\(os error \d+\)", " OS-ERROR", text)
    text = re.sub(r"bytes (sent|received) \d+", r"bytes \1 N", text)
    # What the box has left changes from one second to the next.
    text = re.sub(r"[\d.]+(\s+GB\s+free|\s+MB\s+of\s+\d+\s+MB\s+are|\s+files\s+more\s+on)", r"N\1", text)
    # Each system has agents of its own; here none runs.
    text = re.sub(r"no\s+agent\s+answers\s+\([^)]*\)", "no agent answers", text)
    # The quotes of a command to be typed are those of its shell.
    return re.sub(r"[\"']", "", text).split()


def same(linux, windows):
    if linux != windows:
        raise Differs("\n".join(difflib.unified_diff(linux, windows, "dwenv", "dwenv.exe", lineterm="", n=4)))


def pretty(document):
    lines = json.dumps(document, indent=1, ensure_ascii=False).splitlines()
    return [" ".join(alike(line.replace("\\\\", "\\"))) for line in lines]


def forget():
    """Both persons are new: no known hosts, no copies, nothing remembered of a folder."""
    shutil.rmtree(LINUX_HOME, ignore_errors=True)
    LINUX_HOME.mkdir()
    for folder in (WINDOWS_HOME / ".ssh", WINDOWS_HOME / "AppData/Local/dwenv", WORK / "shop/.dwenv"):
        shutil.rmtree(folder, ignore_errors=True)


def in_box(command):
    ssh = ["ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    ssh += ["-o", "LogLevel=ERROR", "-o", "IdentitiesOnly=yes", "-i", str(WORK / "keys/identity"), f"vagrant@{ADDRESS}"]
    subprocess.run([*ssh, command], check=True, capture_output=True)


def copy_of_shop(name, change=lambda text: text, line_end="\n"):
    """The workshop again, its config.toml changed, its text files with these line ends."""
    folder = WORK / name
    shutil.copytree(WORK / "shop", folder, ignore=shutil.ignore_patterns(".dwenv"))
    config = folder / "config.toml"
    config.write_text(change(config.read_text()))
    for file in filter(Path.is_file, folder.rglob("*")):
        file.write_bytes(file.read_bytes().replace(b"\n", line_end.encode()))
    return name


CASES = []


def case(title):
    def note(function):
        CASES.append((title, function))
        return function

    return note


def both(*arguments, prepare=None, code=None):
    """Runs both programs, each as if it were the first; they have to tell the same."""
    runs = []
    for windows in (False, True):
        forget()
        if prepare:
            prepare(windows)
        runs.append(Run(windows, arguments))
    linux, windows = runs
    demand(code is None or linux.code == code, f"exit code {linux.code} where {code} was expected:\n{linux.told}")
    if "json" in arguments:
        same(pretty(linux.json()), pretty(windows.json()))
        same([str(linux.code)], [str(windows.code)])
    else:
        same(linux.plain(), windows.plain())
    return linux, windows


def simple(title, *arguments, code, prepare=None):
    CASES.append((title, functools.partial(both, *arguments, code=code, prepare=prepare)))


simple("--version", "--version", code=0)
simple("--help", "doctor", "--help", code=0)
simple("a subcommand that does not exist", "docter", code=2)
simple("completions of PowerShell", "completions", "powershell", code=0)


@case("init: the same files, byte by byte")
def init():
    made = []
    for windows in (False, True):
        forget()
        shutil.rmtree(WORK / "new", ignore_errors=True)
        run = Run(windows, ["init", "new"])
        files = {str(file.relative_to(WORK)): file.read_bytes() for file in (WORK / "new").rglob("*") if file.is_file()}
        made.append((run, files))
    (linux, theirs), (windows, ours) = made
    demand(len(theirs) > 5 and theirs == ours, "other files were written")
    same(linux.plain(), windows.plain())
    return linux, windows


@case("init leaves what somebody edited")
def init_again():
    copy_of_shop("edited", lambda text: text)
    with (WORK / "edited/Vagrantfile").open("a") as file:
        file.write("# mine\n")
    return both("init", "edited", code=2)


simple("doctor: every finding of a ready box", "-C", "shop", "doctor", *BOX, "--format", "json", code=0)
simple("doctor, in words", "-C", "shop", "doctor", *BOX, "-v", "--color", "never", code=0, prepare=lambda _: None)


@case("doctor: a workshop with CRLF in every file")
def crlf():
    name = copy_of_shop("crlf", line_end="\r\n")
    return both("-C", name, "doctor", *BOX, "--format", "json", code=0)


@case("the first contact is recorded, and asked for no more")
def first_contact():
    forget()
    first = [Run(windows, ["-C", "shop", "doctor", *BOX]) for windows in (False, True)]
    demand(all("First contact" in run.err for run in first), f"not told:\n{first[1].told}")
    recorded = [(home / ".ssh/known_hosts").read_text() for home in (LINUX_HOME, WINDOWS_HOME)]
    same(recorded[0].splitlines(), recorded[1].splitlines())
    again = Run(True, ["-C", "shop", "doctor", *BOX])
    demand(again.code == 0 and "First contact" not in again.err, again.told)
    return first


def another_host_key(windows):
    folder = (WINDOWS_HOME if windows else LINUX_HOME) / ".ssh"
    folder.mkdir()
    other = (WORK / "keys/stranger.pub").read_text().split()[:2]
    (folder / "known_hosts").write_text(f"{ADDRESS} {' '.join(other)}\r\n")


simple("a host key that has changed", "-C", "shop", "provision", *BOX, "--yes", code=3, prepare=another_host_key)
simple("provision: nothing to do", "-C", "shop", "provision", *BOX, "--yes", code=0)
simple("provision in JSON", "-C", "shop", "provision", *BOX, "--yes", "--format", "json", code=0)

FAULTS = "sudo systemctl disable --now docker.socket docker.service && sudo rm -f docker-workshop/server.py"


@case("doctor: the findings of a broken box")
def broken():
    in_box(FAULTS)
    return both("-C", "shop", "doctor", *BOX, "--format", "json", code=1)


simple("provision --plan of it", "-C", "shop", "provision", *BOX, "--plan", "--diff", code=0)


@case("provision mends it")
def mend():
    runs = both("-C", "shop", "provision", *BOX, "--yes", code=0, prepare=lambda _: in_box(FAULTS))
    after = Run(True, ["-C", "shop", "doctor", *BOX, "--format", "json"])
    demand(after.code == 0 and after.json()["ready"], after.told)
    return runs


simple("up of a box that is ready", "-C", "shop", "up", *BOX, "--yes", "--format", "json", code=0)
STRANGER = ["--target", TARGET, "--identity", "keys/stranger"]
simple("a key that the box does not know", "-C", "shop", "doctor", *STRANGER, "--format", "json", code=3)
simple("provision with it", "-C", "shop", "provision", *STRANGER, "--yes", code=3)
simple(
    "an encrypted key, and nobody to ask",
    *("-C", "shop", "provision", "--target", TARGET, "--identity", "keys/encrypted", "--yes"),
    code=3,
)
simple("a key file that is missing", "doctor", "--target", TARGET, "--identity", "keys/none", code=2)
simple("a port where nobody listens", "-C", "shop", "provision", "--target", f"{TARGET}:9", "--yes", code=3)


@case("a machine that never answers")
def silent():
    with socket.create_server((ROUTER, 0)) as server:
        port = server.getsockname()[1]
        target = ["--target", f"{TARGET.replace(ADDRESS, ROUTER)}:{port}"]
        return both("-C", "shop", "provision", *target, *BOX[2:], "--timeout", "3", "--yes", code=3)


def typo(line_end):
    name = copy_of_shop(f"typo-{len(line_end)}", lambda text: text.replace("\nmemory_mb", "\nmemory_bm"), line_end)
    runs = both("-C", name, "doctor", *BOX, code=2)
    for run in runs:
        demand(re.search(r"config\.toml:\d+:1\b", run.err) and "memory_mb" in run.err, run.told)
    return runs


CASES.append(("a mistake in config.toml, by line and column", functools.partial(typo, "\n")))
CASES.append(("the same with CRLF", functools.partial(typo, "\r\n")))


@case("a file that config.toml names and that is not there")
def file_missing():
    name = copy_of_shop("without")
    (WORK / name / "provision/create_db.sql").unlink()
    return both("-C", name, "doctor", *BOX, code=2)


@case("a declaration by http, and the copy of it")
def fetched():
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(WORK / "shop"))
    handler.func.log_message = lambda *_: None
    server = http.server.ThreadingHTTPServer((ROUTER, 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    asked = ["--config", f"http://{ROUTER}:{server.server_port}/config.toml", *BOX, "--format", "json"]
    try:
        runs = both("doctor", *asked, code=0)
    finally:
        server.shutdown()
        server.server_close()
    again = Run(True, ["doctor", *asked])
    demand(again.code == 0 and "using the copy" in again.err, again.told)
    return runs


def at_a_terminal(windows, arguments, server, keys):
    """Types `keys` once the program waits for `server`. The exit code, and the screen."""
    command, environment = line(windows, arguments)
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(WORK)
        os.execvpe(command[0], command, dict(environment, TERM="xterm-256color"))
    screen, typed, limit = b"", False, time.monotonic() + 60
    while time.monotonic() < limit:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                more = os.read(terminal, 65536)
            except OSError:
                break
            if not more:
                break
            screen += more
        if not typed and select.select([server], [], [], 0)[0]:
            time.sleep(0.5)
            os.write(terminal, keys)
            typed = True
    else:
        os.kill(child, 9)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(terminal)
    return code, screen.decode("utf-8", "replace")


@case("Ctrl-C at a terminal")
def interrupt():
    runs = []
    for windows in (False, True):
        with socket.create_server((ROUTER, 0)) as server:
            target = f"{TARGET.replace(ADDRESS, ROUTER)}:{server.getsockname()[1]}"
            arguments = ["-C", "shop", "doctor", "--target", target, "--timeout", "50", "-v"]
            began = time.monotonic()
            code, screen = at_a_terminal(windows, arguments, server, b"\x03")
            seconds = time.monotonic() - began
        demand(code == 5 and "interrupted" in screen and seconds < 20, f"exit code {code} after {seconds:.0f} s:\n{screen}")
        runs.append(seconds)
    return runs


def on_windows_only(*arguments, codes):
    """What has no like on Linux: it must not send anybody there."""
    forget()
    run = Run(True, arguments)
    demand(run.code in codes, f"exit code {run.code}:\n{run.told}")
    told = run.told
    if "json" in arguments:
        # Titles speak of the box too, where there is a sudo.
        told = run.err + "".join(f"\n{check['id']} {check['remedy']}" for check in run.json()["checks"] if check["remedy"])
    for word in ("sudo", "apt-get", "apt install", "panicked", "/etc/"):
        demand(word not in told, f"`{word}` is said to somebody on Windows:\n{told}")
    return None, run


@case("a Windows without Vagrant: doctor")
def no_vagrant():
    runs = on_windows_only("-C", "shop", "doctor", "--format", "json", codes=[1])
    failed = [check["id"] for check in runs[1].json()["checks"] if check["status"] == "fail"]
    demand(failed == ["laptop.vagrant"], f"{failed}")
    return runs


@case("a Windows without Vagrant: targets")
def no_vagrant_targets():
    return on_windows_only("-C", "shop", "targets", codes=[0])


@case("a Windows without Vagrant: up")
def no_vagrant_up():
    return on_windows_only("-C", "shop", "up", "--yes", codes=[1, 2, 3])


@case("sandboxes are told to be Linux's")
def no_sandbox():
    return on_windows_only("-C", "shop", "up", "--target", "sandbox", "--yes", codes=[2])


@case("doctor --before, where this dwenv has it")
def before():
    if "--before" not in Run(True, ["doctor", "--help"]).out:
        return None, None
    return on_windows_only("-C", "shop", "doctor", "--before", "--format", "json", codes=[0, 1, 3])


def took(run):
    if run is None:
        return ""
    return f"{run if isinstance(run, float) else run.seconds:.1f} s"


def main():
    (WORK / "keys").mkdir(exist_ok=True)
    for name in ("identity", "identity.pub"):
        shutil.copy(MACHINE / name, WORK / "keys" / name)
    for name, passphrase in (("stranger", ""), ("encrypted", "a passphrase")):
        keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", str(WORK / "keys" / name)]
        subprocess.run(keygen, check=True)
    # Else it would turn this host away after the logins that are to be refused.
    in_box("echo 'PerSourcePenalties no' | sudo tee /etc/ssh/sshd_config.d/tests.conf && sudo systemctl reload ssh")
    differing = []
    print(f"{'case':52} {'Linux':>8} {'Windows':>8}")
    for title, run in CASES:
        try:
            linux, windows = run()
            if linux is None and windows is None:
                verdict = "not in this dwenv"
            else:
                verdict = "same" if linux is not None else "as it must be"
        except Differs as difference:
            differing.append((title, difference))
            linux = windows = None
            verdict = "DIFFERS"
        print(f"{title:52} {took(linux):>8} {took(windows):>8}  {verdict}", flush=True)
    for title, difference in differing:
        print(f"\n== {title}\n{difference}")
    print(f"\n{len(CASES)} cases, {len(differing)} differ")
    return 1 if differing else 0


sys.exit(main())
