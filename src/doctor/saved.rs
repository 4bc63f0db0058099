//! What was seen, in a file: saved on one machine, judged on another.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::facts::Records;
use crate::resources::Context;
use crate::resources::files::sha256;
use crate::target::Provider;
use crate::target::laptop::Os;
use crate::workshop::Workshop;

/// The version of the file. What was saved by a newer one is not read.
pub const VERSION: u32 = 1;

/// Facts that were taken this many seconds ago are told how old they are.
const OLD: u64 = 60 * 60;

/// One target's records, with what is needed to judge them elsewhere. No secret is among it: records hold
/// none, and of the declaration there is only a digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    pub schema_version: u32,
    /// The version of dwenv that asked.
    pub dwenv: String,
    /// The digest of the declaration that was asked for.
    pub declaration: String,
    pub target: String,
    pub provider: Provider,
    pub laptop: Os,
    /// Whether only the laptop was looked at.
    pub before: bool,
    #[serde(flatten)]
    pub records: Records,
}

/// The first field of every version.
#[derive(Deserialize)]
struct Versioned {
    schema_version: u32,
}

impl Saved {
    #[must_use]
    pub fn new(context: Context, records: &Records) -> Self {
        Self {
            schema_version: VERSION,
            dwenv: env!("CARGO_PKG_VERSION").to_owned(),
            declaration: digest(context.workshop),
            target: context.target.to_owned(),
            provider: context.provider.clone(),
            laptop: context.laptop,
            before: context.before,
            records: records.clone(),
        }
    }

    /// # Errors
    /// When the file is not there, or not what `--save` writes.
    pub fn read(file: &Path) -> Result<Self> {
        let name = file.display();
        let text = fs::read_to_string(file)
            .map_err(|error| Error::usage(format!("{name} cannot be read")).because(error))?;
        let wrong = |error| {
            let error = Error::usage(format!("{name} is not what `dwenv doctor --save` writes"))
                .because(error);
            let is_a_report = serde_json::from_str::<serde_json::Value>(&text)
                .is_ok_and(|it| it.get("checks").is_some());
            error.hint(match is_a_report {
                true => "this is a report of `--format json`: ask for what `dwenv doctor --save FILE` writes",
                false => "ask for the file that `dwenv doctor --save FILE` writes",
            })
        };
        let Versioned { schema_version } = serde_json::from_str(&text).map_err(wrong)?;
        if schema_version > VERSION {
            return Err(Error::usage(format!("{name} was saved by a newer dwenv"))
                .hint("Use a dwenv at least as new as theirs"));
        }
        serde_json::from_str(&text).map_err(wrong)
    }

    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, file: &Path) -> Result<()> {
        serde_json::to_vec_pretty(self)
            .map_err(std::io::Error::from)
            .and_then(|bytes| fs::write(file, bytes))
            .map_err(|error| {
                Error::failed(format!("{} could not be written", file.display())).because(error)
            })
    }

    /// What the records are judged against, with the declaration that is here.
    #[must_use]
    pub fn context<'a>(&'a self, workshop: &'a Workshop) -> Context<'a> {
        Context {
            workshop,
            provider: &self.provider,
            target: &self.target,
            laptop: self.laptop,
            before: self.before,
            deep: self.records.deep,
        }
    }

    /// Whether the box may have changed by `now`, in seconds since 1970: its facts are not of this hour.
    #[must_use]
    pub fn is_old(&self, now: u64) -> bool {
        now.saturating_sub(self.records.taken_at) >= OLD
    }

    /// What to know of a file that was saved with another declaration, or by another dwenv.
    #[must_use]
    pub fn differs_from(&self, workshop: &Workshop) -> Option<String> {
        let here = env!("CARGO_PKG_VERSION");
        if self.dwenv != here {
            return Some(format!(
                "These facts were saved by dwenv {}, and are judged by dwenv {here}: what only one of the two \
                 asks for is unknown.",
                self.dwenv
            ));
        }
        (self.declaration != digest(workshop)).then(|| {
            "The config.toml with which these facts were saved is not the one that they are judged with here."
                .to_owned()
        })
    }
}

/// The digest of everything that is declared, wherever it was read from. A password that is a secret has no
/// part in it: nobody can guess it from the digest.
#[must_use]
pub fn digest(workshop: &Workshop) -> String {
    let declared = Workshop {
        origin: None,
        ..workshop.clone()
    };
    sha256(&format!("{declared:?}"))
}
