//! What is on the screen, and when it changes.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use super::lines::{Boxes, LONGEST_NAME, Step};
use crate::events::{Event, Told};
use crate::output::Verbosity;
use crate::output::human::duration;
use crate::output::style::{Label, Style, Symbol};
use crate::output::text::{Text, clean, columns, without_name};

/// How often the live lines are drawn anew.
const REDRAW: Duration = Duration::from_millis(100);
/// How long a running step stays silent where lines cannot be drawn over.
const PLAIN_INTERVAL: Duration = Duration::from_secs(2);
/// Goes to the first column and removes what the line shows.
const ERASE: &str = "\r\x1b[2K";
/// Goes a line up and removes what that shows.
const ERASE_ABOVE: &str = "\x1b[1A\x1b[2K";

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
    pub(super) mode: Mode,
    verbosity: Verbosity,
    /// How many lines the screen has.
    height: usize,
    boxes: Boxes,
    steps: Vec<Step>,
    /// How many live lines are on the screen.
    drawn: usize,
    /// When the last line about all boxes was written; only in plain mode.
    told: Duration,
    next_draw: Duration,
    frame: usize,
    /// Lines that wait while somebody else has the terminal.
    held: Option<String>,
    pub(super) ended: bool,
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
            height: 24,
            boxes: Boxes::default(),
            steps: Vec::new(),
            drawn: 0,
            told: Duration::ZERO,
            next_draw: Duration::ZERO,
            frame: 0,
            held: None,
            ended: false,
        }
    }

    /// Takes notice of an event.
    pub fn tell(&mut self, told: impl Into<Told>, now: Duration) {
        let was_drawn = self.drawn > 0;
        let Told { target, event } = told.into();
        match event {
            Event::RunStarted { targets, .. } => {
                self.boxes.all = targets.len();
                self.boxes.since = now;
                self.told = now;
            }
            Event::BoxStarted => self
                .boxes
                .at_work
                .extend(target.map(|target| (target, now))),
            Event::BoxFinished {
                exit_code,
                summary,
                took,
                ..
            } if self.boxes.are_several() => self.end_box(target, exit_code, summary, took),
            Event::StepStarted { step } => self.start(target, step, now),
            Event::StepProgress {
                step,
                detail,
                fraction,
            } => {
                if let Some(index) = self.index_of(target.as_ref(), &step) {
                    let running = &mut self.steps[index];
                    running.detail = detail;
                    running.fraction = fraction;
                }
            }
            Event::StepFinished { step, took } => {
                self.forget(target.as_ref(), &step);
                if self.verbosity >= self.tells_steps() {
                    let text = Text::of(Label::Pass, self.style.symbol(Symbol::Pass))
                        .plain(" ")
                        .plain(self.of_box(target.as_ref()))
                        .plain(step)
                        .add(Label::Dim, format!(" ({})", duration(took)));
                    self.line(2, &text);
                }
            }
            Event::StepFailed { step, failure } => {
                self.forget(target.as_ref(), &step);
                let text = Text::of(Label::Fail, self.style.symbol(Symbol::Fail))
                    .plain(" ")
                    .plain(self.of_box(target.as_ref()))
                    .plain(step)
                    .plain(": ")
                    .plain(in_short(&failure.reason));
                self.line(2, &text);
            }
            Event::Note { text } if self.verbosity > Verbosity::Quiet => {
                let text = Text::of(Label::Heading, "note:")
                    .plain(" ")
                    .plain(self.of_box(target.as_ref()))
                    .plain(text);
                self.line("note: ".len(), &text);
            }
            Event::Warning { text } => {
                let text = Text::of(Label::Warn, "warning:")
                    .plain(" ")
                    .plain(self.of_box(target.as_ref()))
                    .plain(text);
                self.line("warning: ".len(), &text);
            }
            Event::Detail { text } if self.verbosity == Verbosity::Verbose => {
                let text = format!("{}{text}", self.of_box(target.as_ref()));
                self.line(2, &Text::of(Label::Dim, text));
            }
            // How the run ends is told by who ends it.
            Event::RunFailed { .. }
            | Event::Note { .. }
            | Event::Detail { .. }
            | Event::BoxFinished { .. } => {}
        }
        if was_drawn && self.drawn == 0 {
            self.draw(now);
        }
    }

    /// Of several boxes only who asks for it reads each step; the summary tells the rest.
    fn tells_steps(&self) -> Verbosity {
        if self.boxes.are_several() {
            Verbosity::Verbose
        } else {
            Verbosity::Normal
        }
    }

    /// What a line begins with that is about one box of several.
    fn of_box(&self, target: Option<&Arc<str>>) -> String {
        match target {
            Some(target) if self.boxes.are_several() => format!("{target}: "),
            _ => String::new(),
        }
    }

    fn end_box(
        &mut self,
        target: Option<Arc<str>>,
        exit_code: u8,
        summary: String,
        took: Duration,
    ) {
        self.boxes.ended += 1;
        self.boxes
            .at_work
            .retain(|(known, _)| Some(known) != target.as_ref());
        self.steps.retain(|step| step.target != target);
        // The line begins with its name already.
        let summary = match &target {
            Some(target) => without_name(&summary, target),
            None => summary,
        };
        let (label, symbol) = match exit_code {
            0 => (Label::Pass, Symbol::Pass),
            3 => (Label::Unknown, Symbol::Unknown),
            _ => (Label::Fail, Symbol::Fail),
        };
        if exit_code != 0 {
            self.boxes.failed += 1;
        }
        if exit_code != 0 || self.verbosity > Verbosity::Quiet {
            let text = Text::of(label, self.style.symbol(symbol))
                .plain(" ")
                .plain(self.of_box(target.as_ref()))
                .plain(summary)
                .add(Label::Dim, format!(" ({})", duration(took)));
            self.line(2, &text);
        }
    }

    /// When [`Board::tick`] has something to do next, if ever.
    #[must_use]
    pub fn due(&self) -> Option<Duration> {
        let boxes_move = self.boxes.are_several() && !self.boxes.at_work.is_empty();
        let quiet = self.verbosity == Verbosity::Quiet;
        if quiet || self.ended || self.held.is_some() || (self.steps.is_empty() && !boxes_move) {
            return None;
        }
        match self.mode {
            Mode::Live => Some(self.next_draw),
            Mode::Plain if boxes_move => Some(self.told + PLAIN_INTERVAL),
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
            Mode::Plain if self.boxes.are_several() => {
                self.told = now;
                let steps = self
                    .boxes
                    .steps(&self.steps, self.style.symbol(Symbol::Ellipsis));
                let line = format!("{}{steps}\n", self.boxes.summary(now));
                self.write(&line);
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
        self.write(&erased);
        self.held.get_or_insert_default();
    }

    pub fn resume(&mut self, now: Duration) {
        if let Some(held) = self.held.take() {
            self.write(&held);
            for step in &mut self.steps {
                step.told = now;
            }
            self.told = now;
            self.next_draw = now;
        }
    }

    /// Takes the live line off the screen. What is told after this is told in plain lines.
    pub fn end(&mut self) {
        if let Some(held) = self.held.take() {
            self.write(&held);
        }
        let erased = self.erased();
        self.write(&erased);
        self.ended = true;
    }

    /// How much the screen shows, in lines and columns.
    pub fn set_size(&mut self, height: usize, width: usize) {
        self.height = height;
        self.style.width = width;
    }

    fn start(&mut self, target: Option<Arc<str>>, name: String, now: Duration) {
        if self.verbosity == Verbosity::Quiet {
            return;
        }
        if self.mode == Mode::Plain {
            if self.verbosity >= self.tells_steps() {
                let name = format!("{}{name}", self.of_box(target.as_ref()));
                let text = format!("{}...\n", clean(&name).replace('\n', " "));
                self.emit(&text);
            }
        } else if self.steps.is_empty() {
            // What is over at once is not worth a flicker.
            self.next_draw = now + REDRAW;
        }
        self.steps.push(Step {
            target,
            name,
            detail: String::new(),
            fraction: None,
            since: now,
            told: now,
        });
    }

    fn index_of(&self, target: Option<&Arc<str>>, name: &str) -> Option<usize> {
        let is_it = |step: &Step| step.target.as_ref() == target && step.name == name;
        self.steps.iter().position(is_it)
    }

    fn forget(&mut self, target: Option<&Arc<str>>, name: &str) {
        if let Some(index) = self.index_of(target, name) {
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

    /// What removes the live lines, if they are there.
    fn erased(&mut self) -> String {
        match std::mem::take(&mut self.drawn) {
            0 => String::new(),
            lines => format!("{ERASE}{}", ERASE_ABOVE.repeat(lines - 1)),
        }
    }

    fn draw(&mut self, now: Duration) {
        self.next_draw = now + REDRAW;
        let frames = self.style.spinner();
        let spinner = frames[self.frame % frames.len()];
        // The last column stays free: some terminals wrap as soon as it is filled.
        let room = self.style.width.saturating_sub(columns(spinner) + 2);
        let lines = if self.boxes.are_several() {
            self.box_lines(now)
        } else {
            self.step_line(now, room).into_iter().collect()
        };
        if lines.is_empty() {
            return;
        }
        let ellipsis = self.style.symbol(Symbol::Ellipsis);
        let cut = |line: &String| console::truncate_str(line, room, ellipsis).into_owned();
        let cut: Vec<String> = lines.iter().map(cut).collect();
        let erased = self.erased();
        let spinner = self.style.paint(Label::Command, spinner);
        let erase = if erased.is_empty() { ERASE } else { &erased };
        self.write(&format!("{erase}{spinner} {}", cut.join("\n  ")));
        self.drawn = lines.len();
    }

    /// The step that began last is what happens now.
    fn step_line(&self, now: Duration, room: usize) -> Option<String> {
        let step = self.steps.last()?;
        let others = match self.steps.len() - 1 {
            0 => String::new(),
            others => format!(", {others} more"),
        };
        let ellipsis = self.style.symbol(Symbol::Ellipsis);
        Some(step.live(&step.short_name(room / 2, ellipsis), now, &others))
    }

    /// All boxes in one line, and each that is worked on in its own, as many as the screen shows.
    fn box_lines(&self, now: Duration) -> Vec<String> {
        if self.boxes.at_work.is_empty() {
            return Vec::new();
        }
        let ellipsis = self.style.symbol(Symbol::Ellipsis);
        let most = self.style.width * 3 / 10;
        let mut lines = self.boxes.lines(&self.steps, now, most, ellipsis);
        // A line that scrolled away could not be drawn over.
        let most = self.height.saturating_sub(3).max(1);
        if lines.len() > most {
            let hidden = lines.len() + 1 - most;
            lines.truncate(most - 1);
            lines.push(format!("and {hidden} more"));
        }
        lines.insert(0, self.boxes.summary(now));
        lines
    }

    fn write(&mut self, text: &str) {
        if !text.is_empty() {
            // Where stderr is gone nobody is left to tell, and the work goes on.
            let _ = self.sink.write_all(text.as_bytes());
            let _ = self.sink.flush();
        }
    }
}

/// How a step failed and what was said last; the result tells all of it.
fn in_short(reason: &str) -> String {
    match (reason.lines().next(), reason.lines().next_back()) {
        (Some(first), Some(last)) if first != last => {
            format!("{first} {last}")
        }
        _ => reason.to_owned(),
    }
}
