//! Every resource as data: given these facts, these findings and these changes.

#[path = "support/answers.rs"]
mod answers;
#[path = "support/laptops.rs"]
mod laptops;

mod resources {
    mod called;
    pub mod case;
    mod combined;
    mod declared;
    mod kept;
    mod properties;
    mod robust;
    mod rows;
    mod secrets;
    mod told;
    mod values;
}
