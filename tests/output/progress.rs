//! What moves while something is done.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dwenv::events::{Event, Told};
use dwenv::output::Verbosity;
use dwenv::output::progress::{Board, Mode};
use dwenv::output::style::Style;
use insta::assert_snapshot;

/// A stderr to look at.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut self.0.lock().unwrap())).unwrap()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn board(mode: Mode, verbosity: Verbosity) -> (Board, Sink) {
    let sink = Sink::default();
    let board = Board::new(Box::new(sink.clone()), Style::PLAIN, mode, verbosity);
    (board, sink)
}

fn started(step: &str) -> Event {
    Event::StepStarted {
        step: step.to_owned(),
    }
}

fn at(step: &str, detail: &str, fraction: Option<f64>) -> Event {
    Event::StepProgress {
        step: step.to_owned(),
        detail: detail.to_owned(),
        fraction,
    }
}

fn finished(step: &str, took: u64) -> Event {
    Event::StepFinished {
        step: step.to_owned(),
        took: Duration::from_millis(took),
    }
}

/// Runs the board's clock from one millisecond to another, as the ticker does.
fn pass_time(board: &mut Board, from: u64, to: u64) {
    for now in (from..to).map(Duration::from_millis) {
        if board.due().is_some_and(|due| due <= now) {
            board.tick(now);
        }
    }
}

fn a_run(board: &mut Board) {
    let millis = Duration::from_millis;
    board.tell(started("Installing packages"), millis(0));
    for step in 0..50_u32 {
        let now = u64::from(step) * 100;
        let unpacking = at(
            "Installing packages",
            &format!("unpacking package {step}"),
            Some(f64::from(step) / 60.0),
        );
        board.tell(unpacking, millis(now));
        pass_time(board, now, now + 100);
    }
    let detail = Event::Detail {
        text: "1 handshake, 1 exec".to_owned(),
    };
    board.tell(detail, millis(5000));
    let note = Event::Note {
        text:
            "first contact with 192.168.33.10: its key was recorded in ~/.ssh/known_hosts for later"
                .to_owned(),
    };
    board.tell(note, millis(5000));
    pass_time(board, 5000, 9500);
    let warning = Event::Warning {
        text: "the clock of the box is 12 s late".to_owned(),
    };
    board.tell(warning, millis(9500));
    board.tell(finished("Installing packages", 9500), millis(9500));
    board.tell(started("Starting Docker"), millis(9500));
    let failed = Event::StepFailed {
        step: "Starting Docker".to_owned(),
        failure: "docker.service did not start".to_owned().into(),
    };
    board.tell(failed, millis(9600));
    board.end();
}

#[test]
fn without_a_terminal_there_is_a_line_every_two_seconds() {
    let (mut board, sink) = board(Mode::Plain, Verbosity::Normal);
    a_run(&mut board);
    assert_snapshot!(sink.take(), @r"
    Installing packages...
    Installing packages: 33 %, unpacking package 20 (2 s)
    Installing packages: 67 %, unpacking package 40 (4 s)
    note: first contact with 192.168.33.10: its key was recorded in ~/.ssh/known_hosts for later
    Installing packages: 82 %, unpacking package 49 (6 s)
    Installing packages: 82 %, unpacking package 49 (8 s)
    warning: the clock of the box is 12 s late
    ✓ Installing packages (9.5 s)
    Starting Docker...
    ✗ Starting Docker: docker.service did not start
    ");
}

#[test]
fn quiet_leaves_warnings_and_errors_and_verbose_adds_details() {
    let (mut quiet, sink) = board(Mode::Plain, Verbosity::Quiet);
    a_run(&mut quiet);
    assert_snapshot!(sink.take(), @r"
    warning: the clock of the box is 12 s late
    ✗ Starting Docker: docker.service did not start
    ");
    let (mut verbose, sink) = board(Mode::Plain, Verbosity::Verbose);
    a_run(&mut verbose);
    let told = sink.take();
    assert!(told.contains("\n1 handshake, 1 exec\n"), "{told}");
    assert!(!told.contains(['\r', '\x1b']));
}

#[test]
fn a_terminal_has_one_line_that_moves_and_is_gone_at_the_end() {
    let (mut board, sink) = board(Mode::Live, Verbosity::Normal);
    let millis = Duration::from_millis;
    board.tell(started("Installing packages"), millis(0));
    assert_eq!(sink.take(), "", "what is over at once does not flicker");
    board.tell(
        at("Installing packages", "unpacking libpq5", Some(0.42)),
        millis(50),
    );
    pass_time(&mut board, 50, 101);
    assert_eq!(
        sink.take(),
        "\r\x1b[2K⠙ Installing packages (0 s)  42 %  unpacking libpq5"
    );
    // A second without news is still a second of movement.
    pass_time(&mut board, 101, 1101);
    assert_eq!(sink.take().matches("Installing packages").count(), 10);

    let long = "unpacking a package whose name is longer than what is left of this line";
    board.tell(at("Installing packages", long, None), millis(1101));
    pass_time(&mut board, 1101, 1202);
    let drawn = sink.take();
    let line = drawn.rsplit("\x1b[2K").next().unwrap();
    assert_eq!(console::measure_text_width(line), 79, "{line}");
    assert!(line.ends_with('…'));

    // A line that stays is written above, and the live one comes back.
    board.tell(
        Event::Note {
            text: "hello".to_owned(),
        },
        millis(1300),
    );
    let drawn = sink.take();
    assert!(
        drawn.starts_with("\r\x1b[2Knote: hello\n\r\x1b[2K⠹ Installing"),
        "{drawn:?}"
    );

    // A question has the terminal to itself.
    board.pause();
    assert_eq!(sink.take(), "\r\x1b[2K");
    board.tell(
        Event::Note {
            text: "later".to_owned(),
        },
        millis(1400),
    );
    pass_time(&mut board, 1400, 3000);
    assert_eq!(sink.take(), "");
    board.resume(millis(3000));
    pass_time(&mut board, 3000, 3001);
    let drawn = sink.take();
    assert!(drawn.starts_with("note: later\n\r\x1b[2K"), "{drawn:?}");
    assert!(drawn.contains("Installing packages (3 s)"), "{drawn:?}");

    board.tell(finished("Installing packages", 3100), millis(3100));
    assert_eq!(sink.take(), "\r\x1b[2K✓ Installing packages (3.1 s)\n");
    board.tell(started("Starting Docker"), millis(3200));
    pass_time(&mut board, 3200, 3400);
    sink.take();
    board.end();
    assert_eq!(sink.take(), "\r\x1b[2K");
    pass_time(&mut board, 3400, 9000);
    assert_eq!(sink.take(), "", "nothing moves after the end");
}

#[test]
fn several_boxes_share_the_line() {
    let (mut board, sink) = board(Mode::Live, Verbosity::Normal);
    board.tell(started("Provisioning a"), Duration::ZERO);
    board.tell(started("Provisioning b"), Duration::ZERO);
    pass_time(&mut board, 0, 101);
    assert!(sink.take().ends_with("Provisioning b (0 s, 1 more)"));
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn of(target: &str, event: Event) -> Told {
    Told {
        target: Some(target.into()),
        event,
    }
}

/// A room of two boxes: one installs, one waits for it.
fn a_room(board: &mut Board) {
    let install = "Install docker-buildx, docker-cli, docker-compose, docker.io, postgresql";
    let targets = ["sandbox:s-1", "sandbox:s-2"].map(str::to_owned).to_vec();
    let command = "provision".to_owned();
    board.tell(Event::RunStarted { command, targets }, Duration::ZERO);
    for target in ["sandbox:s-1", "sandbox:s-2"] {
        board.tell(of(target, Event::BoxStarted), Duration::ZERO);
    }
    board.tell(of("sandbox:s-1", started(install)), millis(1000));
    let detail = "Unpacking libicu76:amd64 (76.1-4) ...";
    board.tell(
        of("sandbox:s-1", at(install, detail, Some(0.41))),
        millis(1500),
    );
    board.tell(
        of("sandbox:s-2", started("Waiting for the others")),
        millis(2000),
    );
}

#[test]
fn a_room_has_a_line_for_each_box_that_tells_what_happens_now() {
    let (mut board, sink) = board(Mode::Live, Verbosity::Normal);
    a_room(&mut board);
    sink.take();
    pass_time(&mut board, 2000, 3001);
    let drawn = sink.take();
    let last = drawn.rfind("0 of 2").map(|at| &drawn[at..]).unwrap();
    let lines: Vec<&str> = last.lines().collect();
    assert_snapshot!(lines.join("\n"), @r"
    0 of 2 boxes done, 2 at work (3 s)
      sandbox:s-1  Install docker-buildx, … (2 s)  41 %  Unpacking libicu76:amd64 …
      sandbox:s-2  Waiting for the others (1 s)
    ");
    assert!(lines.iter().all(|line| line.chars().count() < 80), "{last}");
}

#[test]
fn a_room_in_a_file_has_a_line_every_two_seconds() {
    let (mut board, sink) = board(Mode::Plain, Verbosity::Normal);
    a_room(&mut board);
    pass_time(&mut board, 2000, 6001);
    assert_snapshot!(sink.take(), @r"
    0 of 2 boxes done, 2 at work (2 s): Install docker-buildx, docker-cli, dock… (1), Waiting for the others (1)
    0 of 2 boxes done, 2 at work (4 s): Install docker-buildx, docker-cli, dock… (1), Waiting for the others (1)
    0 of 2 boxes done, 2 at work (6 s): Install docker-buildx, docker-cli, dock… (1), Waiting for the others (1)
    ");
}

#[test]
fn a_step_that_fails_in_a_room_is_one_line_until_the_result() {
    let (mut board, sink) = board(Mode::Plain, Verbosity::Normal);
    a_room(&mut board);
    let failed = Event::StepFailed {
        step: "Add vagrant to the group docker".to_owned(),
        failure: "ended with status 10:\nusermod: cannot open\nusermod: failure while writing"
            .to_owned()
            .into(),
    };
    board.tell(of("sandbox:s-1", failed), millis(2500));
    assert_snapshot!(sink.take(), @"✗ sandbox:s-1: Add vagrant to the group docker: ended with status 10: usermod: failure while writing");
}
