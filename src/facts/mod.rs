//! What is: raw records from the laptop and the box, and typed facts read from nothing but them.

pub mod authors;
pub mod collect;
pub mod converse;
pub mod docker;
pub mod frames;
pub mod here;
pub mod laptop;
pub mod pipeline;
pub mod postgres_login;
pub mod probe;
pub mod program;
pub mod reach;
pub mod record;
pub mod server;
pub mod services;
pub mod sudo;

use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::workshop::Workshop;
pub use probe::{Here, Probe, Question};
pub use record::{Record, RecordStatus, Records};

/// A value that was observed, or the reason why it could not be.
pub type Observed<T> = Result<T, Unobserved>;

/// Why something could not be observed, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unobserved(pub String);

/// One kind of typed fact: the probes that it needs, and how it is read from their records.
pub trait Fact: Clone + 'static {
    fn probes(workshop: &Workshop) -> Vec<Probe>;

    /// Pure: the same records always give the same fact.
    fn observe(records: &Records) -> Observed<Self>;
}

/// All facts of one target: observed from records when first asked for, or predicted by a plan.
pub struct Facts {
    records: Records,
    known: RefCell<HashMap<TypeId, Rc<dyn Any>>>,
}

impl Facts {
    #[must_use]
    pub fn new(records: Records) -> Self {
        Self {
            records,
            known: RefCell::default(),
        }
    }

    #[must_use]
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// The fact as observed, or as predicted after the changes planned so far.
    #[must_use]
    pub fn get<T: Fact>(&self) -> Rc<Observed<T>> {
        let known = self
            .known
            .borrow_mut()
            .entry(TypeId::of::<T>())
            .or_insert_with(|| Rc::new(T::observe(&self.records)))
            .clone();
        // The entry was made under T's own id, so it is of T's type.
        known
            .downcast()
            .unwrap_or_else(|_| Rc::new(T::observe(&self.records)))
    }

    /// Says what the fact will be once a planned change is made. A fact that could not be observed
    /// stays unobserved: nothing is built on a guess.
    pub fn predict<T: Fact>(&self, change: impl FnOnce(&mut T)) {
        if let Ok(fact) = self.get::<T>().as_ref() {
            let mut fact = fact.clone();
            change(&mut fact);
            let predicted: Observed<T> = Ok(fact);
            self.known
                .borrow_mut()
                .insert(TypeId::of::<T>(), Rc::new(predicted));
        }
    }
}
