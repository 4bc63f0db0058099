//! Who signed a certificate, read from its DER.

/// The organisation that signed, or its common name where it has no organisation.
pub fn issuer(der: &[u8]) -> Option<String> {
    // Certificate → TBSCertificate → [version] serial signature issuer.
    let (_, certificate, _) = part(der)?;
    let (_, mut rest, _) = part(certificate)?;
    if let Some((VERSION, _, after)) = part(rest) {
        rest = after;
    }
    let (_, _, rest) = part(rest)?;
    let (_, _, rest) = part(rest)?;
    let (SEQUENCE, names, _) = part(rest)? else {
        return None;
    };
    named(names, ORGANISATION).or_else(|| named(names, COMMON_NAME))
}

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
/// The last byte of the identifiers 2.5.4.N.
const ORGANISATION: u8 = 10;
const COMMON_NAME: u8 = 3;

/// One value, split into its tag, its content and what follows it.
fn part(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first & 0x80 != 0 {
        let count = usize::from(first & 0x7f);
        if count == 0 || count > 4 {
            return None;
        }
        let (bytes, after) = rest.split_at_checked(count)?;
        length = bytes
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        rest = after;
    }
    let (content, after) = rest.split_at_checked(length)?;
    Some((tag, content, after))
}

fn named(mut names: &[u8], kind: u8) -> Option<String> {
    while let Some((_, set, after)) = part(names) {
        names = after;
        let (_, pair, _) = part(set)?;
        let (_, identifier, value) = part(pair)?;
        if identifier == [0x55, 4, kind] {
            let (_, text, _) = part(value)?;
            return Some(String::from_utf8_lossy(text).into_owned());
        }
    }
    None
}
