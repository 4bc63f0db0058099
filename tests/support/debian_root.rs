//! A small Debian as a tar file, made once and kept between runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// Where roots are kept.
const CACHE: &str = "/var/cache/dwenv/test";

/// Tests of one program that want the same root make it once.
static MAKING: Mutex<()> = Mutex::new(());

/// The root `name`: this suite with these packages, made with mmdebstrap and its `options`.
///
/// # Panics
///
/// Where it cannot be made, with what mmdebstrap said.
pub fn debian_root(name: &str, suite: &str, packages: &str, options: &[&str]) -> PathBuf {
    let _turn = MAKING.lock().expect("the one before made its root");
    let kept = Path::new(CACHE).join(format!("{name}.tar"));
    if kept.exists() {
        return kept;
    }
    fs::create_dir_all(CACHE).expect("the cache's folder can be made");
    let partial = Path::new(CACHE).join(format!("{name}.{}.part.tar", std::process::id()));
    let output = Command::new("mmdebstrap")
        .arg("--variant=minbase")
        .args(options)
        .arg(format!("--include={packages}"))
        .arg(suite)
        .arg(&partial)
        .args(mirror())
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("mmdebstrap: {error}"));
    assert!(
        output.status.success(),
        "mmdebstrap: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    fs::rename(&partial, &kept).expect("the root can be kept");
    kept
}

/// The mirror that this machine's own apt uses.
fn mirror() -> Option<String> {
    let sources = Command::new("apt-get")
        .args(["indextargets", "--format", "$(REPO_URI)"])
        .args(["Identifier: Packages", "Origin: Debian", "Label: Debian"])
        .output()
        .ok()?;
    let first = String::from_utf8_lossy(&sources.stdout)
        .lines()
        .next()?
        .to_owned();
    first.contains("://").then_some(first)
}
