//! Several boxes in one run: so many at once, each for itself, and one summary in their order.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use super::Environment;
use crate::cli;
use crate::error::{Error, ErrorKind, ExitCode, Result};
use crate::events::{BoxResult, Event, Events};
use crate::provision::outcome::Outcome;
use crate::target::Target;
use crate::target::last_run::LastRun;

/// Connects are strewn over this long for each box that works at once: a switch, a jump host and sshd's
/// MaxStartups see no wave.
const JITTER: Duration = Duration::from_millis(20);

/// What came of one box.
pub struct Ended {
    pub exit_code: ExitCode,
    /// One sentence.
    pub summary: String,
    /// The whole of it.
    pub result: BoxResult,
}

impl From<&Error> for Ended {
    fn from(error: &Error) -> Self {
        Self {
            exit_code: error.exit_code(),
            summary: error.to_string(),
            result: error.clone().into(),
        }
    }
}

/// The boxes of a run, and what they share.
pub struct Room<'a> {
    environment: &'a Environment,
    targets: &'a [Target],
    places: Semaphore,
    jobs: u32,
    max_fail: Option<u16>,
    failed: AtomicUsize,
    /// How many had failed when the room's question was answered: whoever said yes knew of those.
    failed_before: AtomicUsize,
    /// Whether these are what `--limit` left of the last run.
    is_part: bool,
    /// Whether the room's plan shows the differences in files.
    pub differences: bool,
    /// Whether nothing is to be changed: then nothing is known afterwards of how well each box is.
    pub is_rehearsal: bool,
    question: Question,
}

/// The one question that a whole room is asked.
#[derive(Default)]
struct Question {
    /// What the boxes that wait for the answer need.
    plans: Mutex<Vec<Outcome>>,
    /// How many boxes have no question to wait for any more, or wait for the answer.
    settled: watch::Sender<usize>,
    answer: watch::Sender<Option<Result<bool>>>,
}

/// One box's part in the run.
pub struct Turn<'a> {
    room: &'a Room<'a>,
    pub events: Events,
    place: Mutex<Option<SemaphorePermit<'a>>>,
    is_settled: AtomicBool,
}

impl<'a> Room<'a> {
    pub fn new(
        environment: &'a Environment,
        targets: &'a [Target],
        several: &cli::Several,
    ) -> Self {
        Self {
            environment,
            targets,
            places: Semaphore::new(several.jobs.into()),
            jobs: several.jobs.into(),
            max_fail: several.max_fail,
            failed: AtomicUsize::default(),
            failed_before: AtomicUsize::default(),
            is_part: several.limit.is_some(),
            differences: false,
            is_rehearsal: false,
            question: Question::default(),
        }
    }

    pub fn is_one(&self) -> bool {
        self.targets.len() == 1
    }

    /// Works on each box, and gives what came of it in the order of the targets, and the exit code of all.
    /// `ended` tells a box's end.
    pub async fn each<'t, T, F>(
        &'t self,
        command: &str,
        work: impl Fn(&'t Target, Turn<'t>) -> F,
        ended: impl Fn(&Target, &Result<T>) -> Ended,
    ) -> (Vec<(String, Result<T>)>, ExitCode)
    where
        F: Future<Output = Result<T>>,
    {
        let events = &self.environment.events;
        let names: Vec<String> = self.targets.iter().map(ToString::to_string).collect();
        events.emit(Event::RunStarted {
            command: command.to_owned(),
            targets: names.clone(),
        });
        self.remember_begun(&names);
        let boxes = self.targets.iter().map(|target| async {
            let began = Instant::now();
            let events = events.of(&target.to_string());
            let result = match self.turn(&events).await {
                Ok(turn) => work(target, turn).await,
                Err(error) => Err(error),
            };
            let Ended {
                exit_code,
                summary,
                result: whole,
            } = ended(target, &result);
            let was_not_tried = matches!(&result, Err(error) if error.kind == ErrorKind::NotTried);
            if !was_not_tried && !matches!(exit_code, ExitCode::Ready | ExitCode::Interrupted) {
                self.failed.fetch_add(1, Ordering::Relaxed);
            }
            self.remember_ended(target, exit_code);
            events.emit(Event::BoxFinished {
                exit_code: exit_code as u8,
                summary,
                took: began.elapsed(),
                result: Arc::new(whole),
            });
            (result, exit_code)
        });
        let (results, ()) = tokio::join!(join_all(boxes), self.ask_once_for_all());
        let (results, codes): (Vec<_>, Vec<_>) = results.into_iter().unzip();
        let boxes = names.into_iter().zip(results).collect();
        (boxes, ExitCode::worst(codes))
    }

    /// Why nothing was touched, where the room's question was answered with no, or by nobody.
    pub fn refusal(&self) -> Option<Error> {
        match &*self.question.answer.borrow() {
            Some(Ok(false)) => Some(Error::usage("nothing was touched")),
            Some(Err(error)) => Some(error.clone()),
            Some(Ok(true)) | None => None,
        }
    }

    /// Waits until this box may begin.
    async fn turn(&self, events: &Events) -> Result<Turn<'_>> {
        let turn = Turn {
            room: self,
            events: events.clone(),
            place: Mutex::default(),
            is_settled: AtomicBool::default(),
        };
        turn.take_place().await;
        self.begins_another()?;
        events.emit(Event::BoxStarted);
        if !self.is_one() {
            let at_once = self
                .jobs
                .min(u32::try_from(self.targets.len()).unwrap_or(u32::MAX));
            tokio::time::sleep(a_part_of(JITTER * at_once)).await;
        }
        Ok(turn)
    }

    /// Whether a box that nothing was done to yet is still to be begun with.
    fn begins_another(&self) -> Result<()> {
        if self.environment.interrupts.asked() > 0 {
            return Err(
                Error::new(ErrorKind::Interrupted, "not tried: you stopped the run")
                    .hint("Run the same with `--limit failed`"),
            );
        }
        let failed = self.failed.load(Ordering::Relaxed);
        let failed_before = self.failed_before.load(Ordering::Relaxed);
        let since = if failed_before > 0 {
            " since you said yes"
        } else {
            ""
        };
        goes_on(failed - failed_before, self.max_fail, since)
    }

    /// Asks when every box waits for the answer or needs none, and somebody does.
    async fn ask_once_for_all(&self) {
        let mut settled = self.question.settled.subscribe();
        let all = |settled: &usize| *settled >= self.targets.len();
        if self.is_one() || settled.wait_for(all).await.is_err() {
            return;
        }
        let plans = std::mem::take(&mut *locked(&self.question.plans));
        if plans.is_empty() {
            return;
        }
        let answer = self.ask(plans).await;
        let failed = self.failed.load(Ordering::Relaxed);
        self.failed_before.store(failed, Ordering::Relaxed);
        self.question.answer.send_replace(Some(answer));
    }

    async fn ask(&self, mut plans: Vec<Outcome>) -> Result<bool> {
        let place = |plan: &Outcome| {
            let named = |target: &Target| target.to_string() == plan.target;
            self.targets.iter().position(named)
        };
        plans.sort_by_key(place);
        let question = format!(
            "Do this now on {} of {} boxes?",
            plans.len(),
            self.targets.len()
        );
        self.environment
            .tell(|output| output.room_plan(&plans, self.differences))?;
        self.environment.agreed(&question).await
    }

    /// Writes down that none of these boxes has ended well: a run that is killed leaves just that.
    fn remember_begun(&self, names: &[String]) {
        if self.is_rehearsal {
            return;
        }
        let unended = |name: &String| (name.clone(), ExitCode::Interrupted as u8);
        let run = names.iter().map(unended);
        // What cannot be read is missed only by `--limit`, which says so.
        let mut last = LastRun::read(&self.environment.folder).unwrap_or_default();
        if !self.is_part && !self.is_one() {
            last.replace(run);
        } else if last.is_empty() {
            return;
        } else {
            last.update(run);
        }
        if let Err(error) = last.write(&self.environment.folder) {
            let text = format!(
                "{error}: a run with `--limit failed` will not know of the boxes of this one"
            );
            self.environment.events.warning(text);
        }
    }

    /// Writes down how a box ended. What could not be written when the run began was told then.
    fn remember_ended(&self, target: &Target, code: ExitCode) {
        let folder = &self.environment.folder;
        let mut last = match LastRun::read(folder) {
            Ok(last) if !self.is_rehearsal && !last.is_empty() => last,
            _ => return,
        };
        last.update([(target.to_string(), code as u8)]);
        let _ = last.write(folder);
    }
}

impl Turn<'_> {
    pub fn is_alone(&self) -> bool {
        self.room.is_one()
    }

    /// Whether this box, to which nothing was done while it waited, is still to be begun with.
    ///
    /// # Errors
    /// Where somebody stopped the run, or too many other boxes failed.
    pub fn is_wanted(&self) -> Result<()> {
        self.room.begins_another()
    }

    /// The room's answer for a box that needs this. Who waits for it takes nobody's place.
    pub async fn agreed(&self, planned: &Outcome) -> Result<bool> {
        if !self.is_settled.load(Ordering::Relaxed) {
            locked(&self.room.question.plans).push(planned.clone());
            locked(&self.place).take();
            self.settle();
        }
        let mut answer = self.room.question.answer.subscribe();
        let answered = async {
            let agreed = match answer.wait_for(Option::is_some).await {
                Ok(answer) => answer.clone(),
                Err(_) => None,
            };
            if locked(&self.place).is_none() {
                self.take_place().await;
                if matches!(agreed, Some(Ok(true))) {
                    self.is_wanted()?;
                }
            }
            agreed.unwrap_or(Ok(false))
        };
        self.waiting("Waiting for the others", answered).await
    }

    /// Waits for something, and tells that while it does.
    pub async fn waiting<T>(&self, step: &str, until: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let step = step.to_owned();
        self.events.emit(Event::StepStarted { step: step.clone() });
        let come = until.await;
        let took = began.elapsed();
        self.events.emit(Event::StepFinished { step, took });
        come
    }

    async fn take_place(&self) {
        // The places are never closed.
        let place = self.room.places.acquire().await.ok();
        *locked(&self.place) = place;
    }

    /// This box waits for the room's answer, or has no question.
    fn settle(&self) {
        if !self.is_settled.swap(true, Ordering::Relaxed) {
            self.room.question.settled.send_modify(|count| *count += 1);
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.settle();
    }
}

/// Whether another box is begun with after so many have failed, since a moment that is told.
///
/// # Errors
/// With why that one is not tried.
fn goes_on(failed: usize, max_fail: Option<u16>, since: &str) -> Result<()> {
    let Some(most) = max_fail.filter(|most| failed >= usize::from(*most)) else {
        return Ok(());
    };
    let why =
        format!("not tried: {failed} of the other boxes had failed{since} (--max-fail {most})");
    Err(Error::new(ErrorKind::NotTried, why)
        .hint("Mend those, then run the same with `--limit failed`"))
}

/// From nothing to `most`, by chance.
fn a_part_of(most: Duration) -> Duration {
    let chance = RandomState::new().hash_one(0) % 1000;
    most * u32::try_from(chance).unwrap_or(0) / 1000
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
