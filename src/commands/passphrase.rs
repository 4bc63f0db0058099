//! What opens a key: asked once, and known for the other boxes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::output::Output;
use crate::output::progress::Progress;
use crate::secret::Secret;
use crate::transport::session::Passphrase;

/// Asks the person at the terminal, one question after the other, and about each key until somebody knows what opens it:
/// what was typed for one box is tried for the others.
pub struct AskPassphrase {
    pub output: Arc<Output>,
    pub progress: Arc<Mutex<Progress>>,
    /// By what was asked.
    pub known: Arc<Mutex<HashMap<String, Secret>>>,
    /// What was answered for this box last.
    pub tried: Mutex<HashMap<String, Secret>>,
    /// Runs while this box waits for an answer.
    pub asking: Arc<Stopwatch>,
}

impl Passphrase for AskPassphrase {
    fn ask(&self, what: &str) -> Option<Secret> {
        self.asking.during(|| self.answer(what))
    }
}

impl AskPassphrase {
    fn answer(&self, what: &str) -> Option<Secret> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        let last = tried.get(what).map(Secret::reveal);
        // What this box has not heard yet: perhaps somebody has been asked since.
        let news = known.get(what).filter(|it| last != Some(it.reveal()));
        let given = match news {
            Some(secret) => secret.clone(),
            None => {
                let question = match last {
                    None => format!("Passphrase of {what}"),
                    Some(_) => format!("That does not open it. Passphrase of {what}"),
                };
                let progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
                progress.suspend(|| self.output.passphrase(&question))?
            }
        };
        known.insert(what.to_owned(), given.clone());
        tried.insert(what.to_owned(), given.clone());
        // No key has an empty one: who types none has none, for the other boxes neither.
        Some(given).filter(|given| !given.reveal().is_empty())
    }
}

/// The time that something takes, which may go on at this moment.
#[derive(Default)]
pub struct Stopwatch(Mutex<(Duration, Option<Instant>)>);

impl Stopwatch {
    fn during<T>(&self, action: impl FnOnce() -> T) -> T {
        self.clock().1 = Some(Instant::now());
        let done = action();
        let mut clock = self.clock();
        let took = clock
            .1
            .take()
            .map_or(Duration::ZERO, |since| since.elapsed());
        clock.0 += took;
        done
    }

    pub fn total(&self) -> Duration {
        let clock = self.clock();
        clock.0 + clock.1.map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn clock(&self) -> MutexGuard<'_, (Duration, Option<Instant>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
