//! What a private key file tells before it is used: its format, whether it is encrypted, and its
//! public half where that stands in the clear.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// A key that can be offered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Inspected {
    pub(super) encrypted: bool,
    pub(super) public: Option<PublicKey>,
}

/// A public key as SSH writes it: its type and its blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PublicKey {
    pub(super) kind: String,
    pub(super) blob: Vec<u8>,
}

impl PublicKey {
    /// Takes the type from the blob itself.
    pub(super) fn from_blob(blob: Vec<u8>) -> Option<Self> {
        let kind = Fields(&blob).text()?.to_owned();
        Some(Self { kind, blob })
    }

    /// Reads `type base64 comment`, the line of a `.pub` file.
    pub(super) fn from_line(line: &str) -> Option<Self> {
        let encoded = line.split_whitespace().nth(1)?;
        Self::from_blob(BASE64.decode(encoded).ok()?)
    }

    pub(super) fn line(&self) -> String {
        format!("{} {}", self.kind, BASE64.encode(&self.blob))
    }
}

/// Looks at the text of a key file; an error is why it cannot be used.
pub(super) fn inspect(text: &str) -> Result<Inspected, String> {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let first = text.lines().next().unwrap_or_default().trim_end();
    match first {
        "-----BEGIN OPENSSH PRIVATE KEY-----" => openssh(text),
        "-----BEGIN ENCRYPTED PRIVATE KEY-----" => Ok(Inspected {
            encrypted: true,
            public: None,
        }),
        _ if first.starts_with("-----BEGIN ") && first.ends_with("PRIVATE KEY-----") => {
            let headers = text.lines().skip(1).take(3);
            let encrypted = headers
                .filter_map(|line| line.strip_prefix("Proc-Type:"))
                .any(|value| value.contains("ENCRYPTED"));
            Ok(Inspected {
                encrypted,
                public: None,
            })
        }
        _ if first.starts_with("PuTTY-User-Key-File") => {
            Err("is in PuTTY's format; PuTTYgen exports it as an OpenSSH key".to_owned())
        }
        _ if PublicKey::from_line(first).is_some() => {
            Err("is a public key; the private one is needed".to_owned())
        }
        _ => Err("is not a private key".to_owned()),
    }
}

/// The header of OpenSSH's own format, in which the public half is never encrypted.
fn openssh(text: &str) -> Result<Inspected, String> {
    let damaged = || "is damaged: its header cannot be read".to_owned();
    let body: String = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("-----"))
        .collect();
    let bytes = BASE64.decode(body).map_err(|_| damaged())?;
    let header = bytes
        .strip_prefix(b"openssh-key-v1\0")
        .ok_or_else(damaged)?;
    let mut fields = Fields(header);
    let cipher = fields.text().ok_or_else(damaged)?.to_owned();
    let _kdf = fields.bytes().ok_or_else(damaged)?;
    let _kdf_options = fields.bytes().ok_or_else(damaged)?;
    let _count = fields.number().ok_or_else(damaged)?;
    let blob = fields.bytes().ok_or_else(damaged)?.to_vec();
    let public = PublicKey::from_blob(blob).ok_or_else(damaged)?;
    if public.kind.starts_with("sk-") {
        return Err(
            "belongs to a hardware token, which dwenv cannot use: add another key".to_owned(),
        );
    }
    Ok(Inspected {
        encrypted: cipher != "none",
        public: Some(public),
    })
}

/// Reads the length-prefixed fields of SSH's encoding, one after the other.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn number(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*number))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn openssh_key(cipher: &str, kind: &str) -> String {
        let field = |bytes: &[u8]| {
            let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
            [&length[..], bytes].concat()
        };
        let public = field(kind.as_bytes());
        let bytes = [
            b"openssh-key-v1\0".to_vec(),
            field(cipher.as_bytes()),
            field(b"bcrypt"),
            field(b""),
            1_u32.to_be_bytes().to_vec(),
            field(&public),
        ]
        .concat();
        let body = BASE64.encode(bytes);
        format!(
            "-----BEGIN OPENSSH PRIVATE KEY-----\r\n{body}\r\n-----END OPENSSH PRIVATE KEY-----"
        )
    }

    #[test]
    fn an_openssh_key_tells_its_type_and_whether_it_is_encrypted() {
        let plain = inspect(&openssh_key("none", "ssh-ed25519")).unwrap();
        assert!(!plain.encrypted);
        assert_eq!(plain.public.unwrap().kind, "ssh-ed25519");
        assert!(
            inspect(&openssh_key("aes256-ctr", "ssh-rsa"))
                .unwrap()
                .encrypted
        );
    }

    #[test]
    fn a_pem_key_is_encrypted_where_its_header_says_so() {
        let pem = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: x\n\nAAAA";
        assert!(inspect(pem).unwrap().encrypted);
        assert!(
            !inspect("-----BEGIN RSA PRIVATE KEY-----\nAAAA")
                .unwrap()
                .encrypted
        );
        assert!(
            inspect("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA")
                .unwrap()
                .encrypted
        );
    }

    #[test]
    fn what_is_no_usable_key_is_named() {
        let reason = |text: &str| inspect(text).unwrap_err();
        assert!(reason("").contains("not a private key"));
        assert!(reason("PuTTY-User-Key-File-3: ssh-ed25519").contains("PuTTY"));
        assert!(reason("ssh-rsa AAAAB3NzaC1yc2E= me").contains("public key"));
        assert!(reason("-----BEGIN OPENSSH PRIVATE KEY-----\n!!").contains("damaged"));
        assert!(
            reason(&openssh_key("none", "sk-ssh-ed25519@openssh.com")).contains("hardware token")
        );
    }
}
