//! The workshop inside dwenv, with one forwarded port that is another one on the laptop.

use dwenv::workshop::Workshop;

pub fn workshop() -> Workshop {
    let mut workshop = Workshop::builtin().expect("the declaration inside dwenv is read");
    for forward in &mut workshop.machine.forwards {
        if forward.guest == 5432 {
            forward.host = 15432;
        }
    }
    workshop
}
