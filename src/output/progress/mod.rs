//! How work goes, told on stderr: lines that live in a terminal, plain lines elsewhere.

mod board;
mod lines;

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::Verbosity;
use super::style::{Stream, Style};
use crate::events::Events;

pub use board::{Board, Mode};

/// Tells on stderr how work goes, from when it is made until it is dropped.
pub struct Progress {
    shared: Arc<Shared>,
    ticker: Option<JoinHandle<()>>,
}

struct Shared {
    board: Mutex<Board>,
    /// Rings when the board may be due earlier than it was.
    changed: Condvar,
    began: Instant,
}

impl Shared {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn tick_until_ended(&self) {
        let mut board = self.board();
        while !board.ended {
            let wait = board.due().map(|due| due.saturating_sub(self.now()));
            match wait {
                Some(Duration::ZERO) => {
                    if board.mode == Mode::Live {
                        let (height, width) = Stream::Stderr.size();
                        board.set_size(height, width);
                    }
                    board.tick(self.now());
                }
                Some(wait) => {
                    let woken = self.changed.wait_timeout(board, wait);
                    board = woken.unwrap_or_else(PoisonError::into_inner).0;
                }
                None => {
                    let woken = self.changed.wait(board);
                    board = woken.unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}

impl Progress {
    /// In the way that stderr allows.
    #[must_use]
    pub fn on_stderr(style: Style, verbosity: Verbosity) -> Self {
        let mode = if Stream::Stderr.can_redraw() {
            Mode::Live
        } else {
            Mode::Plain
        };
        Self::on(Board::new(Box::new(io::stderr()), style, mode, verbosity))
    }

    fn on(board: Board) -> Self {
        let shared = Arc::new(Shared {
            board: Mutex::new(board),
            changed: Condvar::new(),
            began: Instant::now(),
        });
        let ticking = Arc::clone(&shared);
        let ticker = thread::Builder::new()
            .name("progress".to_owned())
            .spawn(move || ticking.tick_until_ended())
            // Without the thread the line moves only when something happens.
            .ok();
        Self { shared, ticker }
    }

    /// Where to send what happens; usable from every thread, also after this value is gone.
    #[must_use]
    pub fn events(&self) -> Events {
        let shared = Arc::clone(&self.shared);
        Events::told_to(move |told| {
            let mut board = shared.board();
            let now = shared.now();
            board.tell(told, now);
            drop(board);
            shared.changed.notify_all();
        })
    }

    /// Runs `work` with the terminal to itself, to ask a question or to write a result; what happens
    /// meanwhile is told afterwards.
    pub fn suspend<T>(&self, work: impl FnOnce() -> T) -> T {
        self.shared.board().pause();
        let done = work();
        let mut board = self.shared.board();
        let now = self.shared.now();
        board.resume(now);
        drop(board);
        self.shared.changed.notify_all();
        done
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.shared.board().end();
        self.shared.changed.notify_all();
        if let Some(ticker) = self.ticker.take() {
            // A ticker that panicked has told all it could.
            let _ = ticker.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn threads_share_it_and_a_question_does_not_block_them() {
        let sink = Sink::default();
        let board = Board::new(
            Box::new(sink.clone()),
            Style::PLAIN,
            Mode::Plain,
            Verbosity::Normal,
        );
        let progress = Progress::on(board);
        let events = progress.events();
        progress.suspend(|| {
            let events = events.clone();
            let told = thread::spawn(move || events.note("meanwhile"));
            told.join().unwrap();
            sink.clone().write_all(b"question\n").unwrap();
        });
        drop(progress);
        events.note("afterwards");
        let told = sink.0.lock().unwrap().clone();
        assert_eq!(told, b"question\nnote: meanwhile\nnote: afterwards\n");
    }
}
