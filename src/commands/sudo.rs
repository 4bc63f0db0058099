//! Where the password for sudo comes from: a file, the person at the terminal, or nowhere.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::facts::sudo::Sudo;
use crate::output::Output;
use crate::output::progress::Progress;
use crate::secret::Secret;

/// What is longer than this is no password.
const LONGEST: u64 = 1024;

pub fn from(
    file: Option<&Path>,
    output: &Arc<Output>,
    progress: &Arc<Mutex<Progress>>,
) -> Result<Sudo> {
    if let Some(file) = file {
        return read(file).map(Sudo::known);
    }
    if !output.somebody_is_there() {
        return Ok(Sudo::nobody());
    }
    let (output, progress) = (output.clone(), progress.clone());
    Ok(Sudo::asking(Arc::new(move |question| {
        let progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.suspend(|| output.passphrase(question))
    })))
}

fn read(path: &Path) -> Result<Secret> {
    let shown = path.display();
    let unreadable = |cause: std::io::Error| {
        Error::usage(format!("the sudo password in {shown} cannot be read")).because(cause)
    };
    let mut file = File::open(path).map_err(unreadable)?;
    // What was opened, not what has the name by now.
    if is_open_to_others(&file.metadata().map_err(unreadable)?) {
        return Err(Error::usage(format!(
            "others than you may read the sudo password in {shown}"
        ))
        .hint(format!("keep it to yourself: `chmod 600 {shown}`")));
    }
    let mut text = String::new();
    let limited = file.by_ref().take(LONGEST + 1).read_to_string(&mut text);
    limited.map_err(unreadable)?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() || line.len() as u64 > LONGEST || line.contains(['\n', '\0']) {
        return Err(Error::usage(format!(
            "{shown} does not hold one line with the sudo password"
        )));
    }
    Ok(Secret::new(line))
}

#[cfg(unix)]
fn is_open_to_others(file: &std::fs::Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&file.permissions()) & 0o077 != 0
}

/// Windows gives a file in somebody's own folder to that person alone.
#[cfg(not(unix))]
fn is_open_to_others(_: &std::fs::Metadata) -> bool {
    false
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_password_file_is_one_line_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        let read_as = |text: &str, mode: u32| {
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            read(&file)
        };
        for text in ["with a space ", "with a space \n", "with a space \r\n"] {
            assert_eq!(read_as(text, 0o600).unwrap().reveal(), "with a space ");
        }
        let open = read_as("canary", 0o640).unwrap_err();
        assert!(open.message.starts_with("others than you may read"));
        for text in ["", "\n", "canary\nmore\n", &"x".repeat(2000)] {
            let error = read_as(text, 0o400).unwrap_err();
            assert!(error.message.contains("does not hold one line"), "{error}");
            assert!(!error.to_string().contains("canary"));
        }
        assert!(read(&folder.path().join("none")).is_err());
    }
}
