//! Connections from the laptop to the box's services, by each way there is.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::probe::Service;
use super::record::Record;
use super::services;
use crate::target::Reach;

/// A service behind a working way answers at once; a packet that nobody answers is lost for good.
const DEADLINE: Duration = Duration::from_secs(4);

/// PostgreSQL's question whether TLS is spoken: a length, then the request's code. Any server answers it
/// with one byte, before it wants to know who is there.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// One way from the laptop, and how trying it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// `HOST:PORT` as the laptop connects to it.
    pub address: String,
    /// `None`: the service answered. Otherwise what went wrong.
    pub failure: Option<String>,
}

/// Tries every way to `port` of the box; the record is a list of [`Way`]s.
pub async fn ask(ways: &[Reach], port: u16, service: Service) -> Record {
    let addresses = ways.iter().filter_map(|way| address(way, port));
    let tried = futures_util::future::join_all(addresses.map(|address| async move {
        let asking = tokio::time::timeout(DEADLINE, connect(&address, service));
        let failure = match asking.await {
            Ok(Ok(())) => None,
            Ok(Err(reason)) => Some(reason),
            Err(_) => Some(format!("no answer within {} s", DEADLINE.as_secs())),
        };
        Way { address, failure }
    }))
    .await;
    match serde_json::to_string(&tried) {
        Ok(json) => Record::done(json),
        Err(error) => Record::refused(error.to_string()),
    }
}

fn address(way: &Reach, port: u16) -> Option<String> {
    match way {
        Reach::Address(host) if host.contains(':') => Some(format!("[{host}]:{port}")),
        Reach::Address(host) => Some(format!("{host}:{port}")),
        Reach::Forwarded(ports) => ports
            .iter()
            .find(|(guest, _)| *guest == port)
            .map(|(_, host)| format!("127.0.0.1:{host}")),
    }
}

async fn connect(address: &str, service: Service) -> Result<(), String> {
    let stream = TcpStream::connect(address)
        .await
        .map_err(|error| error.to_string())?;
    match service {
        // Any HTTP answer will do: whether it is the right one is another check's matter.
        Service::Http => services::get_root(stream, address)
            .await
            .map(drop)
            .map_err(|error| error.to_string()),
        Service::Postgres => ask_postgres(stream)
            .await
            .map_err(|error| error.to_string()),
    }
}

async fn ask_postgres(mut stream: TcpStream) -> std::io::Result<()> {
    stream.write_all(&SSL_REQUEST).await?;
    let mut answer = [0];
    match stream.read(&mut answer).await? {
        0 => Err(std::io::Error::other(
            "the connection was closed without an answer",
        )),
        _ => Ok(()),
    }
}
