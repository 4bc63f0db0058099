//! `[network]`: what the network of the place asks of every box in it.

use super::declaration::distinct;
use super::folder::Folder;
use super::model::{DeclaredFile, Proxy, Secrets, Venue};
use super::section::{Problem, Section, Value};
use super::{check, secrets};
use crate::error::Result;
use crate::secret::Secret;

type Checked<T> = Result<T, Problem>;

pub fn read(section: &Section, secrets: Secrets) -> Result<Venue> {
    let proxy = section
        .find("proxy")
        .map(|value| proxy(&value, secrets))
        .transpose()?;
    let without = section.find("no_proxy");
    let list = |value: &Option<Value>, check: fn(&str) -> Checked<String>| match value {
        Some(value) => distinct(value, check),
        None => Ok(Vec::new()),
    };
    let venue = Venue {
        no_proxy: list(&without, host)?,
        certificates: match section.find("ca_certificates") {
            Some(value) => certificates(&value)?,
            None => Vec::new(),
        },
        apt_mirror: section
            .find("apt_mirror")
            .map(|value| value.parse(mirror))
            .transpose()?,
        registry_mirrors: list(&section.find("registry_mirrors"), registry)?,
        proxy,
    };
    section.finish()?;
    match without {
        Some(without) if venue.proxy.is_none() => {
            Err(without.error(Problem::new("there is no `network.proxy` to go around")))
        }
        _ => Ok(venue),
    }
}

fn proxy(value: &Value, secrets: Secrets) -> Result<Proxy> {
    if value.is_table() {
        return Ok(Proxy {
            address: secrets::read(value, secrets, proxy_address)?,
            is_public: false,
        });
    }
    let address = value.parse(proxy_address)?;
    Ok(Proxy {
        is_public: !address.contains('@'),
        address: Secret::new(address),
    })
}

/// The web address of a proxy, with a name and a password before an `@` or without. No file that it is
/// written to has to quote what may stand in it.
fn proxy_address(text: &str) -> Checked<String> {
    let wrong = || {
        Problem::new("it is no web address of a proxy").hint("such as http://proxy.example:3128")
    };
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"))
        .ok_or_else(wrong)?;
    let rest = rest.trim_end_matches('/');
    let (who, place) = rest.rsplit_once('@').unwrap_or(("", rest));
    let of_name = |c: char| c.is_ascii_alphanumeric() || "._~-:%!*+,=".contains(c);
    let of_place = |c: char| c.is_ascii_alphanumeric() || "._-:[]".contains(c);
    if place.is_empty() || !place.chars().all(of_place) {
        return Err(wrong());
    }
    if !who.chars().all(of_name) {
        return Err(Problem::new(
            "its name or password has a character that web addresses do not have",
        )
        .hint("write such characters as % and two hexadecimal digits: %40 is @, %23 is #"));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// A host, a domain with a dot in front, or a network.
fn host(text: &str) -> Checked<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-:/*".contains(c);
    if text.is_empty() || !text.chars().all(plain) || text.contains("//") {
        return Err(Problem::new("it is no host, domain or network")
            .hint("such as mirror.example, .example.org or 10.0.0.0/8"));
    }
    Ok(text.to_owned())
}

/// What lies below it has the archives' own names.
fn mirror(text: &str) -> Checked<String> {
    check::repository(text).map_err(|_| {
        Problem::new("it is no web address of a mirror").hint("such as http://mirror.example")
    })
}

/// Docker takes the address of a registry alone, without a path.
fn registry(text: &str) -> Checked<String> {
    let text = check::repository(text).map_err(|_| {
        Problem::new("it is no web address of a registry").hint("such as https://hub.example:5000")
    })?;
    match text.split_once("://") {
        Some((_, place)) if place.contains('/') => Err(Problem::new(
            "Docker takes no path behind a registry's name",
        )),
        _ => Ok(text),
    }
}

fn certificates(list: &Value) -> Result<Vec<DeclaredFile>> {
    let mut files: Vec<DeclaredFile> = Vec::new();
    for entry in list.list()? {
        let file = entry.file()?;
        // What a URL's declaration names is fetched later.
        if !matches!(entry.folder(), Folder::Wanted(..)) {
            certificate(&file.content).map_err(|problem| entry.error(problem))?;
        }
        if files.iter().any(|other| other.stem() == file.stem()) {
            let problem = format!("another certificate is already called {}", file.stem());
            return Err(entry.error(Problem::new(problem)));
        }
        files.push(file);
    }
    Ok(files)
}

fn certificate(text: &str) -> Checked<()> {
    if text.contains("PRIVATE KEY-----") {
        return Err(Problem::new(
            "it holds a private key, which belongs in no workshop",
        ));
    }
    match text.matches("-----BEGIN CERTIFICATE-----").count() {
        1 if text.contains("-----END CERTIFICATE-----") => Ok(()),
        0 | 1 => Err(Problem::new("it is no certificate as PEM")
            .hint("its first line is -----BEGIN CERTIFICATE-----")),
        _ => Err(Problem::new("it holds several certificates")
            .hint("give each a file of its own: what the box trusts is linked by file")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxys_address_needs_no_quoting_anywhere() {
        for text in [
            "http://proxy.example:3128",
            "http://10.0.0.1:3128/",
            "https://[fd00::1]:3128",
            "http://anna:p%40ss@proxy:8080",
        ] {
            assert!(proxy_address(text).is_ok(), "{text}");
        }
        for text in [
            "proxy:3128",
            "http://",
            "http://a b",
            "http://proxy/path",
            "http://u:$(x)@proxy",
            "http://u:\"@proxy",
            "socks5://proxy:1080",
            "http://u:p@",
        ] {
            assert!(proxy_address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_registrys_address_has_no_path() {
        assert!(registry("http://10.0.0.1:5000").is_ok());
        assert!(registry("https://hub.example/").is_ok());
        assert!(registry("https://hub.example/v2").is_err());
        assert!(registry("hub.example").is_err());
    }
}
