//! How work goes, told on stderr: one line that lives in a terminal, plain lines elsewhere.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::Verbosity;
use super::human::duration;
use super::style::{Label, Stream, Style, Symbol};
use super::text::{Text, clean, columns};
use crate::events::{Event, Events};

/// How often the live line is drawn anew.
const REDRAW: Duration = Duration::from_millis(100);
/// How long a running step stays silent where lines cannot be drawn over.
const PLAIN_INTERVAL: Duration = Duration::from_secs(2);
/// How much of a step's name is repeated in each line about it, in columns.
const LONGEST_NAME: usize = 40;
/// Goes to the first column and removes what the line shows.
const ERASE: &str = "\r\x1b[2K";

/// Whether a line can be drawn over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A terminal: one line that is drawn again and again.
    Live,
    /// A file, a pipe, a terminal that cannot redraw: lines, and no control characters.
    Plain,
}

/// What is told, and when: it knows no clock, `now` is the time since the run began.
///
/// [`Progress`] gives it stderr, the time and a thread.
pub struct Board {
    sink: Box<dyn Write + Send>,
    style: Style,
    mode: Mode,
    verbosity: Verbosity,
    steps: Vec<Step>,
    /// Whether the live line is on the screen.
    drawn: bool,
    next_draw: Duration,
    frame: usize,
    /// Lines that wait while somebody else has the terminal.
    held: Option<String>,
    ended: bool,
}

struct Step {
    name: String,
    detail: String,
    fraction: Option<f64>,
    since: Duration,
    /// When the last line about it was written; only in plain mode.
    told: Duration,
}

impl Board {
    #[must_use]
    pub fn new(
        sink: Box<dyn Write + Send>,
        style: Style,
        mode: Mode,
        verbosity: Verbosity,
    ) -> Self {
        Self {
            sink,
            style,
            mode,
            verbosity,
            steps: Vec::new(),
            drawn: false,
            next_draw: Duration::ZERO,
            frame: 0,
            held: None,
            ended: false,
        }
    }

    /// Takes notice of an event.
    pub fn tell(&mut self, event: Event, now: Duration) {
        let was_drawn = self.drawn;
        match event {
            Event::StepStarted { step } => self.start(step, now),
            Event::StepProgress {
                step,
                detail,
                fraction,
            } => {
                if let Some(running) = self.steps.iter_mut().find(|known| known.name == step) {
                    running.detail = detail;
                    running.fraction = fraction;
                }
            }
            Event::StepFinished { step, took } => {
                self.forget(&step);
                if self.verbosity > Verbosity::Quiet {
                    let text = Text::of(Label::Pass, self.style.symbol(Symbol::Pass))
                        .plain(" ")
                        .plain(step)
                        .add(Label::Dim, format!(" ({})", duration(took)));
                    self.line(2, &text);
                }
            }
            Event::StepFailed { step, reason } => {
                self.forget(&step);
                let text = Text::of(Label::Fail, self.style.symbol(Symbol::Fail))
                    .plain(" ")
                    .plain(step)
                    .plain(": ")
                    .plain(reason);
                self.line(2, &text);
            }
            Event::Note { text } if self.verbosity > Verbosity::Quiet => {
                let text = Text::of(Label::Heading, "note:").plain(" ").plain(text);
                self.line("note: ".len(), &text);
            }
            Event::Warning { text } => {
                let text = Text::of(Label::Warn, "warning:").plain(" ").plain(text);
                self.line("warning: ".len(), &text);
            }
            Event::Detail { text } if self.verbosity == Verbosity::Verbose => {
                self.line(2, &Text::of(Label::Dim, text));
            }
            Event::Note { .. } | Event::Detail { .. } => {}
        }
        if was_drawn && !self.drawn {
            self.draw(now);
        }
    }

    /// When [`Board::tick`] has something to do next, if ever.
    #[must_use]
    pub fn due(&self) -> Option<Duration> {
        if self.steps.is_empty() || self.ended || self.held.is_some() {
            return None;
        }
        match self.mode {
            Mode::Live => Some(self.next_draw),
            Mode::Plain => {
                let told = self.steps.iter().map(|step| step.told).min();
                told.map(|told| told + PLAIN_INTERVAL)
            }
        }
    }

    /// Tells what time alone has made worth telling.
    pub fn tick(&mut self, now: Duration) {
        if self.due().is_none_or(|due| now < due) {
            return;
        }
        match self.mode {
            Mode::Live => {
                self.frame += 1;
                self.draw(now);
            }
            Mode::Plain => {
                let mut lines = String::new();
                let ellipsis = self.style.symbol(Symbol::Ellipsis);
                for step in &mut self.steps {
                    if now >= step.told + PLAIN_INTERVAL {
                        step.told = now;
                        let name = step.short_name(LONGEST_NAME, ellipsis);
                        lines.push_str(&step.plain(&name, now));
                    }
                }
                self.write(&lines);
            }
        }
    }

    /// Leaves the terminal to somebody else until [`Board::resume`].
    pub fn pause(&mut self) {
        let erased = self.erased();
        self.write(erased);
        self.held.get_or_insert_default();
    }

    pub fn resume(&mut self, now: Duration) {
        if let Some(held) = self.held.take() {
            self.write(&held);
            for step in &mut self.steps {
                step.told = now;
            }
            self.next_draw = now;
        }
    }

    /// Takes the live line off the screen. What is told after this is told in plain lines.
    pub fn end(&mut self) {
        if let Some(held) = self.held.take() {
            self.write(&held);
        }
        let erased = self.erased();
        self.write(erased);
        self.ended = true;
    }

    fn set_width(&mut self, width: usize) {
        self.style.width = width;
    }

    fn start(&mut self, name: String, now: Duration) {
        if self.verbosity == Verbosity::Quiet {
            return;
        }
        if self.mode == Mode::Plain {
            let text = format!("{}...\n", clean(&name).replace('\n', " "));
            self.emit(&text);
        } else if self.steps.is_empty() {
            // What is over at once is not worth a flicker.
            self.next_draw = now + REDRAW;
        }
        self.steps.push(Step {
            name,
            detail: String::new(),
            fraction: None,
            since: now,
            told: now,
        });
    }

    fn forget(&mut self, name: &str) {
        if let Some(index) = self.steps.iter().position(|step| step.name == name) {
            self.steps.remove(index);
        }
    }

    /// Writes a line that stays, above the live one.
    fn line(&mut self, hang: usize, text: &Text) {
        let rendered = match self.mode {
            Mode::Live => self.style.wrap(0, hang, text),
            // Logs are searched by line.
            Mode::Plain => {
                let endless = Style {
                    width: usize::MAX,
                    ..self.style
                };
                endless.wrap(0, hang, text)
            }
        };
        self.emit(&rendered);
    }

    fn emit(&mut self, rendered: &str) {
        match &mut self.held {
            Some(held) => held.push_str(rendered),
            None => {
                let erased = self.erased();
                self.write(&format!("{erased}{rendered}"));
            }
        }
    }

    /// What removes the live line, if it is there.
    fn erased(&mut self) -> &'static str {
        if mem::take(&mut self.drawn) {
            ERASE
        } else {
            ""
        }
    }

    fn draw(&mut self, now: Duration) {
        self.next_draw = now + REDRAW;
        // The step that began last is what happens now.
        let Some(step) = self.steps.last() else {
            return;
        };
        let frames = self.style.spinner();
        let spinner = frames[self.frame % frames.len()];
        let others = match self.steps.len() - 1 {
            0 => String::new(),
            others => format!(", {others} more"),
        };
        // The last column stays free: some terminals wrap as soon as it is filled.
        let room = self.style.width.saturating_sub(columns(spinner) + 2);
        let ellipsis = self.style.symbol(Symbol::Ellipsis);
        let line = step.live(&step.short_name(room / 2, ellipsis), now, &others);
        let line = console::truncate_str(&line, room, ellipsis).into_owned();
        let spinner = self.style.paint(Label::Command, spinner);
        self.write(&format!("{ERASE}{spinner} {line}"));
        self.drawn = true;
    }

    fn write(&mut self, text: &str) {
        if !text.is_empty() {
            // Where stderr is gone nobody is left to tell, and the work goes on.
            let _ = self.sink.write_all(text.as_bytes());
            let _ = self.sink.flush();
        }
    }
}

impl Step {
    fn elapsed(&self, now: Duration) -> String {
        let seconds = now.saturating_sub(self.since).as_secs();
        if seconds < 60 {
            format!("{seconds} s")
        } else {
            format!("{} min {} s", seconds / 60, seconds % 60)
        }
    }

    fn percent(&self) -> Option<String> {
        let fraction = self.fraction.filter(|fraction| fraction.is_finite())?;
        Some(format!("{:.0} %", fraction.clamp(0.0, 1.0) * 100.0))
    }

    /// A long name leaves room for what happens now.
    fn short_name(&self, columns: usize, ellipsis: &str) -> String {
        console::truncate_str(&self.name, columns, ellipsis).into_owned()
    }

    /// The detail comes last: it is what a narrow terminal may cut.
    fn live(&self, name: &str, now: Duration, others: &str) -> String {
        let mut parts = vec![format!("{name} ({}{others})", self.elapsed(now))];
        parts.extend(self.percent().map(|percent| format!("{percent:>5}")));
        if !self.detail.is_empty() {
            parts.push(format!(" {}", self.detail));
        }
        clean(&parts.join(" ")).replace('\n', " ")
    }

    fn plain(&self, name: &str, now: Duration) -> String {
        let mut what: Vec<String> = self.percent().into_iter().collect();
        if !self.detail.is_empty() {
            what.push(self.detail.clone());
        }
        let colon = if what.is_empty() { "" } else { ": " };
        let line = format!("{name}{colon}{} ({})", what.join(", "), self.elapsed(now));
        format!("{}\n", clean(&line).replace('\n', " "))
    }
}

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
                        board.set_width(Stream::Stderr.width());
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
        Events::to(move |event| {
            let mut board = shared.board();
            let now = shared.now();
            board.tell(event, now);
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
