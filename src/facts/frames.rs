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

    mod fuzzed {
        use proptest::prelude::*;
        use proptest::test_runner::FileFailurePersistence;

        use super::*;

        /// What once was a fault stays a test.
        const REGRESSIONS: &str = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/data/frames.proptest-regressions"
        );

        fn config() -> ProptestConfig {
            ProptestConfig {
                cases: 256,
                failure_persistence: Some(Box::new(FileFailurePersistence::Direct(REGRESSIONS))),
                ..ProptestConfig::default()
            }
        }

        /// Noise, or an answer: its id, status, time and body.
        #[derive(Clone, Debug)]
        enum Piece {
            Noise(Vec<u8>),
            Answer(String, i32, u64, Vec<u8>),
        }

        fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
            // What headers are made of comes more often than chance has it.
            let likely = prop::sample::select(b"MARK 0123456789-\n\r\0".to_vec());
            prop::collection::vec(prop_oneof![any::<u8>(), likely], 0..most)
        }

        fn pieces() -> impl Strategy<Value = Vec<Piece>> {
            let answer = ("[a-z_.0-9]{1,20}", any::<i32>(), any::<u64>(), bytes(200));
            let piece = prop_oneof![
                bytes(100).prop_map(Piece::Noise),
                answer
                    .prop_map(|(id, status, millis, body)| Piece::Answer(id, status, millis, body)),
            ];
            prop::collection::vec(piece, 0..8)
        }

        fn stream(pieces: &[Piece]) -> Vec<u8> {
            let mut stream = Vec::new();
            for piece in pieces {
                match piece {
                    // Nobody else knows the mark.
                    Piece::Noise(noise) => {
                        stream.extend(noise.iter().filter(|byte| **byte != b'K'));
                        stream.push(b'\n');
                    }
                    Piece::Answer(id, status, millis, body) => {
                        let head = format!("\nMARK {id} {status} {millis} {}\n", body.len());
                        stream.extend(head.bytes());
                        stream.extend(body);
                    }
                }
            }
            stream
        }

        fn parsed(stream: &[u8], size: usize) -> Vec<Frame> {
            let mut parser = FrameParser::new("MARK");
            let parts = stream.chunks(size);
            parts.flat_map(|part| parser.push(part)).collect()
        }

        proptest! {
            #![proptest_config(config())]

            #[test]
            fn every_answer_comes_out_whole_and_nothing_else(pieces in pieces(), size in 1..300usize) {
                let frames = parsed(&stream(&pieces), size);
                let told = frames.into_iter().map(|frame| (frame.id, frame.status, frame.millis, frame.body));
                let said = pieces.into_iter().filter_map(|piece| match piece {
                    Piece::Answer(id, status, millis, body) => Some((id, status, millis, body)),
                    Piece::Noise(_) => None,
                });
                prop_assert_eq!(told.collect::<Vec<_>>(), said.collect::<Vec<_>>());
            }

            #[test]
            fn a_stream_that_was_cut_or_changed_is_no_fault(
                pieces in pieces(),
                (at, length, with) in (any::<prop::sample::Index>(), 0..50usize, bytes(50)),
                size in 1..300usize,
            ) {
                let mut stream = stream(&pieces);
                stream.extend(b"\nMARK last 0 0 0\n");
                let begin = at.index(stream.len());
                let end = (begin + length).min(stream.len());
                stream.splice(begin..end, with);
                let frames = parsed(&stream, size);
                let mut before = 0;
                for frame in &frames {
                    // Each is a part of the stream, behind the one before.
                    let end = usize::try_from(frame.end).unwrap();
                    prop_assert!(before + frame.body.len() < end && end <= stream.len());
                    prop_assert!(stream[..end].ends_with(&frame.body));
                    before = end;
                }
                prop_assert_eq!(frames, parsed(&stream, stream.len().max(1)));
            }
        }
    }
}
