//! How long connecting may still take, not counting the time in which a person is asked something.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// One deadline, shared by the task that waits and the thread that works.
pub(super) struct Deadline {
    allowed: Duration,
    clock: Mutex<Clock>,
}

struct Clock {
    started: Instant,
    /// Set while a person is being asked: since when, and how long that may take at most.
    stopped: Option<(Instant, Duration)>,
}

impl Deadline {
    pub(super) fn after(allowed: Duration) -> Self {
        Self {
            allowed,
            clock: Mutex::new(Clock {
                started: Instant::now(),
                stopped: None,
            }),
        }
    }

    /// The whole of the allowance, for messages.
    pub(super) fn allowed(&self) -> Duration {
        self.allowed
    }

    /// What is left; nothing once it is over.
    pub(super) fn left(&self) -> Option<Duration> {
        let clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        let uncounted = clock.stopped.map_or(Duration::ZERO, uncounted);
        let spent = clock.started.elapsed().saturating_sub(uncounted);
        self.allowed
            .checked_sub(spent)
            .filter(|left| !left.is_zero())
    }

    /// Does something whose time does not count, such as waiting for a person to type.
    pub(super) fn outside<T>(&self, ask: impl FnOnce() -> T) -> T {
        self.outside_for(Duration::MAX, ask)
    }

    /// The same for what nobody may answer: what it takes longer than that counts again.
    pub(super) fn outside_for<T>(&self, longest: Duration, ask: impl FnOnce() -> T) -> T {
        self.stop(longest);
        let answer = ask();
        self.resume();
        answer
    }

    /// Returns once the deadline has been over for `grace`: the worker that shares it should have
    /// spoken by then.
    pub(super) async fn overdue(&self, grace: Duration) {
        loop {
            let Some(left) = self.left() else {
                tokio::time::sleep(grace).await;
                return;
            };
            // A stopped clock does not run out: look again, but not in a hurry.
            tokio::time::sleep(left.max(Duration::from_millis(50))).await;
        }
    }

    fn stop(&self, longest: Duration) {
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        clock.stopped = Some((Instant::now(), longest));
    }

    fn resume(&self) {
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stopped) = clock.stopped.take() {
            clock.started += uncounted(stopped);
        }
    }
}

/// How much of a pause does not count.
fn uncounted((since, longest): (Instant, Duration)) -> Duration {
    since.elapsed().min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_in_which_a_person_is_asked_does_not_count() {
        let deadline = Deadline::after(Duration::from_millis(200));
        deadline.outside(|| std::thread::sleep(Duration::from_millis(300)));
        assert!(deadline.left().is_some());
    }

    #[test]
    fn what_nobody_answers_is_over_some_time() {
        let deadline = Deadline::after(Duration::from_millis(200));
        deadline.outside_for(Duration::from_millis(50), || {
            std::thread::sleep(Duration::from_millis(300));
            assert_eq!(deadline.left(), None);
        });
        assert_eq!(deadline.left(), None);
    }

    #[test]
    fn nothing_is_left_when_it_is_over() {
        assert_eq!(Deadline::after(Duration::ZERO).left(), None);
    }
}
