//! A room of boxes: copies of one.

use std::fs;
use std::path::Path;
use std::thread;

use dwenv::events::Events;
use dwenv::target::sandbox::Running;

use crate::support::{Lab, run, said};

/// Stops a machine and starts so many copies of it: `seat-01` at the lab's address 11, and so on.
pub fn of_copies(lab: &Lab, first: &Running, seats: u8) -> Vec<Running> {
    // What was downloaded need not be copied.
    said(first, "sudo apt-get clean");
    let first = &first.spec.name;
    let stopped = lab.store.down(first, &Events::nowhere());
    stopped.unwrap_or_else(|error| panic!("{first}: {error}"));
    for seat in 1..=seats {
        copy(lab, first, &name(seat));
    }
    let mut machines = thread::scope(|scope| {
        // As many at once as the machine has cores for.
        let halves: Vec<_> = (0..2)
            .map(|half| {
                scope.spawn(move || {
                    let seats = (1..=seats).filter(|seat| seat % 2 == half);
                    let up = |seat| (seat, lab.up(&lab.spec(&name(seat), 10 + seat)));
                    seats.map(up).collect::<Vec<_>>()
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
