//! A room of boxes that are ready: one was made so, the others are its copies.

use std::fs;
use std::path::Path;
use std::thread;

use dwenv::target::sandbox::Running;

use crate::common::boxes::{down, up};
use crate::support::{Lab, run, said};

/// How many boxes the room has.
pub const SEATS: u8 = 20;

/// Stops a machine that is ready and starts a room of copies of it.
pub fn of_copies(lab: &Lab, ready: &Running) -> Vec<Running> {
    // What was downloaded need not be copied.
    said(ready, "sudo apt-get clean");
    down(lab, &ready.spec.name);
    for seat in 1..=SEATS {
        copy(lab, &ready.spec.name, &name(seat));
    }
    let mut machines = thread::scope(|scope| {
        // As many at once as the machine has cores for.
        let halves: Vec<_> = (0..2)
            .map(|half| {
                scope.spawn(move || {
                    let seats = (1..=SEATS).filter(|seat| seat % 2 == half);
                    let machines = seats.map(|seat| (seat, up(lab, &name(seat), 10 + seat)));
                    machines.collect::<Vec<_>>()
                })
            })
            .collect();
        let joined = halves
            .into_iter()
            .map(|half| half.join().expect("no panic"));
        joined.flatten().collect::<Vec<_>>()
    });
    machines.sort_by_key(|(seat, _)| *seat);
    machines.into_iter().map(|(_, machine)| machine).collect()
}

fn name(seat: u8) -> String {
    format!("seat-{seat:02}")
}

/// Copies a machine that is stopped. It keeps its keys, and gets an id of its own; its name and address
/// follow when it starts. What lies in /usr is shared by hard links, or the copies would fill a disk: nothing
/// writes into a file there, and what replaces one makes a new file.
fn copy(lab: &Lab, from: &str, to: &str) {
    let machines = lab.folder().join("machines");
    let (from, to) = (machines.join(from), machines.join(to));
    fs::create_dir_all(to.join("root")).expect("the copy's folders");
    copy_all(&from, &to, "root");
    copy_all(&from.join("root"), &to.join("root"), "usr");
    let usr = from.join("root/usr");
    run("cp", &["-al", &plain(&usr), &plain(&to.join("root"))]);
    let id = fs::read_to_string("/proc/sys/kernel/random/uuid").expect("an id");
    let id = id.trim().replace('-', "");
    let record = to.join("machine.json");
    let text = fs::read(&record).expect("the machine's record");
    let mut machine: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    machine["id"] = id.clone().into();
    fs::write(&record, machine.to_string()).expect("the record can be written");
    let file = to.join("root/etc/machine-id");
    fs::remove_file(&file).expect("the copied id");
    fs::write(file, format!("{id}\n")).expect("the id can be written");
}

/// Copies what is in a folder, but for one entry.
fn copy_all(from: &Path, to: &Path, but: &str) {
    let entries = fs::read_dir(from).expect("a folder to copy").flatten();
    for entry in entries.filter(|entry| entry.file_name() != but) {
        run("cp", &["-a", &plain(&entry.path()), &plain(to)]);
    }
}

fn plain(path: &Path) -> String {
    path.to_str().expect("a plain path").to_owned()
}
