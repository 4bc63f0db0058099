//! What is measured, part by part.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use dwenv::target::sandbox::Running;

use crate::common::boxes::{assert_served, destroy, up, workshop};
use crate::common::memory;
use crate::common::times::{Times, shown};
use crate::page::{Bound, Column, Page, Sides, Table};
use crate::seats;
use crate::slow::Slow;
use crate::support::Lab;
use crate::tools::{Seat, Tool, Worker};

/// Runs of each side, where one takes half a minute and a machine of its own.
const FIRST_RUNS: usize = 3;
/// How many boxes the room has.
const SEATS: u8 = 20;
/// Where all boxes of a room are worked on.
const ROOM_RUNS: usize = 3;
const RUNS: usize = 5;
/// How often the quick sides run in each turn: what takes a fraction of a second varies more.
const QUICK: usize = 3;
/// The first machine's last part of the address.
const ADDRESS: u8 = 10;
const MB: f64 = 1024.0;

/// What was asked for on the command line.
struct Wishes {
    parts: Vec<String>,
    runs: Option<usize>,
    write: bool,
}

impl Wishes {
    fn read() -> Self {
        // cargo itself adds `--bench`.
        let words = std::env::args().skip(1).filter(|word| word != "--bench");
        let mut wishes = Self {
            parts: Vec::new(),
            runs: None,
            write: false,
        };
        for word in words {
            match word.as_str() {
                "write" => wishes.write = true,
                "first" | "no-op" | "doctor" | "room" | "memory" => wishes.parts.push(word),
                number => match number.parse() {
                    Ok(runs @ 1..) => wishes.runs = Some(runs),
                    _ => panic!(
                        "`{word}` is none of: first, no-op, doctor, room, memory, write, a number"
                    ),
                },
            }
        }
        assert!(
            !wishes.write || wishes.parts.is_empty(),
            "a part alone would leave holes in the page: say `write` without parts"
        );
        wishes
    }

    fn wants(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|it| it == part)
    }
}

pub fn main() {
    let wishes = Wishes::read();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let (lab, folder) = workshop();
    let worker = Worker::new(folder.path(), &lab.spec("any", ADDRESS).user);
    let mut page = Page::new(worker.versions(), load.trim_end());
    let runs = wishes.runs.unwrap_or(RUNS);
    if wishes.wants("first") {
        first(&lab, &worker, wishes.runs.unwrap_or(FIRST_RUNS), &mut page);
    }
    if ["no-op", "doctor", "room", "memory"]
        .iter()
        .any(|part| wishes.wants(part))
    {
        let machine = ready(&lab, &worker);
        if wishes.wants("no-op") {
            no_op(&machine, &worker, runs, &mut page);
        }
        if wishes.wants("doctor") {
            doctor(&machine, &worker, runs, &mut page);
        }
        if wishes.wants("room") || wishes.wants("memory") {
            let machines = seats::of_copies(&lab, &machine, SEATS);
            let seats: Vec<Seat> = machines.iter().map(seat).collect();
            worker.prepare(&seats, &machines[0].identity);
            if wishes.wants("room") {
                let runs = wishes.runs.unwrap_or(ROOM_RUNS);
                whole_room(&seats, &worker, runs, &mut page);
            }
            if wishes.wants("memory") {
                memory_of_a_box(&seats, &worker, &mut page);
            }
        }
    }
    page.tell_bounds();
    if wishes.write {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/performance.md");
        std::fs::write(&file, page.markdown()).expect("the page can be written");
        println!("written: {}", file.display());
    }
    if !page.holds() {
        eprintln!("not every bound holds");
        std::process::exit(1);
    }
}

fn seat(machine: &Running) -> Seat {
    Seat {
        host: machine.spec.address.to_string(),
        port: machine.port,
        host_public_key: machine.host_public_key.clone(),
    }
}

/// A way to a machine on which a round trip takes so many milliseconds longer, and what makes it so.
fn way(machine: &Running, delay: u64) -> (Seat, Option<Slow>) {
    let direct = seat(machine);
    if delay == 0 {
        return (direct, None);
    }
    let address = SocketAddr::from((machine.spec.address, machine.port));
    let slow = Slow::before(address, Duration::from_millis(delay) / 2);
    let seat = Seat {
        host: "127.0.0.1".to_owned(),
        port: slow.port,
        ..direct
    };
    (seat, Some(slow))
}

/// Each side in its turn. All have run before: what they read from disks is warm.
fn by_turns(sides: &[Tool], runs: usize, worker: &Worker, mut work: impl FnMut(Tool)) -> Sides {
    let mut times: Sides = sides.iter().map(|tool| (*tool, Times::default())).collect();
    for _ in 0..runs {
        for again in 0..QUICK {
            for (tool, times) in &mut times {
                let quick = matches!(tool, Tool::Dwenv | Tool::Ssh);
                if again == 0 || quick {
                    worker.part();
                    times.add(|| work(*tool));
                }
            }
        }
    }
    worker.part();
    times
}

fn first(lab: &Lab, worker: &Worker, runs: usize, page: &mut Page) {
    let mut table = Table::new("First run on a bare box");
    for delay in [0, 50] {
        let mut times: Sides = Tool::PROVISIONING
            .map(|tool| (tool, Times::default()))
            .into();
        for turn in 0..runs {
            for (tool, times) in &mut times {
                let name = format!("first-{delay}-{turn}-{}", *tool as u8);
                let machine = up(lab, &name, ADDRESS);
                let (seat, _slow) = way(&machine, delay);
                worker.prepare(std::slice::from_ref(&seat), &machine.identity);
                worker.part();
                let changed = times.add(|| worker.provision(*tool, &[seat]));
                assert!(changed, "{tool} says that it did nothing on a bare box");
                worker.part();
                assert_served(&machine);
                destroy(lab, &name);
            }
        }
        if delay == 0 {
            let ratio = of(&times, Tool::Dwenv).against(of(&times, Tool::Script));
            page.bound(Bound::at_most(
                "First run, times the shell script",
                0.8,
                ratio,
            ));
        }
        table.columns.push(Column::of_delay(delay, times));
    }
    page.add(table);
}

fn of(sides: &Sides, tool: Tool) -> &Times {
    let found = sides.iter().find(|(it, _)| *it == tool);
    &found.expect("a side that was measured").1
}

/// A machine on which every tool finds nothing to do.
fn ready(lab: &Lab, worker: &Worker) -> Running {
    let machine = up(lab, "ready", ADDRESS);
    let seats = [seat(&machine)];
    worker.prepare(&seats, &machine.identity);
    worker.part();
    for tool in Tool::PROVISIONING {
        worker.provision(tool, &seats);
    }
    for tool in Tool::PROVISIONING {
        assert_still(worker, tool, &seats);
    }
    for tool in Tool::CHECKING {
        worker.check(tool, &seats[0]);
    }
    assert_served(&machine);
    machine
}

/// The script has no way to say that nothing changed: it does everything again.
fn assert_still(worker: &Worker, tool: Tool, seats: &[Seat]) {
    let changed = worker.provision(tool, seats);
    assert!(
        !changed || tool == Tool::Script,
        "{tool} changed a box that is ready"
    );
}

fn no_op(machine: &Running, worker: &Worker, runs: usize, page: &mut Page) {
    let sides = [&Tool::PROVISIONING[..], &[Tool::Ssh]].concat();
    let mut table = Table::new("Nothing to do on one box");
    for delay in [0, 50, 200] {
        let (seat, slow) = way(machine, delay);
        worker.prepare(std::slice::from_ref(&seat), &machine.identity);
        let mut links = Links::of(slow.as_ref());
        let seats = [seat.clone()];
        let times = by_turns(&sides, runs, worker, |tool| {
            match tool {
                Tool::Ssh => worker.check(tool, &seat),
                tool => assert_still(worker, tool, &seats),
            }
            links.count(tool == Tool::Dwenv);
        });
        bound_by_login("Nothing to do", delay, &times, &links, page);
        table.columns.push(Column::of_delay(delay, times));
    }
    bound_round_trips("Nothing to do", &table, page);
    page.add(table);
}

fn doctor(machine: &Running, worker: &Worker, runs: usize, page: &mut Page) {
    let mut table = Table::new("Checking one box");
    for delay in [0, 50, 200] {
        let (seat, slow) = way(machine, delay);
        worker.prepare(std::slice::from_ref(&seat), &machine.identity);
        let mut links = Links::of(slow.as_ref());
        let times = by_turns(&Tool::CHECKING, runs, worker, |tool| {
            worker.check(tool, &seat);
            links.count(tool == Tool::Dwenv);
        });
        bound_by_login("`doctor`", delay, &times, &links, page);
        table.columns.push(Column::of_delay(delay, times));
    }
    bound_round_trips("`doctor`", &table, page);
    page.add(table);
}

/// How many connections dwenv makes, as the proxy counts them.
struct Links<'a> {
    slow: Option<&'a Slow>,
    /// Of all tools so far.
    all: usize,
    /// The most of one run of dwenv.
    most: usize,
}

impl<'a> Links<'a> {
    fn of(slow: Option<&'a Slow>) -> Self {
        Self {
            slow,
            all: 0,
            most: 0,
        }
    }

    /// Looks at what one run made; it counts where it is dwenv's.
    fn count(&mut self, is_dwenvs: bool) {
        let Some(slow) = self.slow else { return };
        let all = slow.round_trips().len();
        if is_dwenvs {
            self.most = self.most.max(all - self.all);
        }
        self.all = all;
    }
}

/// Without a delay the box's work counts; with one, how often somebody waits for an answer.
fn bound_by_login(what: &str, delay: u64, sides: &Sides, links: &Links<'_>, page: &mut Page) {
    if delay == 0 {
        let ratio = of(sides, Tool::Dwenv).against(of(sides, Tool::Ssh));
        let told = format!("{what}, times `ssh BOX true`");
        page.bound(Bound::at_most(&told, 0.9, ratio));
    }
    if delay == 50 {
        let told = format!("{what}, connections");
        page.bound(Bound::at_most(&told, 1.0, links.most as f64));
    }
}

/// How often somebody waits for an answer, by what a longer link costs.
fn bound_round_trips(what: &str, table: &Table, page: &mut Page) {
    let count = table.round_trips_of(Tool::Dwenv).expect("two delays");
    let told = format!("{what}, round trips by what delay costs");
    page.bound(Bound::at_most(&told, 10.0, count));
}

fn whole_room(seats: &[Seat], worker: &Worker, runs: usize, page: &mut Page) {
    let one = &seats[..1];
    let alone = by_turns(&[Tool::Dwenv], runs, worker, |tool| {
        assert_still(worker, tool, one)
    });
    let alone = of(&alone, Tool::Dwenv).median();
    let sides = Tool::PROVISIONING;
    let times = by_turns(&sides, runs, worker, |tool| {
        assert_still(worker, tool, seats)
    });
    let took = of(&times, Tool::Dwenv).median();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let bound = 3 * alone * seats.len() as u32 / cores as u32;
    page.bound(Bound {
        what: format!(
            "Nothing to do on {} boxes; one takes {}",
            seats.len(),
            shown(alone)
        ),
        bound: shown(bound),
        measured: shown(took),
        holds: took <= bound,
    });
    let mut table = Table::new("Nothing to do in a room");
    table.columns.push(Column {
        name: format!("{} boxes", seats.len()),
        sides: times,
    });
    page.add(table);
}

/// How much more memory dwenv needs for each further box.
fn memory_of_a_box(seats: &[Seat], worker: &Worker, page: &mut Page) {
    for command in ["provision", "doctor"] {
        let peak = |seats: &[Seat]| {
            let peaks = (0..3).map(|_| memory::peak(&mut worker.dwenv(command, seats)));
            peaks.max().unwrap_or_default() as f64 / MB
        };
        let (one, all) = (peak(&seats[..1]), peak(seats));
        let further = (all - one) / (seats.len() - 1) as f64;
        page.bound(Bound {
            what: format!(
                "Memory for a further box of `{command}`; one takes {one:.1} MB, {} take {all:.1} MB",
                seats.len()
            ),
            bound: "1 MB".to_owned(),
            measured: format!("{further:.2} MB"),
            holds: further <= 1.0,
        });
    }
}
