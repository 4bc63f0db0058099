//! The frames in which a program on the box answers, and their parser.
//!
//! A frame is a header line `MARK ID STATUS MILLISECONDS LENGTH`, then exactly LENGTH bytes. The mark is
//! made anew for each run, so nothing that a login shell or a command prints can be taken for a frame.

/// One answer out of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub id: String,
    pub status: i32,
    pub millis: u64,
    pub body: Vec<u8>,
    /// How many bytes the stream had given when the frame ended.
    pub end: u64,
}

/// A body longer than this is no answer of ours: the header was garbled.
const LONGEST_BODY: usize = 16 << 20;
/// A header line longer than this is none.
const LONGEST_HEADER: usize = 512;

/// Cuts a byte stream into frames; everything between frames is noise and passed over.
pub struct FrameParser {
    mark: Vec<u8>,
    buffer: Vec<u8>,
    /// How many bytes came before those in the buffer.
    passed: u64,
}

impl FrameParser {
    #[must_use]
    pub fn new(mark: &str) -> Self {
        Self {
            mark: format!("{mark} ").into_bytes(),
            buffer: Vec::new(),
            passed: 0,
        }
    }

    /// Takes the next bytes and returns the frames that they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Frame> {
        self.buffer.extend_from_slice(bytes);
        let mut frames = Vec::new();
        let mut at = 0;
        while let Some(start) = find(&self.buffer[at..], &self.mark).map(|found| at + found) {
            let line_start = start + self.mark.len();
            let Some(line_length) = self.buffer[line_start..].iter().position(|b| *b == b'\n')
            else {
                at = if self.buffer.len() - line_start > LONGEST_HEADER {
                    line_start
                } else {
                    start
                };
                if at == start {
                    break;
                }
                continue;
            };
            let body_start = line_start + line_length + 1;
            match parse_header(&self.buffer[line_start..body_start - 1]) {
                Some((_, _, _, length)) if self.buffer.len() < body_start + length => {
                    at = start;
                    break;
                }
                Some((id, status, millis, length)) => {
                    let body = self.buffer[body_start..body_start + length].to_vec();
                    at = body_start + length;
                    frames.push(Frame {
                        id,
                        status,
                        millis,
                        body,
                        end: self.passed + at as u64,
                    });
                }
                None => at = line_start,
            }
        }
        self.forget_noise(at);
        frames
    }

    /// Drops what was read, keeping only what may be the beginning of a frame.
    fn forget_noise(&mut self, read: usize) {
        self.drop_first(read);
        if !self.buffer.starts_with(&self.mark) {
            let keep = self.mark.len().saturating_sub(1);
            let noise = self.buffer.len().saturating_sub(keep);
            self.drop_first(noise);
        }
    }

    fn drop_first(&mut self, count: usize) {
        self.buffer.drain(..count);
        self.passed += count as u64;
    }
}

fn parse_header(line: &[u8]) -> Option<(String, i32, u64, usize)> {
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let id = words.next()?.to_owned();
    let status = words.next()?.parse().ok()?;
    let millis = words.next()?.parse().ok()?;
    let length = words.next()?.parse().ok()?;
    (words.next().is_none() && length <= LONGEST_BODY).then_some((id, status, millis, length))
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|part| part == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] =
        b"Welcome!\nMARK\n\nMARK one 0 12 5\nhello\nMARK two 7 0 0\n\nMARK bad header\n\
        MARK three 0 3 8\nMARK x\n\nbye";

    fn ids(frames: &[Frame]) -> Vec<&str> {
        frames.iter().map(|frame| frame.id.as_str()).collect()
    }

    #[test]
    fn noise_and_bad_headers_are_passed_over() {
        let frames = FrameParser::new("MARK").push(STREAM);
        assert_eq!(ids(&frames), ["one", "two", "three"]);
        assert_eq!(frames[0].body, b"hello");
        assert_eq!((frames[1].status, frames[0].millis), (7, 12));
        assert_eq!(
            &STREAM[..frames[2].end as usize],
            STREAM.strip_suffix(b"bye").unwrap()
        );
        assert_eq!(
            frames[2].body, b"MARK x\n\n",
            "a body is never read as a header"
        );
    }

    #[test]
    fn the_cuts_between_reads_do_not_matter() {
        let whole = FrameParser::new("MARK").push(STREAM);
        for size in 1..STREAM.len() {
            let mut parser = FrameParser::new("MARK");
            let pieces: Vec<Frame> = STREAM.chunks(size).flat_map(|c| parser.push(c)).collect();
            assert_eq!(pieces, whole, "in pieces of {size}");
        }
    }

    #[test]
    fn megabytes_of_noise_are_not_kept() {
        let mut parser = FrameParser::new("MARK");
        for _ in 0..1000 {
            assert!(parser.push(&[b'x'; 4096]).is_empty());
        }
        assert!(parser.buffer.len() < 64);
        assert_eq!(ids(&parser.push(b"\nMARK a 0 0 1\nz")), ["a"]);
    }
}
