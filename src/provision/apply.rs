//! Makes the changes of a plan, and tells how each went.
//!
//! The steps run on the box as a unit of their own (see `script`). Here they are followed: a link that is lost is
//! opened again, and the run is heard from where it was heard last.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Target;
use super::outcome::ChangeStatus;
use super::plan::Step;
use super::script::{self, Manner, said};
use super::teller::Teller;
use crate::error::{Error, ErrorKind, Result};
use crate::events::{Events, Failure};
use crate::facts::collect;
use crate::facts::converse::Questions;
use crate::facts::frames::FrameParser;
use crate::facts::program::{self, Program};
use crate::facts::sudo::{Sudo, Tried};
use crate::interrupt::Hold;
use crate::transport::Transport;

/// A step gives a sign each second: a box that says nothing for this long cannot be heard any more.
const SILENCE: Duration = Duration::from_secs(30);
/// So few bytes a second the link may take of a run's program and files before it counts as lost.
const SLOWEST: u64 = 8 * 1024;
/// How long a lost link is tried to be opened again.
pub(super) const RECONNECTING: Duration = Duration::from_secs(120);
/// So many bytes are written to the box at a time.
const PART: usize = 16 * 1024;
/// How often the box is told that somebody still follows its run, who may be waited for.
const SIGN: Duration = Duration::from_secs(10);
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// What became of each step, and what the person should know.
#[derive(Debug, Default)]
pub struct Applied {
    /// One for each step, in their order.
    pub statuses: Vec<ChangeStatus>,
    pub notes: Vec<String>,
    /// Another run held the box when this one began: nothing was done, and the plan is out of date.
    pub waited: bool,
    /// The link was lost before the box had taken the run whole: nothing was done either.
    pub lost: bool,
}

impl Applied {
    /// How many changes were made, in words.
    #[must_use]
    pub fn count(&self) -> String {
        let done = |status: &&ChangeStatus| **status == ChangeStatus::Done;
        let made = self.statuses.iter().filter(done).count();
        format!("{made} of {} changes were made", self.statuses.len())
    }

    /// The first step that failed and on which others stand, and how.
    #[must_use]
    pub fn first_failure<'a>(&'a self, steps: &'a [Step]) -> Option<(&'a Step, &'a Failure)> {
        let mut all = steps.iter().zip(&self.statuses);
        all.find_map(|(step, status)| match status {
            ChangeStatus::Failed(failure) if step.ends_the_run() => Some((step, failure)),
            _ => None,
        })
    }

    /// Whether the run ended before its end: a step failed on which others stand.
    #[must_use]
    pub fn broken_off(&self, steps: &[Step]) -> bool {
        let mut all = steps.iter().zip(&self.statuses);
        all.any(|(step, status)| step.ends_the_run() && *status != ChangeStatus::Done)
    }
}

/// Runs every step, stopping at the first that fails and on which others may stand.
///
/// # Errors
/// When another run holds the box, when the person stopped the run, or when the box could not be reached again:
/// that is never taken for success.
pub async fn steps(
    target: &dyn Target,
    transport: Arc<dyn Transport>,
    steps: &[Step],
    manner: &Manner<'_>,
    hold: Hold,
    events: &Events,
) -> Result<Applied> {
    let mark = collect::mark();
    let mut run = Followed {
        teller: Teller::new(steps, events),
        sudo: target.sudo(),
        hold,
        heard: 0,
        lost: None,
        asked: 0,
        mark,
        transport,
    };
    let mut program = script::changing(steps, manner, &run.mark);
    loop {
        match run.follow(&program).await? {
            End::Heard => return run.teller.ended(),
            End::Lost => {
                run.reconnect(target, events).await?;
                program = script::following(&run.mark, run.heard, manner.rights);
            }
        }
    }
}

/// How following a run ended.
enum End {
    /// With the run.
    Heard,
    /// Before it: the link is gone.
    Lost,
}

/// A run on the box, as it is followed from here.
struct Followed<'a> {
    mark: String,
    transport: Arc<dyn Transport>,
    teller: Teller<'a>,
    sudo: &'a Sudo,
    hold: Hold,
    /// How many bytes of what the run wrote were heard.
    heard: u64,
    /// How much was heard when the link was lost last, and when that was.
    lost: Option<(u64, Instant)>,
    /// How many of the person's wishes to stop the box has been told.
    asked: usize,
}

impl Followed<'_> {
    /// Starts `program`, and hears the run until its end or the link's.
    async fn follow(&mut self, program: &Program) -> Result<End> {
        let Ok(mut exec) = self.transport.exec(&program.command).await else {
            return Ok(End::Lost);
        };
        // A box that refuses the program closes its stdin; what it says then tells why.
        if !program.waits {
            tell(&mut exec.stdin, &program.stdin).await;
        }
        let (mut questions, mut tried) = (Questions::new(&self.mark), Tried::default());
        let mut parser = FrameParser::new(&self.mark);
        let mut attached = None;
        // What was written may still be on its way through this computer and the link.
        let arriving = SILENCE + Duration::from_secs(program.stdin.len() as u64 / SLOWEST);
        let mut buffer = vec![0; 16 * 1024];
        let (mut complaint, mut complains) = (Complaint::default(), true);
        let mut noise = vec![0; 1024];
        // A new follower has heard of no wish yet.
        self.asked = 0;
        let mut last_word = tokio::time::Instant::now();
        let mut signs = tokio::time::interval_at(last_word + SIGN, SIGN);
        loop {
            self.say_wishes(&mut exec.stdin).await;
            let silence = if attached.is_some() {
                SILENCE
            } else {
                arriving
            };
            let count = tokio::select! {
                read = tokio::time::timeout_at(last_word + silence, exec.stdout.read(&mut buffer)) => match read {
                    Ok(Ok(count @ 1..)) => count,
                    _ => break,
                },
                read = exec.stderr.read(&mut noise), if complains => {
                    let count = read.unwrap_or(0);
                    complains = count > 0;
                    complaint.add(&noise[..count]);
                    for _ in 0..questions.heard(&noise[..count]) {
                        let password = self.sudo.answer(&mut tried).await;
                        match password {
                            Some(password) => {
                                let line = format!("{}\n", password.reveal());
                                tell(&mut exec.stdin, line.as_bytes()).await;
                            }
                            // The end of the input: sudo gives up.
                            None => {
                                let _ = exec.stdin.shutdown().await;
                            }
                        }
                        // The time in which a person thinks is no silence of the box.
                        last_word = tokio::time::Instant::now();
                    }
                    continue;
                }
                () = self.hold.asked_again() => continue,
                _ = signs.tick(), if attached.is_some() => {
                    tell(&mut exec.stdin, b"alive\n").await;
                    continue;
                }
            };
            last_word = tokio::time::Instant::now();
            for frame in parser.push(&buffer[..count]) {
                if frame.id == program::READY {
                    self.sudo.accept(&tried);
                    tell(&mut exec.stdin, &program.stdin).await;
                    last_word = tokio::time::Instant::now();
                    continue;
                }
                if frame.id == said::ATTACHED {
                    attached = Some((frame.end, self.heard));
                    self.answer(&mut exec.stdin).await;
                    continue;
                }
                if let Some((start, before)) = attached {
                    self.heard = before + (frame.end - start);
                }
                if self.teller.hear(&frame)? {
                    return Ok(End::Heard);
                }
                if frame.id.ends_with(script::step::SECRET) {
                    self.answer(&mut exec.stdin).await;
                }
            }
        }
        // A link that is lost brings no exit status; a program that could not run does.
        match tokio::time::timeout(PAUSE, &mut exec.exit).await {
            Ok(Ok(_)) => Err(self
                .teller
                .broken_off(&questions.left_out_of(&complaint.text()))),
            _ => Ok(End::Lost),
        }
    }

    /// Gives the step that waits for a secret what it waits for. Where the link is gone, the next follower does.
    async fn answer(&self, stdin: &mut (impl AsyncWriteExt + Unpin)) {
        if let Some((number, secret)) = self.teller.secret_waited_for() {
            let mut answer = format!("secret {number} {}\n", secret.len()).into_bytes();
            answer.extend_from_slice(secret.as_bytes());
            tell(stdin, &answer).await;
        }
    }

    /// Tells the box what the person wants since it was told last: once, no further step; twice, the end.
    async fn say_wishes(&mut self, stdin: &mut (impl AsyncWriteExt + Unpin)) {
        let asked = self.hold.asked();
        if asked > self.asked {
            let wish = if asked == 1 { "stop\n" } else { "kill\n" };
            self.teller.stopping(asked);
            tell(stdin, wish.as_bytes()).await;
            self.asked = asked;
        }
    }

    /// Opens the link again.
    async fn reconnect(&mut self, target: &dyn Target, events: &Events) -> Result<()> {
        // A box that lets us in and tells nothing new is as good as one that does not let us in.
        let again = self.lost.filter(|(heard, _)| *heard == self.heard);
        let (_, since) = *self
            .lost
            .insert(again.unwrap_or((self.heard, Instant::now())));
        let until = since + RECONNECTING;
        if again.is_some() {
            tokio::time::sleep(PAUSE).await;
        } else {
            events.warning(
                "The link to the box is lost; the box goes on alone while it is opened again",
            );
        }
        let opened = tokio::select! {
            opened = open_again(target, until) => opened,
            () = self.hold.asked_again() => return Err(self.teller.left_alone("you stopped it")),
        };
        self.transport = opened.map_err(|error| match error.kind {
            ErrorKind::Unreachable => self.teller.left_alone(&error.to_string()),
            _ => error,
        })?;
        Ok(())
    }
}

/// Connects to a box whose link was lost, again and again until then.
pub(super) async fn open_again(target: &dyn Target, until: Instant) -> Result<Arc<dyn Transport>> {
    loop {
        let connecting = tokio::time::timeout_at(until.into(), target.connect());
        let connected = connecting.await.unwrap_or_else(|_| {
            let told = format!("it told nothing more for {} s", RECONNECTING.as_secs());
            Err(Error::new(ErrorKind::Unreachable, told))
        });
        let is_over = until.saturating_duration_since(Instant::now()) < PAUSE;
        match connected {
            Err(error) if error.kind == ErrorKind::Unreachable && !is_over => {
                tokio::time::sleep(PAUSE).await;
            }
            ended => return ended,
        }
    }
}

/// Writes to the box, however long that takes as long as it takes something. Where it takes nothing any more, what is
/// read from it shows the same soon enough.
async fn tell(stdin: &mut (impl AsyncWriteExt + Unpin), bytes: &[u8]) {
    for part in bytes.chunks(PART) {
        let written = tokio::time::timeout(SILENCE, stdin.write_all(part)).await;
        if !matches!(written, Ok(Ok(()))) {
            return;
        }
    }
}

/// The beginning of what came on stderr.
#[derive(Default)]
struct Complaint(Vec<u8>);

impl Complaint {
    /// More is of no use.
    const LONGEST: usize = 4096;

    fn add(&mut self, bytes: &[u8]) {
        let room = Self::LONGEST.saturating_sub(self.0.len());
        self.0.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A long schema on a bad link takes longer than a silence may.
    #[tokio::test(start_paused = true)]
    async fn a_box_that_still_takes_something_is_written_to() {
        let (mut near, mut far) = tokio::io::duplex(PART);
        let taking = tokio::spawn(async move {
            let (mut taken, mut part) = (0, vec![0; PART]);
            loop {
                tokio::time::sleep(SILENCE / 2).await;
                match far.read(&mut part).await {
                    Ok(count @ 1..) => taken += count,
                    _ => return taken,
                }
            }
        });
        let began = tokio::time::Instant::now();
        let bytes = vec![7; 10 * PART];
        tell(&mut near, &bytes).await;
        assert!(began.elapsed() > SILENCE * 4);
        drop(near);
        assert_eq!(taking.await.expect("no panic"), bytes.len());
    }
}
