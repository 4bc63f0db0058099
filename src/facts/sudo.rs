//! The password for sudo: asked once for all boxes of a run, and only where a box wants one.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::secret::Secret;

/// How often one box is given a password: more would lock the user out in many places.
const TRIES: usize = 3;

/// Asks the person for a password, by this question, and waits; `None` where no answer is wanted.
pub type Ask = Arc<dyn Fn(&str) -> Option<Secret> + Send + Sync>;

/// What becoming root may take, at one box. Clones share what was answered.
#[derive(Clone)]
pub struct Sudo {
    room: Arc<Room>,
    /// The box, as the person named it.
    place: String,
}

/// Shared by all boxes of a run.
struct Room {
    ask: Option<Ask>,
    kept: tokio::sync::Mutex<Kept>,
    /// Boxes that refused; they are not tried again, however often they are looked at.
    refused: Mutex<HashSet<String>>,
    /// What each box took: it is told that first when it asks again.
    accepted: Mutex<HashMap<String, Secret>>,
    clock: Mutex<Clock>,
}

#[derive(Default)]
struct Kept {
    password: Option<Secret>,
    /// How many passwords there were; it tells an answer from the one before.
    count: usize,
    /// The person gave no answer: nobody is asked again.
    given_up: bool,
}

#[derive(Default)]
struct Clock {
    waited: Duration,
    asking: Option<Instant>,
}

/// The passwords that one box was given in one go.
#[derive(Default)]
pub struct Tried {
    times: usize,
    /// Which of the room's passwords it was given last.
    last: Option<usize>,
    given: Option<Secret>,
}

impl Tried {
    #[must_use]
    pub fn any(&self) -> bool {
        self.times > 0
    }

    fn give(&mut self, password: Secret) -> Secret {
        self.times += 1;
        self.given = Some(password.clone());
        password
    }
}

impl Sudo {
    fn new(ask: Option<Ask>, password: Option<Secret>) -> Self {
        Self {
            room: Arc::new(Room {
                ask,
                kept: tokio::sync::Mutex::new(Kept {
                    password,
                    ..Kept::default()
                }),
                refused: Mutex::default(),
                accepted: Mutex::default(),
                clock: Mutex::default(),
            }),
            place: String::new(),
        }
    }

    /// Nobody can be asked: where sudo wants a password, it is not had.
    #[must_use]
    pub fn nobody() -> Self {
        let sudo = Self::new(None, None);
        sudo.give_up_all();
        sudo
    }

    /// A password that was given before the run.
    #[must_use]
    pub fn known(password: Secret) -> Self {
        Self::new(None, Some(password))
    }

    /// Somebody can be asked, once it is needed.
    #[must_use]
    pub fn asking(ask: Ask) -> Self {
        Self::new(Some(ask), None)
    }

    /// The same for one box.
    #[must_use]
    pub fn at(&self, place: impl Into<String>) -> Self {
        Self {
            room: Arc::clone(&self.room),
            place: place.into(),
        }
    }

    /// Whether this box may be told a password at all.
    pub async fn may_answer(&self) -> bool {
        let given_up = self.room.kept.lock().await.given_up;
        !given_up && !self.refused().contains(&self.place)
    }

    /// Whether there is a password that this box may be told without a question to the person.
    pub async fn knows(&self) -> bool {
        let known = self.room.kept.lock().await.password.is_some();
        known && !self.refused().contains(&self.place)
    }

    /// The box did not take what it was given.
    pub fn give_up(&self) {
        self.refused().insert(self.place.clone());
    }

    /// The box took what it was given last.
    pub fn accept(&self, tried: &Tried) {
        if let Some(given) = &tried.given {
            self.accepted().insert(self.place.clone(), given.clone());
        }
    }

    /// The next password for this box: the one that it took before, that of the room, or where this box has refused
    /// those, the answer to another question. Where boxes have passwords of their own, the last try is such an answer.
    /// `None`: there is no further one.
    pub async fn answer(&self, tried: &mut Tried) -> Option<Secret> {
        if tried.times == TRIES {
            return None;
        }
        let known = self.accepted().get(&self.place).cloned();
        if let Some(known) = known.filter(|_| !tried.any()) {
            return Some(tried.give(known));
        }
        let mut kept = self.room.kept.lock().await;
        let asks_last = tried.times + 1 == TRIES && self.passwords_differ();
        if kept.password.is_none() || tried.last == Some(kept.count) || asks_last {
            let ask = self.room.ask.clone().filter(|_| !kept.given_up)?;
            let question = if tried.any() {
                format!("{} refused it. The password for sudo there", self.place)
            } else {
                format!("The password for sudo at {}", self.place)
            };
            let answer = self.wait_for(ask, question).await;
            let Some(password) = answer.filter(|answer| !answer.reveal().is_empty()) else {
                kept.given_up = true;
                return None;
            };
            kept.password = Some(password);
            kept.count += 1;
        }
        tried.last = Some(kept.count);
        let password = kept.password.clone()?;
        Some(tried.give(password))
    }

    /// Whether boxes took different ones.
    fn passwords_differ(&self) -> bool {
        let accepted = self.accepted();
        let mut passwords = accepted.values().map(Secret::reveal);
        let first = passwords.next();
        passwords.any(|other| Some(other) != first)
    }

    /// How long the person was waited for in all, the question that stands included.
    #[must_use]
    pub fn waited(&self) -> Duration {
        let clock = self.clock();
        clock.waited + clock.asking.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Does something until then, not counting the time in which the person is asked; `None`: too late.
    pub async fn within<T>(&self, until: Instant, work: impl Future<Output = T>) -> Option<T> {
        let before = self.waited();
        tokio::pin!(work);
        loop {
            let until = until + self.waited().saturating_sub(before);
            let left = until.saturating_duration_since(Instant::now());
            tokio::select! {
                biased;
                done = &mut work => return Some(done),
                () = tokio::time::sleep(left) => {}
            }
            if left.is_zero() {
                return None;
            }
        }
    }

    async fn wait_for(&self, ask: Ask, question: String) -> Option<Secret> {
        let asking = Asking::begin(self);
        // Beside the runtime, so that the other boxes go on, and Ctrl-C is heard.
        let answer = tokio::task::spawn_blocking(move || ask(&question)).await;
        drop(asking);
        answer.ok().flatten()
    }

    fn give_up_all(&self) {
        if let Ok(mut kept) = self.room.kept.try_lock() {
            kept.given_up = true;
        }
    }

    fn refused(&self) -> MutexGuard<'_, HashSet<String>> {
        let refused = self.room.refused.lock();
        refused.unwrap_or_else(PoisonError::into_inner)
    }

    fn accepted(&self) -> MutexGuard<'_, HashMap<String, Secret>> {
        let accepted = self.room.accepted.lock();
        accepted.unwrap_or_else(PoisonError::into_inner)
    }

    fn clock(&self) -> MutexGuard<'_, Clock> {
        let clock = self.room.clock.lock();
        clock.unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question that stands; its end stops the clock, also where nobody waits for it any more.
struct Asking<'a>(&'a Sudo);

impl<'a> Asking<'a> {
    fn begin(sudo: &'a Sudo) -> Self {
        sudo.clock().asking = Some(Instant::now());
        Self(sudo)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut clock = self.0.clock();
        if let Some(since) = clock.asking.take() {
            clock.waited += since.elapsed();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(answers: &[Option<&str>]) -> (Sudo, Arc<Mutex<Vec<String>>>) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let answers: Vec<_> = answers.iter().map(|it| it.map(Secret::new)).collect();
        let heard = asked.clone();
        let sudo = Sudo::asking(Arc::new(move |question| {
            let mut heard = heard.lock().unwrap();
            heard.push(question.to_owned());
            answers.get(heard.len() - 1).cloned().flatten()
        }));
        (sudo, asked)
    }

    async fn next(sudo: &Sudo, tried: &mut Tried) -> Option<String> {
        sudo.answer(tried).await.map(|it| it.reveal().to_owned())
    }

    #[tokio::test]
    async fn one_question_serves_the_room_and_a_second_one_whoever_refused() {
        let (sudo, asked) = asking(&[Some("typo"), Some("right"), Some("third"), Some("never")]);
        let (a, b) = (sudo.at("a"), sudo.at("b"));
        let (mut of_a, mut of_b) = (Tried::default(), Tried::default());
        assert_eq!(next(&a, &mut of_a).await.unwrap(), "typo");
        assert_eq!(next(&b, &mut of_b).await.unwrap(), "typo");
        assert_eq!(next(&a, &mut of_a).await.unwrap(), "right");
        // Somebody has been asked since.
        assert_eq!(next(&b, &mut of_b).await.unwrap(), "right");
        assert_eq!(
            *asked.lock().unwrap(),
            [
                "The password for sudo at a",
                "a refused it. The password for sudo there"
            ]
        );
        // No box is tried more often than that.
        assert_eq!(next(&a, &mut of_a).await.unwrap(), "third");
        assert_eq!(next(&a, &mut of_a).await, None);
        a.give_up();
        assert!(!a.may_answer().await && b.may_answer().await);
    }

    #[tokio::test]
    async fn boxes_with_passwords_of_their_own_are_each_asked_about_and_told_their_own_again() {
        let (sudo, asked) = asking(&["of a", "of b", "of c", "of d"].map(Some));
        let boxes = ["a", "b", "c", "d"];
        // All are told the first answer, and of those that refused it each the next.
        let mut waiting = boxes
            .map(|it| (it, sudo.at(it), Tried::default()))
            .into_iter()
            .collect::<Vec<_>>();
        while !waiting.is_empty() {
            let mut refusing = Vec::new();
            for (place, sudo, mut tried) in waiting {
                let given = next(&sudo, &mut tried).await.expect("it is asked about");
                if given == format!("of {place}") {
                    sudo.accept(&tried);
                } else {
                    refusing.push((place, sudo, tried));
                }
            }
            waiting = refusing;
        }
        assert_eq!(asked.lock().unwrap().len(), 4);
        for place in boxes {
            let sudo = sudo.at(place);
            let given = next(&sudo, &mut Tried::default()).await.unwrap();
            assert_eq!(given, format!("of {place}"));
        }
    }

    #[tokio::test]
    async fn one_password_of_all_may_be_mistyped_twice_without_a_question_for_each_box() {
        let (sudo, asked) = asking(&["slip", "other slip", "right"].map(Some));
        let mut boxes = ["a", "b", "c"].map(|it| (sudo.at(it), Tried::default()));
        for answer in ["slip", "other slip", "right"] {
            for (sudo, tried) in &mut boxes {
                assert_eq!(next(sudo, tried).await.unwrap(), answer);
                if answer == "right" {
                    sudo.accept(tried);
                }
            }
        }
        assert_eq!(asked.lock().unwrap().len(), 3);
    }

    #[tokio::test]
    async fn who_gives_no_answer_is_not_asked_again() {
        for answer in [None, Some("")] {
            let (sudo, asked) = asking(&[answer, Some("never")]);
            assert_eq!(next(&sudo.at("a"), &mut Tried::default()).await, None);
            assert_eq!(next(&sudo.at("b"), &mut Tried::default()).await, None);
            assert_eq!(asked.lock().unwrap().len(), 1);
            assert!(!sudo.may_answer().await);
        }
    }

    #[tokio::test]
    async fn a_password_of_a_file_is_tried_once() {
        let sudo = Sudo::known(Secret::new("of a file")).at("a");
        let mut tried = Tried::default();
        assert_eq!(next(&sudo, &mut tried).await.unwrap(), "of a file");
        assert_eq!(next(&sudo, &mut tried).await, None);
        assert!(!Sudo::nobody().may_answer().await);
    }

    #[tokio::test]
    async fn the_time_in_which_the_person_thinks_does_not_count() {
        let sudo = Sudo::asking(Arc::new(|_| {
            std::thread::sleep(Duration::from_millis(300));
            Some(Secret::new("x"))
        }));
        let until = Instant::now() + Duration::from_millis(150);
        let mut tried = Tried::default();
        assert!(sudo.within(until, sudo.answer(&mut tried)).await.is_some());
        assert!(sudo.waited() >= Duration::from_millis(300));
        let late = sudo.within(until, std::future::pending::<()>());
        assert!(late.await.is_none());
    }
}
