//! A machine's own control groups, on a host without a service manager that would give it some. Without
//! them all machines would stand in the caller's, and what one machine's systemd does to a unit's group
//! (to kill all of it, say) would reach the units of that name in all of them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::process::{Process, until};
use crate::error::{Error, Result};

/// The groups that a machine of this name is to have: one below the caller's in every hierarchy, so that
/// the limits that the caller has hold for the machine too. None where the host's systemd makes a scope.
pub fn of(name: &str) -> Vec<PathBuf> {
    if Path::new("/run/systemd/system").exists() {
        return Vec::new();
    }
    let folders = folders("self").into_iter();
    folders.map(|folder| folder.join(name)).collect()
}

/// The groups of that name that a process is in, however deep.
pub fn of_process(process: &Process, name: &str) -> Vec<PathBuf> {
    let folders = folders(&process.pid.to_string());
    let named = |folder: &Path| folder.file_name().is_some_and(|last| last == name);
    let above = |folder: PathBuf| folder.ancestors().find(|it| named(it)).map(Path::to_owned);
    folders.into_iter().filter_map(above).collect()
}

/// Makes groups, new and empty.
pub fn make(groups: &[PathBuf], name: &str) -> Result<()> {
    remove(groups, name, || {})?;
    groups.iter().try_for_each(|group| {
        make_one(group).map_err(|cause| {
            Error::failed(format!("could not make {}", group.display())).because(cause)
        })
    })
}

fn make_one(group: &Path) -> io::Result<()> {
    fs::create_dir(group)?;
    // A new group of this controller has no processor and no memory, and takes no process.
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let own = group.join(file);
        if fs::read_to_string(&own).is_ok_and(|text| text.trim().is_empty()) {
            let theirs = group.with_file_name(file);
            // Version 2 has no such file in its root, and takes a process without it.
            if let Ok(theirs) = fs::read_to_string(theirs)
                && !theirs.trim().is_empty()
            {
                fs::write(own, theirs)?;
            }
        }
    }
    Ok(())
}

/// Removes groups that a machine of that name had, and all below them. Its processes have ended, but
/// the kernel takes them out of their groups at leisure.
pub fn remove(groups: &[PathBuf], name: &str, mut tick: impl FnMut()) -> Result<()> {
    for group in groups {
        if group.file_name().is_none_or(|last| last != name) {
            continue;
        }
        let mut left = Ok(());
        let gone = until(Duration::from_secs(10), &mut tick, || {
            left = remove_tree(group);
            left.is_ok()
        });
        if let (false, Err(cause)) = (gone, left) {
            return Err(
                Error::failed(format!("could not remove {}", group.display())).because(cause),
            );
        }
    }
    Ok(())
}

/// From the leaves up. The files in a group are the kernel's and go with it.
fn remove_tree(group: &Path) -> io::Result<()> {
    let gone = |cause: &io::Error| cause.kind() == io::ErrorKind::NotFound;
    let entries = match fs::read_dir(group) {
        Err(cause) if gone(&cause) => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    match fs::remove_dir(group) {
        Err(cause) if gone(&cause) => Ok(()),
        removed => removed,
    }
}

/// The folders of the groups that a process is in.
fn folders(process: &str) -> Vec<PathBuf> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let groups = read(&format!("/proc/{process}/cgroup"));
    let mut folders = places(&groups, &read("/proc/self/mountinfo"));
    folders.retain(|folder| folder.join("cgroup.procs").exists());
    folders
}

/// Where the lines of `/proc/PID/cgroup` are to be found, by `/proc/self/mountinfo`.
fn places(groups: &str, mountinfo: &str) -> Vec<PathBuf> {
    let hierarchies: Vec<_> = mountinfo.lines().filter_map(Hierarchy::from_line).collect();
    let place = |line: &str| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, Path::new(parts.next()?));
        let mut all = hierarchies.iter().filter(|it| it.holds(controllers));
        // systemd-nspawn knows of this place only.
        let usual = |it: &&Hierarchy| it.point.starts_with("/sys/fs/cgroup");
        let hierarchy = all.clone().find(usual).or_else(|| all.next())?;
        let below = path.strip_prefix(hierarchy.root).ok()?;
        Some(
            hierarchy
                .point
                .components()
                .chain(below.components())
                .collect(),
        )
    };
    groups.lines().filter_map(place).collect()
}

/// A mounted tree of control groups.
struct Hierarchy<'a> {
    root: &'a Path,
    point: &'a Path,
    /// Nothing for version 2.
    options: Option<&'a str>,
}

impl<'a> Hierarchy<'a> {
    fn from_line(line: &'a str) -> Option<Self> {
        let (mount, system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let mut system = system.split(' ');
        let (root, point) = (Path::new(mount.next()?), Path::new(mount.next()?));
        let options = match system.next()? {
            "cgroup2" => None,
            "cgroup" => Some(system.nth(1)?),
            _ => return None,
        };
        Some(Self {
            root,
            point,
            options,
        })
    }

    fn holds(&self, controllers: &str) -> bool {
        match self.options {
            None => controllers.is_empty(),
            Some(options) => controllers
                .split(',')
                .all(|one| options.split(',').any(|option| option == one)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIXED: &str = "\
24 1 0:20 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
30 24 0:26 / /sys/fs/cgroup/cpu,cpuacct rw shared:4 - cgroup cgroup rw,cpu,cpuacct
31 24 0:27 / /sys/fs/cgroup/systemd rw - cgroup systemd rw,name=systemd
32 1 0:28 / /mnt/tree rw - cgroup2 none rw
33 24 0:28 / /sys/fs/cgroup/unified rw - cgroup2 none rw
";

    fn shown(groups: &str, mountinfo: &str) -> Vec<String> {
        let places = places(groups, mountinfo).into_iter();
        places.map(|place| place.display().to_string()).collect()
    }

    #[test]
    fn groups_are_found_in_every_hierarchy_that_is_mounted() {
        let groups = "9:name=systemd:/\n4:memory:/a\n2:cpu,cpuacct:/a/b:c\n0::/a\n";
        assert_eq!(
            shown(groups, MIXED),
            [
                "/sys/fs/cgroup/systemd",
                "/sys/fs/cgroup/cpu,cpuacct/a/b:c",
                "/sys/fs/cgroup/unified/a"
            ]
        );
    }

    #[test]
    fn a_tree_may_be_mounted_whole_or_in_part() {
        let whole = "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(shown("0::/a/b\n", whole), ["/sys/fs/cgroup/a/b"]);
        assert_eq!(shown("0::/\n", whole), ["/sys/fs/cgroup"]);
        let part = "30 24 0:26 /a /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(shown("0::/a/b\n", part), ["/sys/fs/cgroup/b"]);
        assert_eq!(shown("0::/elsewhere\n", part), [""; 0]);
    }

    #[test]
    fn only_groups_of_the_machines_name_are_removed_with_all_below() {
        let folder = tempfile::tempdir().unwrap();
        let [mine, other] = ["dwenv1", "dwenv2"].map(|name| folder.path().join(name));
        fs::create_dir_all(mine.join("payload/system.slice")).unwrap();
        fs::create_dir_all(&other).unwrap();
        let recorded = [mine.clone(), other.clone(), folder.path().join("x/dwenv1")];
        remove(&recorded, "dwenv1", || {}).unwrap();
        assert!(!mine.exists() && other.exists());
    }
}
