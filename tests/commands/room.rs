//! Several boxes in one run, as far as that is seen without any box: servers that take a connection and stay silent.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::place::Place;

/// The events of a run, each with its kind and its box.
fn events(out: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    out.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .map(|line: Value| (text(&line["event"]), text(&line["target"])))
        .collect()
}

/// Six boxes that never answer, and one that refuses at once.
fn room() -> (Vec<TcpListener>, Vec<String>) {
    let silent: Vec<TcpListener> = (0..6)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    let port = |it: &TcpListener| it.local_addr().unwrap().port();
    let mut targets: Vec<String> = silent
        .iter()
        .map(|it| format!("ssh://me@127.0.0.1:{}", port(it)))
        .collect();
    let refusing = TcpListener::bind("127.0.0.1:0").unwrap();
    targets.push(format!("ssh://me@127.0.0.1:{}", port(&refusing)));
    (silent, targets)
}

fn run(targets: &[String], more: &str) -> Vec<(String, String)> {
    let targets: Vec<String> = targets.iter().map(|it| format!("--target {it}")).collect();
    let line = format!(
        "doctor --format ndjson --timeout 1 {more} {}",
        targets.join(" ")
    );
    events(&Place::new().dwenv(&line).ended(3).out)
}

#[test]
fn so_many_boxes_as_jobs_says_are_worked_on_at_once() {
    let (_silent, targets) = room();
    let mut at_work = BTreeSet::new();
    let mut most = 0;
    let mut ended = Vec::new();
    for (event, target) in run(&targets, "--jobs 2") {
        match event.as_str() {
            "box_started" => assert!(at_work.insert(target)),
            "box_finished" => {
                assert!(at_work.remove(&target), "{target} never began");
                ended.push(target);
            }
            _ => {}
        }
        most = most.max(at_work.len());
    }
    assert_eq!(most, 2);
    ended.sort_unstable();
    let mut all = targets;
    all.sort_unstable();
    assert_eq!(ended, all);
}

/// Sixteen logins at the same moment are what a switch, a jump host and sshd's MaxStartups take for an attack.
#[test]
fn boxes_that_are_worked_on_at_once_are_not_connected_to_at_once() {
    let mut targets = Vec::new();
    let mut connects = Vec::new();
    for _ in 0..16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        targets.push(format!("ssh://me@127.0.0.1:{port}"));
        listener.set_nonblocking(true).unwrap();
        connects.push(thread::spawn(move || {
            let began = Instant::now();
            loop {
                let link = listener.accept();
                let waited = began.elapsed() < Duration::from_secs(60);
                if link.is_ok() || !waited {
                    return (Instant::now(), link.expect("it is connected to"));
                }
                thread::sleep(Duration::from_millis(1));
            }
        }));
    }
    run(&targets, "--jobs 16");
    let connects = connects.into_iter().map(|it| it.join().unwrap().0);
    let connects: Vec<Instant> = connects.collect();
    let (first, last) = (connects.iter().min(), connects.iter().max());
    // By chance within 320 ms: all of them within an eighth of that, never.
    let strewn = *last.unwrap() - *first.unwrap();
    assert!(strewn > Duration::from_millis(40), "{strewn:?}");
}

#[test]
fn a_silent_box_delays_no_other() {
    let (_silent, targets) = room();
    let told = run(&targets, "--jobs 16");
    let refusing = targets.last().unwrap();
    let mut ended = told.iter().filter(|(event, _)| event == "box_finished");
    // The last of the targets is the first to end: it waited for none of those before it.
    assert_eq!(&ended.next().unwrap().1, refusing);
    assert_eq!(ended.count(), targets.len() - 1);
}

/// Who listens to forty boxes need not wait for the slowest of them.
#[test]
fn each_box_is_told_whole_when_it_ends_and_all_of_them_are_the_result() {
    let (_silent, targets) = room();
    let named: Vec<String> = targets.iter().map(|it| format!("--target {it}")).collect();
    for command in ["doctor", "doctor --fix", "provision --yes"] {
        let line = format!("{command} --format ndjson --timeout 1 {}", named.join(" "));
        let out = Place::new().dwenv(&line).ended(3).out;
        let events: Vec<Value> = out
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        let ended = events
            .iter()
            .filter(|event| event["event"] == "box_finished");
        let results: BTreeMap<&str, &Value> = ended
            .map(|event| (event["target"].as_str().unwrap(), &event["result"]))
            .collect();
        let document = &events.last().unwrap()["document"];
        assert_eq!(
            document.get("ready").is_some(),
            command != "provision --yes"
        );
        let told = document["targets"].as_array().expect("a list");
        assert_eq!(told.len(), targets.len());
        for (told, target) in told.iter().zip(&targets) {
            assert_eq!(told["target"], target.as_str());
            match told.get("error") {
                Some(error) => assert_eq!(&results[target.as_str()]["error"], error),
                None => assert_eq!(results[target.as_str()], told),
            }
        }
    }
}

#[test]
fn what_is_mended_in_a_room_is_broken_off_and_gone_on_with_like_any_other_run() {
    let (_silent, mut targets) = room();
    targets.reverse();
    let named: Vec<String> = targets.iter().map(|it| format!("--target {it}")).collect();
    let fix = "doctor --fix --max-fail 1 --format json --timeout 1";
    let place = Place::new();
    for which in [&named.join(" "), "--limit failed"] {
        let told = place.dwenv(&format!("{fix} {which}")).ended(3).out;
        let document: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(document["ready"], false);
        let told = document["targets"].as_array().expect("a list");
        assert_eq!(told.len(), targets.len(), "{which}");
        assert_eq!(told[0]["doctor"]["ready"], false);
        for told in &told[1..] {
            assert_eq!(
                told["error"]["message"],
                "not tried: 1 of the other boxes had failed (--max-fail 1)"
            );
        }
    }
}

/// Nothing else is told of a run whose result is shared.
#[test]
fn a_result_that_is_shared_is_whole() {
    let (_silent, targets) = room();
    for count in [1, 2] {
        let named = targets.iter().rev().take(count);
        let named: Vec<String> = named.map(|it| format!("--target {it}")).collect();
        let line = format!(
            "doctor --share --format json --timeout 1 {}",
            named.join(" ")
        );
        let told = Place::new().dwenv(&line).ended(3).out;
        let document: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(document["ready"], false);
        let reports = match document.get("targets") {
            None => vec![&document],
            Some(reports) => reports.as_array().expect("a list").iter().collect(),
        };
        assert_eq!(reports.len(), count);
        for report in reports {
            assert!(report["checks"].as_array().is_some_and(|it| !it.is_empty()));
        }
    }
}

/// One box of forty that cannot be tried hides none of the others.
#[test]
fn a_box_whose_key_is_missing_is_one_row_of_the_room() {
    let (_silent, targets) = room();
    let refusing = targets.last().unwrap();
    let port = refusing.rsplit_once(':').unwrap().1;
    let place = Place::new().with(
        "config.toml",
        &format!(
            "[target.keyless]\nhost = \"127.0.0.1\"\nport = {port}\nuser = \"me\"\nidentity = \"keys/none\"\n\n\
             [room]\ntargets = [\"keyless\", \"{refusing}\"]\n"
        ),
    );
    for command in ["doctor", "doctor --fix"] {
        let line = format!("{command} --target room --format json --report junit:room.xml");
        let document = place.dwenv(&line).ended(3).document();
        let boxes = document["targets"].as_array().expect("a list");
        assert_eq!(boxes.len(), 2, "{command}");
        assert!(
            boxes[0].to_string().contains("the private key"),
            "{}",
            boxes[0]
        );
        assert_eq!(place.read("room.xml").matches("<testsuite ").count(), 2);
    }
    // Nothing was touched in the one, and much may have been in the other.
    let ran = place.dwenv("provision --target room --yes").ended(1);
    assert!(ran.out.contains("✗  keyless"), "{ran}");
    assert!(ran.out.contains("?  ssh://me@127.0.0.1"), "{ran}");
    // No time mends that: nobody waits for it.
    let waiting = Place::new().with(
        "config.toml",
        "[target.a]\nhost = \"127.0.0.1\"\nuser = \"me\"\nidentity = \"none\"\n\n\
         [target.b]\nhost = \"127.0.0.1\"\nuser = \"me\"\nidentity = \"none\"\n\n\
         [room]\ntargets = [\"a\", \"b\"]\n",
    );
    let line = "doctor --target room --wait 5s --format ndjson";
    let told = events(&waiting.dwenv(line).ended(3).out);
    let looked_again = told.iter().filter(|(event, _)| event == "step_progress");
    assert_eq!(looked_again.count(), 0);
    // Alone it is a mistake in the declaration.
    let alone = place.dwenv("doctor --target keyless").ended(2);
    assert!(alone.err.contains("the private key"), "{alone}");
}

/// Whoever closes the terminal has not ended well with any box.
#[test]
fn a_run_that_is_killed_leaves_its_boxes_to_limit_failed() {
    let (_silent, targets) = room();
    let place = Place::new();
    let named: Vec<String> = targets.iter().map(|it| format!("--target {it}")).collect();
    let line = format!("doctor --format ndjson --timeout 60 {}", named.join(" "));
    let words: Vec<&str> = line.split(' ').collect();
    let mut run = place
        .command(&words)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let told = std::io::BufReader::new(run.stdout.take().unwrap());
    let begun = std::io::BufRead::lines(told)
        .map_while(Result::ok)
        .find(|line| line.contains("\"box_started\""));
    assert!(begun.is_some());
    run.kill().unwrap();
    run.wait().unwrap();
    let again = place.dwenv("doctor --limit failed --timeout 1 --format json");
    let document = again.ended(3).document();
    assert_eq!(document["targets"].as_array().unwrap().len(), targets.len());
}

#[test]
fn the_room_is_listed_and_what_is_wrong_in_it_is_told_there() {
    let place = Place::new().with(
        "config.toml",
        "[room]\ntargets = [\"ssh://debian@10.20.0.[11-12]\"]\n",
    );
    let listed = place.dwenv("targets --format json").ended(0).document();
    let names: Vec<&str> = listed["targets"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|row| row["name"].as_str())
        .collect();
    assert_eq!(
        names,
        ["ssh://debian@10.20.0.11", "ssh://debian@10.20.0.12"]
    );
    let down = place.dwenv("down --target room").ended(2);
    assert!(
        down.err
            .contains("this command works on one box, and 2 are named"),
        "{down}"
    );

    let place = Place::new().with("config.toml", "[room]\ntargets = [\"nix\"]\n");
    let wrong = place.dwenv("doctor --target room").ended(2);
    assert!(
        wrong
            .err
            .contains("`[room]` in config.toml: there is no target `nix`"),
        "{wrong}"
    );
    // It hides nothing else that there is.
    let listed = place.dwenv("targets").ended(0);
    assert!(
        listed.out.contains("unknown: `[room]` in config.toml"),
        "{listed}"
    );
    let none = Place::new().dwenv("doctor --target room").ended(2);
    assert!(none.err.contains("`[room]` with `targets = […]`"), "{none}");
}

/// What could not be written at the end of a long run is told before it.
#[test]
fn files_that_cannot_be_written_are_told_before_anything_is_asked() {
    let (_silent, targets) = room();
    let place = Place::new();
    for option in ["--save none/facts.json", "--report json:none/report.json"] {
        let line = format!("doctor {option} --target {}", targets.last().unwrap());
        let ran = place.dwenv(&line).ended(2);
        assert!(ran.err.contains("cannot be written"), "{ran}");
        assert_eq!(ran.out, "");
    }
    // Both are files of the folder that `-C` names, and what is there is not lost before there is something better.
    let line = format!(
        "-C folder doctor --save facts.json --report json:report.json --target {}",
        targets.last().unwrap()
    );
    let mut command = place.command(&line.split(' ').collect::<Vec<_>>());
    command.current_dir(place.folder().parent().unwrap());
    place.ran(command).ended(3);
    for file in ["facts.json", "report.json"] {
        assert!(place.read(file).contains("schema_version"), "{file}");
    }
}
