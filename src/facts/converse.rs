//! The laptop's side of a running program: what goes to its stdin, and sudo's question in between.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::frames::Frame;
use super::program::{self, Program};
use super::sudo::{Sudo, Tried};

/// Of what is said on stderr the beginning is kept: a noisy shell may say megabytes.
const KEPT: usize = 8 * 1024;

/// What the box's outputs tell the one who writes to its stdin.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    /// sudo asks for a password.
    Asks,
    /// sudo was content: now the program, which was not read before.
    Ready,
    /// The program runs.
    Runs,
}

/// The writing end of a conversation.
pub struct Speaker<'a> {
    program: &'a Program,
    sudo: &'a Sudo,
    turns: UnboundedReceiver<Turn>,
}

/// The reading ends of a conversation. Both must be gone before a speaker stops waiting for its turn.
pub struct Listener {
    turns: UnboundedSender<Turn>,
    questions: Questions,
}

/// Begins to talk with a program.
pub fn converse<'a>(program: &'a Program, sudo: &'a Sudo) -> (Speaker<'a>, Listener, Listener) {
    let (sender, turns) = unbounded_channel();
    let listener = |turns| Listener {
        turns,
        questions: Questions::new(&program.mark),
    };
    let speaker = Speaker {
        program,
        sudo,
        turns,
    };
    (speaker, listener(sender.clone()), listener(sender))
}

impl Speaker<'_> {
    /// Sends the program, and what sudo wants to know before it. Returns which passwords were tried.
    ///
    /// A box that ends early closes its stdin; what it answered is judged all the same, so nothing that fails
    /// here is told.
    pub async fn speak(mut self, stdin: &mut DuplexStream) -> Tried {
        let mut tried = Tried::default();
        let program = &self.program.stdin;
        if !self.program.waits {
            let _ = stdin.write_all(program).await;
        }
        while self.program.asks {
            match self.turns.recv().await {
                Some(Turn::Asks) => {
                    // Without an answer the end of the input is one: sudo gives up.
                    let Some(password) = self.sudo.answer(&mut tried).await else {
                        break;
                    };
                    let line = format!("{}\n", password.reveal());
                    let _ = stdin.write_all(line.as_bytes()).await;
                }
                Some(Turn::Ready) => {
                    self.sudo.accept(&tried);
                    let _ = stdin.write_all(program).await;
                    break;
                }
                Some(Turn::Runs) | None => break,
            }
        }
        let _ = stdin.shutdown().await;
        tried
    }
}

impl Listener {
    /// To be told of every frame.
    pub fn heard(&self, frame: &Frame) {
        let turn = match frame.id.as_str() {
            program::READY => Turn::Ready,
            program::ELEVATED => Turn::Runs,
            _ => return,
        };
        // Nobody waits for it any more where the program is sent.
        let _ = self.turns.send(turn);
    }

    /// Reads stderr to its end: what was said there, without sudo's question.
    pub async fn hear_noise(self, stderr: &mut DuplexStream) -> String {
        let mut noise = Vec::new();
        let mut questions = self.questions;
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stderr.read(&mut buffer).await {
            let room = KEPT.saturating_sub(noise.len()).min(count);
            noise.extend_from_slice(&buffer[..room]);
            for _ in 0..questions.heard(&buffer[..count]) {
                let _ = self.turns.send(Turn::Asks);
            }
        }
        questions.left_out_of(&String::from_utf8_lossy(&noise))
    }
}

/// sudo's questions among what is said on stderr.
pub struct Questions {
    prompt: String,
    /// The end of what came, where a question may have begun.
    tail: Vec<u8>,
}

impl Questions {
    #[must_use]
    pub fn new(mark: &str) -> Self {
        Self {
            prompt: program::prompt(mark),
            tail: Vec::new(),
        }
    }

    /// How many questions end in this piece.
    pub fn heard(&mut self, piece: &[u8]) -> usize {
        let prompt = self.prompt.as_bytes();
        self.tail.extend_from_slice(piece);
        let mut count = 0;
        while let Some(at) = position(&self.tail, prompt) {
            count += 1;
            self.tail.drain(..at + prompt.len());
        }
        let keep = self.tail.len().min(prompt.len() - 1);
        self.tail.drain(..self.tail.len() - keep);
        count
    }

    /// What was said besides.
    #[must_use]
    pub fn left_out_of(&self, said: &str) -> String {
        said.replace(&self.prompt, "")
    }
}

fn position(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_question_is_heard_once_however_it_is_cut() {
        let program = Program {
            command: String::new(),
            stdin: Vec::new(),
            mark: "dwenv-1".to_owned(),
            asks: true,
            waits: false,
        };
        let sudo = Sudo::nobody();
        let said = b"noise dwenv-1-asks:Sorry, try again.\ndwenv-1-asks:dwenv-1-ask";
        for piece in 1..said.len() {
            let (mut speaker, out, err) = converse(&program, &sudo);
            drop(out);
            let (mut theirs, mut ours) = tokio::io::duplex(1024);
            let write = async {
                for piece in said.chunks(piece) {
                    theirs.write_all(piece).await.unwrap();
                    tokio::task::yield_now().await;
                }
                drop(theirs);
            };
            let (noise, ()) = tokio::join!(err.hear_noise(&mut ours), write);
            assert_eq!(noise, "noise Sorry, try again.\ndwenv-1-ask");
            assert_eq!(speaker.turns.recv().await, Some(Turn::Asks));
            assert_eq!(speaker.turns.recv().await, Some(Turn::Asks));
            assert_eq!(speaker.turns.recv().await, None);
        }
    }
}
