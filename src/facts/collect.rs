//! Asks every probe at once, each with its own deadline, and gathers the records.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;

use super::converse::converse;
use super::frames::{Frame, FrameParser};
use super::probe::{Probe, Question};
use super::program;
use super::record::{Record, RecordStatus, Records};
use super::sudo::Sudo;
use super::{authors, docker, reach, server, services};
use crate::date::seconds_since_1970;
use crate::error::Result;
use crate::target::Reach;
use crate::transport::Transport;

/// After this long the report is made from what has come, where nobody says otherwise.
pub const TOTAL_DEADLINE: Duration = Duration::from_secs(30);

/// What is told where sudo asked, and no answer was the right one.
const REFUSED: &str = "sudo: a password is required, and the one that was given is wrong";

/// Exit statuses of timeout(1) and sh that say why nothing was answered.
pub(super) const STATUS_TIMED_OUT: i32 = 124;
const STATUS_KILLED: i32 = 137;
const STATUS_NOT_EXECUTABLE: i32 = 126;
const STATUS_NOT_FOUND: i32 = 127;

/// Everything that is asked over one connection: all shell probes in one exec, the services beside it. What
/// has not come by `until` is not waited for.
pub async fn over(
    transport: Arc<dyn Transport>,
    probes: &[Probe],
    ways: &[Reach],
    sudo: &Sudo,
    until: Instant,
) -> Records {
    let mut records = Records {
        taken_at: seconds_since_1970(),
        ..Records::default()
    };
    let shell = ask_shell(transport.as_ref(), probes, sudo, until);
    // Channels open one after the other: the exec's first, for the box works longest at that, and then whoever has
    // most to say to the box.
    let mut others: Vec<&Probe> = probes.iter().collect();
    others.sort_by_key(|probe| match probe.question {
        Question::SqlLogin { .. } | Question::Sql { .. } => 0,
        Question::Docker { .. } => 1,
        _ => 2,
    });
    let others = others
        .into_iter()
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
        Question::Docker { images } => {
            Box::pin(timed(id, deadline, docker::docker(transport, *images)))
        }
        Question::SqlLogin {
            port,
            role,
            database,
            password,
        } => Box::pin(timed(id, deadline, async move {
            services::sql_login(transport.as_ref(), *port, role, database, password).await
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
        Question::Login(_)
        | Question::Root(_)
        | Question::Http { .. }
        | Question::Laptop(_)
        | Question::Here(_) => return None,
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

async fn ask_shell(
    transport: &dyn Transport,
    probes: &[Probe],
    sudo: &Sudo,
    until: Instant,
) -> ShellAnswers {
    let deadline = left(until);
    let mut answers = ShellAnswers::default();
    let asked = ask_as_root_or_user(transport, probes, sudo, &mut answers);
    let failure = match sudo.within(until, asked).await {
        Some(Ok(())) => None,
        Some(Err(error)) => Some(error.to_string()),
        None => {
            let late = (program::OVERDUE.to_owned(), Record::timed_out());
            answers.records.push(late);
            Some(format!(
                "the box did not answer within {} s",
                deadline.as_secs_f64().ceil()
            ))
        }
    };
    for (id, record) in &mut answers.records {
        let asked = probes.iter().find(|probe| probe.id == *id);
        if asked.is_some_and(|probe| matches!(probe.question, Question::Http { .. })) {
            *record = server::record(std::mem::replace(record, Record::timed_out()));
        }
    }
    let elevated = answers
        .records
        .iter()
        .any(|(id, record)| id == program::ELEVATED && record.output != "no");
    let overdue = answers.records.iter().any(|(id, _)| id == program::OVERDUE);
    let noise = answers
        .records
        .iter()
        .rfind(|(id, _)| id == program::NOISE)
        .map(|(_, record)| record.output.trim().to_owned())
        .unwrap_or_default();
    for probe in probes {
        let came = answers.records.iter().any(|(id, _)| *id == probe.id);
        let record = match (&probe.question, &failure) {
            _ if came => continue,
            (Question::Root(_), None) if !elevated => {
                Record::refused(format!("the login user cannot become root: {noise}"))
            }
            _ if !program::is_fragment(probe) => continue,
            // That somebody refused is an answer to this question, and nobody was asked.
            (Question::Http { .. }, Some(failure)) => Record::failed(failure.clone()),
            (_, Some(failure)) => Record::refused(failure.clone()),
            (_, None) if overdue => Record::timed_out(),
            (Question::Http { .. }, None) => Record::failed("the box gave no answer"),
            (_, None) => Record::refused("the box gave no answer"),
        };
        answers
            .records
            .push((probe.id.clone().into_owned(), record));
    }
    answers
}

/// Asks with root's rights, where sudo's question has an answer; otherwise with those there are.
async fn ask_as_root_or_user(
    transport: &dyn Transport,
    probes: &[Probe],
    sudo: &Sudo,
    answers: &mut ShellAnswers,
) -> Result<()> {
    let may_answer = sudo.may_answer().await;
    let refused = run_probing(transport, probes, sudo, may_answer, answers).await?;
    let Some(refused) = refused else {
        return Ok(());
    };
    sudo.give_up();
    *answers = ShellAnswers::default();
    run_probing(transport, probes, sudo, false, answers).await?;
    answers
        .records
        .extend(refused.map(|said| (program::NOISE.to_owned(), Record::done(said))));
    Ok(())
}

/// Runs the program. What comes back is `Some` where sudo asked and was not content, so nothing ran: with what
/// to say of it, where a password was tried at all.
async fn run_probing(
    transport: &dyn Transport,
    probes: &[Probe],
    sudo: &Sudo,
    asks: bool,
    answers: &mut ShellAnswers,
) -> Result<Option<Option<String>>> {
    let mark = mark();
    let program = program::probing(probes, &mark, asks);
    let mut exec = transport.exec(&program.command).await?;
    let mut parser = FrameParser::new(&mark);
    let mut buffer = vec![0; 16 * 1024];
    let (speaker, listener, beside) = converse(&program, sudo);
    let mut ran = false;
    let read = async {
        // Its end tells the one who writes that nothing more comes.
        let listener = listener;
        while let Ok(count @ 1..) = exec.stdout.read(&mut buffer).await {
            for frame in parser.push(&buffer[..count]) {
                listener.heard(&frame);
                ran |= frame.id == program::ELEVATED;
                if frame.id == "clock" {
                    answers.taken_at = Some(seconds_since_1970());
                }
                answers.records.push(record_of(frame));
            }
        }
    };
    let hear_noise = beside.hear_noise(&mut exec.stderr);
    let (tried, (), noise) = tokio::join!(speaker.speak(&mut exec.stdin), read, hear_noise);
    let refused = asks && !ran;
    let said = refused.then(|| tried.any().then(|| REFUSED.to_owned()));
    answers
        .records
        .push((program::NOISE.to_owned(), Record::done(noise)));
    Ok(said)
}

pub(super) fn record_of(frame: Frame) -> (String, Record) {
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
        let usual = Probe::new("usual", Question::Docker { images: false }).deadline;
        assert!(probes[0].deadline < usual);
        probes[0].deadline = Duration::from_millis(1);
        let records = over(
            Arc::new(transport),
            &probes,
            &[],
            &Sudo::nobody(),
            Instant::now() + TOTAL_DEADLINE,
        )
        .await;
        let login = records.get(RoleLogin::PROBE).unwrap();
        assert_eq!(login.status, RecordStatus::TimedOut);
        assert_eq!(strangers.lock().unwrap().len(), 1);
    }
}
