//! Asks every probe at once, each with its own deadline, and gathers the records.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::frames::{Frame, FrameParser};
use super::probe::{Probe, Question};
use super::program;
use super::record::{Record, RecordStatus, Records};
use super::{authors, reach, services};
use crate::error::Result;
use crate::target::Reach;
use crate::transport::Transport;

/// After this long the report is made from what has come, where nobody says otherwise.
pub const TOTAL_DEADLINE: Duration = Duration::from_secs(30);

/// Exit statuses of timeout(1) and sh that say why nothing was answered.
const STATUS_TIMED_OUT: i32 = 124;
const STATUS_KILLED: i32 = 137;
const STATUS_NOT_EXECUTABLE: i32 = 126;
const STATUS_NOT_FOUND: i32 = 127;

/// Everything that is asked over one connection: all shell probes in one exec, the services beside it. What
/// has not come by `until` is not waited for.
pub async fn over(
    transport: Arc<dyn Transport>,
    probes: &[Probe],
    ways: &[Reach],
    until: Instant,
) -> Records {
    let mut records = Records {
        taken_at: seconds_since_1970(),
        ..Records::default()
    };
    let shell = ask_shell(transport.as_ref(), probes, until);
    let others = probes
        .iter()
        .filter_map(|probe| ask_service(&transport, probe, ways, until));
    let (shell, others) = tokio::join!(shell, futures_util::future::join_all(others));
    records.taken_at = shell.taken_at.unwrap_or(records.taken_at);
    for (id, record) in shell.records.into_iter().chain(others) {
        records.insert(id, record);
    }
    records
}

fn ask_service<'a>(
    transport: &Arc<dyn Transport>,
    probe: &'a Probe,
    ways: &'a [Reach],
    until: Instant,
) -> Option<futures_util::future::BoxFuture<'a, (String, Record)>> {
    let transport = transport.clone();
    let id = probe.id.as_ref();
    let deadline = probe.deadline.min(left(until));
    Some(match &probe.question {
        Question::Docker => Box::pin(timed(id, deadline, services::docker(transport))),
        Question::SqlLogin {
            port,
            role,
            database,
            password,
        } => Box::pin(timed(id, deadline, async move {
            services::sql_login(transport.as_ref(), *port, role, database, password).await
        })),
        Question::Http { port } => Box::pin(timed(id, deadline, async move {
            services::http(transport.as_ref(), *port).await
        })),
        Question::Sql { login, query } => Box::pin(timed(id, deadline, async move {
            authors::sql_query(transport.as_ref(), login, query).await
        })),
        Question::HttpText(address) => Box::pin(timed(id, deadline, async move {
            authors::http_text(transport.as_ref(), address).await
        })),
        Question::Reach { port, service } => {
            Box::pin(timed(id, deadline, reach::ask(ways, *port, *service)))
        }
        Question::Login(_) | Question::Root(_) | Question::Laptop(_) | Question::Here(_) => {
            return None;
        }
    })
}

/// How long there is until then.
#[must_use]
pub fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
}

/// Runs one probe within its deadline, and notes how long it took.
pub async fn timed(
    id: &str,
    deadline: Duration,
    asking: impl Future<Output = Record>,
) -> (String, Record) {
    let began = Instant::now();
    let mut record = tokio::time::timeout(deadline, asking)
        .await
        .unwrap_or_else(|_| Record::timed_out());
    record.duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    (id.to_owned(), record)
}

#[derive(Default)]
struct ShellAnswers {
    records: Vec<(String, Record)>,
    /// The laptop's clock when the box's came.
    taken_at: Option<u64>,
}

async fn ask_shell(transport: &dyn Transport, probes: &[Probe], until: Instant) -> ShellAnswers {
    let deadline = left(until);
    let mut answers = ShellAnswers::default();
    let asked = run_probing(transport, probes, &mut answers);
    let failure = match tokio::time::timeout(deadline, asked).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!(
            "the box did not answer within {} s",
            deadline.as_secs_f64().ceil()
        )),
    };
    let elevated = answers
        .records
        .iter()
        .any(|(id, record)| id == program::ELEVATED && record.output == "yes");
    let overdue = answers.records.iter().any(|(id, _)| id == program::OVERDUE);
    let noise = answers
        .records
        .iter()
        .find(|(id, _)| id == program::NOISE)
        .map(|(_, record)| record.output.trim().to_owned())
        .unwrap_or_default();
    for probe in probes {
        let came = answers.records.iter().any(|(id, _)| *id == probe.id);
        let record = match (&probe.question, &failure) {
            _ if came => continue,
            (Question::Root(_), None) if !elevated => {
                Record::refused(format!("the login user cannot become root: {noise}"))
            }
            (Question::Root(_) | Question::Login(_), Some(failure)) => {
                Record::refused(failure.clone())
            }
            (Question::Root(_) | Question::Login(_), None) if overdue => Record::timed_out(),
            (Question::Root(_) | Question::Login(_), None) => {
                Record::refused("the box gave no answer")
            }
            _ => continue,
        };
        answers
            .records
            .push((probe.id.clone().into_owned(), record));
    }
    answers
}

async fn run_probing(
    transport: &dyn Transport,
    probes: &[Probe],
    answers: &mut ShellAnswers,
) -> Result<()> {
    let mark = mark();
    let program = program::probing(probes, &mark);
    let mut exec = transport.exec(&program.command).await?;
    let mut parser = FrameParser::new(&mark);
    let mut noise = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    let write = async {
        // A box that ends early closes its stdin; what it answered is judged all the same.
        let _ = exec.stdin.write_all(&program.stdin).await;
        let _ = exec.stdin.shutdown().await;
    };
    let read = async {
        while let Ok(count @ 1..) = exec.stdout.read(&mut buffer).await {
            for frame in parser.push(&buffer[..count]) {
                if frame.id == "clock" {
                    answers.taken_at = Some(seconds_since_1970());
                }
                answers.records.push(record_of(frame));
            }
        }
    };
    let hear_noise = read_limited(&mut exec.stderr, &mut noise);
    tokio::join!(write, read, hear_noise);
    let noise = String::from_utf8_lossy(&noise).into_owned();
    answers
        .records
        .push((program::NOISE.to_owned(), Record::done(noise)));
    Ok(())
}

/// Reads to the end, keeping only the beginning: a noisy shell may say megabytes.
async fn read_limited(stream: &mut tokio::io::DuplexStream, kept: &mut Vec<u8>) {
    const KEPT: usize = 8 * 1024;
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        let room = KEPT.saturating_sub(kept.len()).min(count);
        kept.extend_from_slice(&buffer[..room]);
    }
}

fn record_of(frame: Frame) -> (String, Record) {
    let output = String::from_utf8_lossy(&frame.body).into_owned();
    let status = match frame.status {
        STATUS_TIMED_OUT | STATUS_KILLED => RecordStatus::TimedOut,
        STATUS_NOT_EXECUTABLE => RecordStatus::Refused(output.clone()),
        STATUS_NOT_FOUND => RecordStatus::Missing,
        status => RecordStatus::Done(status),
    };
    let record = Record {
        status,
        output,
        duration_ms: frame.millis,
    };
    (frame.id, record)
}

/// A word that nothing on the box prints by chance.
#[must_use]
pub fn mark() -> String {
    use std::hash::{BuildHasher, RandomState};
    let random = RandomState::new().hash_one(seconds_since_1970());
    format!("dwenv-{random:016x}")
}

#[must_use]
pub fn seconds_since_1970() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::facts::Fact;
    use crate::resources::postgres::facts::RoleLogin;
    use crate::transport::fake::{Answer, FakeBox};
    use crate::workshop::Workshop;

    /// A client over a tunnel knows no deadline of its own, so the probe's has to end it.
    #[tokio::test]
    async fn a_login_to_a_stranger_that_says_nothing_ends_before_other_probes_and_is_tried_once() {
        let strangers = Arc::new(Mutex::new(Vec::new()));
        let kept = strangers.clone();
        let transport = FakeBox::new(|_, _| Answer::ok("")).tunnels(move |_| {
            let (ours, theirs) = tokio::io::duplex(1024);
            kept.lock().unwrap().push(theirs);
            Ok(ours)
        });
        let mut probes = RoleLogin::probes(&Workshop::builtin().unwrap());
        let usual = Probe::new("usual", Question::Docker).deadline;
        assert!(probes[0].deadline < usual);
        probes[0].deadline = Duration::from_millis(1);
        let records = over(Arc::new(transport), &probes, &[]).await;
        let login = records.get(RoleLogin::PROBE).unwrap();
        assert_eq!(login.status, RecordStatus::TimedOut);
        assert_eq!(strangers.lock().unwrap().len(), 1);
    }
}
