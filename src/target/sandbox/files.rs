//! Writing into a machine's root from outside, where a link could lead back to the host's own files.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::program::Program;
use super::step::Step;
use crate::error::{Error, Result};

/// Writes a file of root's at this path inside `root`, whole or not at all. Folders are made as needed;
/// a link is never followed: the machine's users decide where it leads.
pub fn write(root: &Path, path: &str, mode: u32, content: impl AsRef<[u8]>) -> Result<()> {
    let failed = |cause: io::Error| {
        Error::failed(format!("could not write {path} of the sandbox")).because(cause)
    };
    let target = inside(root, path).map_err(failed)?;
    write_whole(&target, mode, content.as_ref()).map_err(failed)
}

/// Whether there is a regular file, or nothing, at this path inside `root`.
pub fn is_plain(root: &Path, path: &str) -> bool {
    inside(root, path).is_ok_and(|target| match fs::symlink_metadata(target) {
        Ok(meta) => meta.is_file(),
        Err(cause) => cause.kind() == io::ErrorKind::NotFound,
    })
}

/// Writes one of dwenv's own files, whole or not at all.
pub fn write_record(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    write_whole(path, 0o600, content.as_ref()).map_err(|cause| {
        Error::failed(format!("could not write {}", path.display())).because(cause)
    })
}

/// Makes one of dwenv's own folders. Only root may look inside: a root of another system holds programs
/// that run as root, and nobody keeps them up to date.
pub fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o700)))
        .map_err(|cause| Error::failed(format!("could not make {}", path.display())).because(cause))
}

/// Removes a folder and all in it, but nothing that is mounted there.
pub fn remove_tree(path: &Path, step: Option<&Step>) -> Result<()> {
    if fs::symlink_metadata(path).is_err() {
        return Ok(());
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    for mount in mounts_below(&mounts, path).iter().rev() {
        Program::new("umount")
            .args(["--", mount])
            .run(&format!("unmount {mount}, left by an earlier run"))?;
    }
    Program::new("rm")
        .args(["-rf", "--one-file-system", "--"])
        .args([path])
        .within(Duration::from_secs(300))
        .watch(&format!("remove {}", path.display()), |line| {
            if let (None, Some(step)) = (line, step) {
                step.still();
            }
        })?;
    Ok(())
}

/// What is mounted in a folder, in the order of mounting, from `/proc/self/mountinfo`.
fn mounts_below(mountinfo: &str, folder: &Path) -> Vec<String> {
    mountinfo
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|point| {
            point
                .replace("\\040", " ")
                .replace("\\011", "\t")
                .replace("\\012", "\n")
                .replace("\\134", "\\")
        })
        .filter(|point| Path::new(point).starts_with(folder))
        .collect()
}

/// The place of an absolute path inside `root`, every folder on the way a true one.
fn inside(root: &Path, path: &str) -> io::Result<PathBuf> {
    let mut place = root.to_path_buf();
    let mut parts = Path::new(path).components().peekable();
    while let Some(part) = parts.next() {
        match part {
            Component::RootDir => continue,
            Component::Normal(name) => place.push(name),
            _ => return Err(io::Error::other("not a plain path")),
        }
        if parts.peek().is_none() {
            return Ok(place);
        }
        match fs::symlink_metadata(&place) {
            Ok(meta) if meta.is_dir() => {}
            Ok(_) => return Err(io::Error::other("a folder on the way is a link")),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => fs::create_dir(&place)?,
            Err(cause) => return Err(cause),
        }
    }
    Err(io::Error::other("not a file's path"))
}

fn write_whole(target: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".dwenv-new");
    let beside = target.with_file_name(name);
    if fs::symlink_metadata(&beside).is_ok() {
        fs::remove_file(&beside)?;
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&beside)?;
    // The process's umask may have taken bits away.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(content)?;
    drop(file);
    fs::rename(&beside, target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_link_in_a_machine_never_leads_out_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let (host, root) = (folder.path().join("host"), folder.path().join("root"));
        fs::create_dir_all(&host).unwrap();
        fs::create_dir_all(root.join("etc")).unwrap();
        fs::write(host.join("passwd"), "host's").unwrap();
        symlink(host.join("passwd"), root.join("etc/hosts")).unwrap();
        symlink(&host, root.join("run")).unwrap();

        assert!(!is_plain(&root, "/etc/hosts"));
        write(&root, "/etc/hosts", 0o644, "box's").unwrap();
        assert!(is_plain(&root, "/etc/hosts"));
        assert!(write(&root, "/run/passwd", 0o644, "box's").is_err());
        assert!(write(&root, "/etc/../../passwd", 0o644, "box's").is_err());
        assert_eq!(fs::read_to_string(host.join("passwd")).unwrap(), "host's");
        assert_eq!(fs::read_to_string(root.join("etc/hosts")).unwrap(), "box's");
    }

    #[test]
    fn mounts_are_found_below_a_folder_only() {
        let info = "1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:5 / /a/b\\040c/proc rw - proc p rw\n3 1 0:6 / /a/bc rw - tmpfs t rw\n";
        assert_eq!(mounts_below(info, Path::new("/a/b c")), ["/a/b c/proc"]);
    }
}
