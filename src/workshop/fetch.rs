//! A declaration from a URL: fetched once with its files, checked, kept; later runs use what was kept.
//!
//! A room full of attendees starts at the same minute on one link, and goes on when the link is gone.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use sha2::{Digest, Sha256};

use super::declaration;
use super::document::Document;
use super::folder::{self, Folder, Origin, SIZE_LIMIT};
use super::model::{Secrets, Workshop};
use super::source::{self, CONFIG_FILE};
use crate::error::{Error, Result};
use crate::events::Events;

const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// For one file, which is at most 1 MiB.
const FILE_DEADLINE: Duration = Duration::from_secs(30);
const MAX_REDIRECTS: usize = 5;

/// The folder of this person where copies may be kept, as their system has it.
pub fn cache_folder() -> Result<PathBuf> {
    let variable = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let home = || std::env::home_dir().filter(|path| path.is_absolute());
    let base = if cfg!(windows) {
        variable("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        home().map(|home| home.join("Library/Caches"))
    } else {
        variable("XDG_CACHE_HOME").or_else(|| home().map(|home| home.join(".cache")))
    };
    base.map(|base| base.join("dwenv").join("workshops"))
        .ok_or_else(|| {
            Error::config("there is no folder to keep the fetched declaration in").hint(
                if cfg!(windows) {
                    "set LOCALAPPDATA to the folder where your programs keep their data"
                } else {
                    "set HOME to your home folder"
                },
            )
        })
}

/// The declaration at `url`, from `cache` if it is there.
pub async fn load(url: &str, cache: &Path, secrets: Secrets, events: &Events) -> Result<Workshop> {
    let url = Url::parse(url)
        .map_err(|error| Error::config(format!("{url} is no URL")).because(error))?;
    let name = shown(&url);
    let kept = cache.join(key(&url));
    if is_complete(&name, &kept) {
        events.note(format!(
            "using the copy of {name} in {}; delete that folder to fetch it again",
            kept.display()
        ));
        return from_folder(&name, &kept, secrets);
    }
    if url.scheme() == "http" {
        events.warning(format!(
            "{name} is fetched without encryption: whoever is on the way can change it"
        ));
    }
    // Fetched beside its place and moved there whole: a run that is cut off leaves nothing half.
    let io = |error: std::io::Error| {
        Error::config(format!(
            "the copy of {name} cannot be written to {}",
            cache.display()
        ))
        .because(error)
    };
    fs::create_dir_all(cache).map_err(io)?;
    let fresh = Fresh(cache.join(format!(".{}-{}", key(&url), std::process::id())));
    fetch_all(&url, &name, &fresh.0).await?;
    // What does not hold is not kept: its author will mend it under the same URL.
    from_folder(&name, &fresh.0, secrets)?;
    if kept.exists() {
        fs::remove_dir_all(&kept).map_err(io)?;
    }
    match fs::rename(&fresh.0, &kept) {
        Ok(()) => {}
        // Another run was quicker.
        Err(_) if is_complete(&name, &kept) => {}
        Err(error) => return Err(io(error)),
    }
    events.note(format!("fetched {name}, kept in {}", kept.display()));
    from_folder(&name, &kept, secrets)
}

/// Removed again, unless it was moved away.
struct Fresh(PathBuf);

impl Drop for Fresh {
    fn drop(&mut self) {
        // Nothing depends on it; it is in a cache.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn from_folder(name: &str, folder: &Path, secrets: Secrets) -> Result<Workshop> {
    let file = folder.join(CONFIG_FILE);
    let document = Document::new(
        name,
        config(name, &file)?,
        Folder::Cached(folder.to_owned()),
    );
    declaration::read(Some(&document), Some(file), secrets)
}

fn config(name: &str, file: &Path) -> Result<String> {
    let bytes = folder::read_limited(file).map_err(|error| {
        Error::config(format!("{} cannot be read", file.display())).because(error)
    })?;
    source::text(name, &bytes)
}

/// Whether the copy and every file that it names are there.
fn is_complete(name: &str, kept: &Path) -> bool {
    config(name, &kept.join(CONFIG_FILE))
        .and_then(|text| source::named_files(name, text, Origin::Url))
        .is_ok_and(|paths| paths.iter().all(|path| kept.join(path).is_file()))
}

async fn fetch_all(url: &Url, name: &str, into: &Path) -> Result<()> {
    let client = client(name)?;
    let (bytes, from) = get(&client, url, name).await?;
    let text = source::text(name, &bytes)?;
    for path in source::named_files(name, text, Origin::Url)? {
        let file = from
            .join(&path)
            .map_err(|error| Error::config(format!("{path} cannot be fetched")).because(error))?;
        let (bytes, _) = get(&client, &file, &shown(&file)).await?;
        write(&into.join(&path), &bytes)?;
    }
    write(&into.join(CONFIG_FILE), &bytes)
}

fn client(name: &str) -> Result<Client> {
    let redirects = Policy::custom(|attempt| {
        let unveiled = attempt.url().scheme() != "https"
            && attempt.previous().iter().any(|url| url.scheme() == "https");
        if unveiled {
            attempt.error("it leads from https to an address without encryption")
        } else if attempt.previous().len() > MAX_REDIRECTS {
            attempt.error("it leads from one address to the next without end")
        } else {
            attempt.follow()
        }
    });
    Client::builder()
        .connect_timeout(CONNECT_DEADLINE)
        .timeout(FILE_DEADLINE)
        .redirect(redirects)
        .user_agent(concat!("dwenv/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| not_fetched(name, &error))
}

/// What lies at `url`, and where that was in the end.
async fn get(client: &Client, url: &Url, name: &str) -> Result<(Vec<u8>, Url)> {
    let mut response = client
        .get(url.clone())
        .send()
        .await
        .map_err(|error| not_fetched(name, &error))?;
    let status = response.status();
    if !status.is_success() {
        return Err(Error::config(format!("{name} cannot be fetched"))
            .because(format!("the server answers {status}"))
            .hint("open the address in a browser: it must show the file itself, without a login"));
    }
    let from = response.url().clone();
    let mut bytes = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| not_fetched(name, &error))?
    {
        bytes.extend_from_slice(&chunk);
        if bytes.len() as u64 > SIZE_LIMIT {
            return Err(Error::config(format!("{name} is larger than 1 MiB")));
        }
    }
    Ok((bytes, from))
}

fn not_fetched(name: &str, error: &reqwest::Error) -> Error {
    // The outer words are only "error sending request for url"; the reason is the innermost.
    let mut reason: &dyn std::error::Error = error;
    while let Some(inner) = reason.source() {
        reason = inner;
    }
    let told = if error.is_timeout() {
        format!("no answer within {} s", FILE_DEADLINE.as_secs())
    } else {
        reason.to_string()
    };
    Error::config(format!("{name} cannot be fetched"))
        .because(told)
        .hint("Check the address and this network, or take a copy of the workshop's folder: `--config FILE`")
}

fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    let parent = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent)
        .and_then(|()| fs::write(file, bytes))
        .map_err(|error| {
            Error::config(format!("{} cannot be written", file.display())).because(error)
        })
}

/// The URL as it is told: without a password or a token in it.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // These fail only where a URL cannot have them.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

fn key(url: &Url) -> String {
    let mut key = String::new();
    for byte in Sha256::digest(url.as_str().as_bytes()).iter().take(12) {
        // Writing to a String cannot fail.
        let _ = write!(key, "{byte:02x}");
    }
    key
}

#[cfg(test)]
mod tests;
