//! A box behind a long link: what is asked is asked together, and a round trip is made where the next step needs its
//! answer.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::slow::Slow;
use crate::workbox::Workbox;

/// Of one direction: what a link to the other side of the world has, and what no computer of a test needs for an
/// answer, however much else it does.
const DELAY: Duration = Duration::from_millis(100);
/// The most round trips of a provision that finds nothing to do, the making of the link included. Six are the login.
/// The channels of the exec, of PostgreSQL and of Docker open one after the other, and the fourth round trip brings
/// the end of the login to PostgreSQL and Docker's answers. Load only adds to them, so the fewest of a few runs count.
const ROUND_TRIPS: u64 = 10;
const RUNS: usize = 3;

#[test]
fn round_trips_are_those_that_wait_for_each_other() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let (mut far, _) = listener.accept().expect("a link");
        let mut question = [0; 4];
        while far.read_exact(&mut question).is_ok() {
            far.write_all(&question).expect("an answer");
        }
    });
    let slow = Slow::before(address, Duration::from_millis(20));
    let mut near = TcpStream::connect(("127.0.0.1", slow.port)).expect("a link");
    let mut answer = [0; 4];
    for _ in 0..3 {
        near.write_all(b"ping").expect("a question");
        near.read_exact(&mut answer).expect("an answer");
    }
    // One makes the link, and each question waits for the answer to the one before.
    assert_eq!(slow.round_trips(), [4]);
    let many = b"ping".repeat(100_000);
    let mut asking = near.try_clone().expect("a handle");
    let all = many.clone();
    thread::spawn(move || asking.write_all(&all).expect("questions"));
    let mut answers = vec![0; many.len()];
    near.read_exact(&mut answers).expect("answers");
    assert_eq!(answers, many);
    // A hundred thousand that wait for none are as many as fit into the pipes at once.
    assert!(slow.round_trips()[0] < 100, "{:?}", slow.round_trips());
}

/// Doctor and provision of a box that is as declared, and of one that is not.
pub fn there_and_back(it: &Workbox) {
    let slow = Slow::before((it.address(), 22).into(), DELAY);
    let target = format!("ssh://vagrant@127.0.0.1:{}", slow.port);
    let identity = it.machine().identity.display().to_string();
    let over = |command: &[&str]| {
        let there = ["-v", "--target", &target, "--identity", &identity];
        it.dwenv(&[command, &there].concat())
    };
    // The box's other ports have no such way.
    let doctor = ["doctor", "--skip", "laptop.reach"];
    let provision = ["provision", "--yes"];

    for _ in 0..RUNS {
        over(&provision)
            .exit(0)
            .says("Nothing to do: the box is as declared.")
            .says("handshakes 1, execs 1, tunnels 2");
    }
    let links = slow.round_trips();
    println!("round trips: {links:?}");
    assert_eq!(links.len(), RUNS, "one link each");
    assert!(links.iter().min() <= Some(&ROUND_TRIPS), "{links:?}");
    // What it is told to skip is no reason to look closer.
    for _ in 0..RUNS {
        over(&doctor)
            .exit(0)
            .says("handshakes 1, execs 1, tunnels 2");
    }
    let links = slow.round_trips().split_off(RUNS);
    println!("of doctor: {links:?}");
    assert_eq!(links.len(), RUNS, "one link each");
    assert!(links.iter().min() <= Some(&ROUND_TRIPS), "{links:?}");

    it.run("sudo gpasswd -d vagrant docker && sudo systemctl stop docker-workshop");
    over(&doctor).exit(1).says("[box.docker.group]");
    over(&provision).exit(0).says("2 changes made");
    over(&doctor).exit(0);
}
