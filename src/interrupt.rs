//! Ctrl-C, heard by whoever has to end something in good order.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;

/// How often the person has asked that the run shall end. Cheap to clone.
#[derive(Clone)]
pub struct Interrupts {
    asked: watch::Sender<usize>,
    holds: Arc<AtomicUsize>,
}

/// While it lives, the run is not simply ended: its holder sees to that.
pub struct Hold {
    asked: watch::Receiver<usize>,
    holds: Arc<AtomicUsize>,
}

/// Behind this many Ctrl-C nobody waits for good order any more.
const ENOUGH: usize = 3;

impl Interrupts {
    #[must_use]
    pub fn new() -> Self {
        Self {
            asked: watch::Sender::new(0),
            holds: Arc::default(),
        }
    }

    /// How often it was asked for by now.
    #[must_use]
    pub fn asked(&self) -> usize {
        *self.asked.borrow()
    }

    #[must_use]
    pub fn hold(&self) -> Hold {
        self.holds.fetch_add(1, Ordering::Relaxed);
        Hold {
            asked: self.asked.subscribe(),
            holds: self.holds.clone(),
        }
    }

    /// Returns when the person has asked and nobody holds the run, or has asked often enough.
    ///
    /// `ask` returns each time that the person asks.
    pub async fn end<F: Future<Output = ()>>(&self, mut ask: impl FnMut() -> F) {
        loop {
            ask().await;
            self.asked.send_modify(|times| *times += 1);
            if self.holds.load(Ordering::Relaxed) == 0 || *self.asked.borrow() >= ENOUGH {
                return;
            }
        }
    }
}

impl Default for Interrupts {
    fn default() -> Self {
        Self::new()
    }
}

impl Hold {
    /// How often it was asked for by now.
    #[must_use]
    pub fn asked(&self) -> usize {
        *self.asked.borrow()
    }

    /// Returns when it was asked for once more. What was asked for before the hold counts as well.
    pub async fn asked_again(&mut self) {
        if self.asked.changed().await.is_err() {
            // Nobody is left who could ask.
            std::future::pending().await
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.holds.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_a_hold_the_first_ends_the_run() {
        let interrupts = Interrupts::new();
        interrupts.end(|| std::future::ready(())).await;
    }

    #[tokio::test]
    async fn a_hold_hears_it_and_the_third_ends_the_run_all_the_same() {
        let interrupts = Interrupts::new();
        let mut hold = interrupts.hold();
        interrupts.end(|| std::future::ready(())).await;
        hold.asked_again().await;
        assert_eq!(hold.asked(), ENOUGH);
    }

    #[tokio::test]
    async fn a_hold_that_ended_holds_nothing() {
        let interrupts = Interrupts::new();
        drop(interrupts.hold());
        interrupts.end(|| std::future::ready(())).await;
    }
}
