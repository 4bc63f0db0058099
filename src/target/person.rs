//! Who runs dwenv on this computer: what OpenSSH's defaults depend on.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use super::ssh_config::{self, Surroundings};
use crate::error::{Error, Result};

/// The person at the laptop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub home: PathBuf,
    /// `None` where nothing tells it.
    pub user: Option<String>,
}

impl Person {
    pub fn this() -> Result<Self> {
        let home = env::home_dir()
            .filter(|home| home.is_absolute())
            .ok_or_else(|| {
                Error::usage("your home folder is not known")
                    .hint("set the variable HOME (on Windows: USERPROFILE)")
            })?;
        let user = ["USER", "LOGNAME", "USERNAME"]
            .iter()
            .find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()))
            .or_else(|| user_of(&home, &fs::read_to_string("/etc/passwd").ok()?));
        Ok(Self { home, user })
    }

    /// The person's own SSH configuration.
    #[must_use]
    pub fn ssh_config(&self) -> PathBuf {
        self.home.join(".ssh").join("config")
    }

    pub(super) fn with_surroundings<T>(&self, read: impl FnOnce(&Surroundings<'_>) -> T) -> T {
        read(&Surroundings {
            home: &self.home,
            local_user: self.user.as_deref().unwrap_or_default(),
            variable: &|name| env::var(name).ok(),
            include: &ssh_config::include_from_disk,
        })
    }
}

/// The user whom `/etc/passwd` gives this home: services and containers often have no `USER`.
fn user_of(home: &Path, passwd: &str) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(4)? == home.to_str()?).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_is_found_by_the_home() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nanna:x:1000:1000:,,,:/home/anna:/bin/sh\n";
        assert_eq!(
            user_of(Path::new("/home/anna"), passwd).as_deref(),
            Some("anna")
        );
        assert_eq!(user_of(Path::new("/home/otto"), passwd), None);
    }
}
