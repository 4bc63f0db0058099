//! Bases whose machines have the workshop's packages already, made once and kept between runs: for tests to which their
//! installation, half a minute each time, is not the point.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use dwenv::resources::releases::{self, POSTGRES, SERVER};
use dwenv::target::sandbox::{Spec, Suite};

use crate::support::{Lab, run, said};

/// Where they are kept: a folder for `DWENV_BASE_DIR`.
const CACHE: &str = "/var/cache/dwenv/test/stocked";
/// An older one lacks updates.
const FRESH: Duration = Duration::from_secs(24 * 60 * 60);
const NAME: &str = "stocked";

/// Two tests that want the same base make it once: a lock for each release.
static MAKING: [Mutex<()>; 2] = [Mutex::new(()), Mutex::new(())];

/// The folder for `DWENV_BASE_DIR`, in which the base of this release has the packages.
pub fn stocked(suite: Suite) -> PathBuf {
    let making = match suite {
        Suite::Bookworm => &MAKING[0],
        Suite::Trixie => &MAKING[1],
    };
    let _turn = making.lock().expect("the one before made its base");
    let lab = Lab::new();
    let usual = lab.store.base_of(suite);
    let kept = Path::new(CACHE).join(usual.file_name().expect("a name"));
    if !is_fresh(&kept) {
        let made = make(&lab, suite);
        fs::create_dir_all(CACHE).expect("the cache's folder");
        // dwenv holds this lock, shared, while it copies a base: nobody's copy is half the old one.
        let lock = Path::new(CACHE).join(format!("{}.lock", suite.name()));
        let places = [&lock, &kept, &made, &stamp(&kept)].map(|path| plain(path));
        let [lock, kept, made, stamp] = places.each_ref().map(String::as_str);
        let keep = "rm -rf \"$1\"; mv -T \"$2\" \"$1\" && : >\"$3\"";
        run("flock", &[lock, "sh", "-c", keep, "sh", kept, made, stamp]);
    }
    CACHE.into()
}

/// When it was made: the folder's own date is Debian's.
fn stamp(kept: &Path) -> PathBuf {
    kept.with_extension("made")
}

fn is_fresh(kept: &Path) -> bool {
    let made = fs::metadata(stamp(kept)).and_then(|it| it.modified());
    let age = made.ok().and_then(|made| made.elapsed().ok());
    kept.is_dir() && age.is_some_and(|age| age < FRESH)
}

/// A root in which nothing is anybody's, but the packages are there.
fn make(lab: &Lab, suite: Suite) -> PathBuf {
    let machine = lab.up(&Spec {
        suite,
        // Who else logs in is made for each machine.
        user: "root".to_owned(),
        ..lab.spec(NAME, 10)
    });
    let version = said(&machine, ". /etc/os-release; echo $VERSION_ID");
    let release = releases::release("debian", &version).expect("a release that dwenv knows");
    let compose = [release.compose, POSTGRES];
    let packages = [release.docker, &compose, SERVER].concat().join(" ");
    said(
        &machine,
        &format!(
            "set -e; export DEBIAN_FRONTEND=noninteractive; apt-get -qq update
            apt-get -qqy install --no-install-recommends {packages} >/dev/null 2>&1; apt-get -qq clean
            rm -rf /root/.ssh /etc/ssh/ssh_host_* /var/log/journal/*"
        ),
    );
    lab.store
        .down(NAME, &dwenv::events::Events::nowhere())
        .expect("it can be stopped");
    let made = lab.folder().join("stocked");
    let root = lab.folder().join("machines").join(NAME).join("root");
    fs::rename(root, &made).expect("its root can be taken");
    made
}

fn plain(path: &Path) -> String {
    path.to_str().expect("a plain path").to_owned()
}
