//! Ports of the laptop, and what servers on the network say of its clock and certificates.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OnceCell;

use super::super::record::Record;
use super::json;
use crate::date::seconds_since_1970;

/// A port of the laptop itself answers, or refuses, at once.
const AT_ONCE: Duration = Duration::from_millis(150);
/// How long a server on the network may take.
const SERVER: Duration = Duration::from_secs(5);

/// How one attempt at a port ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tried {
    /// Connected, or bound.
    Done,
    InUse,
    Refused,
    TimedOut,
    Denied,
    /// The laptop has no such address: IPv6 is off.
    NoAddress,
    Failed(String),
}

/// One port of the laptop by one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortTried {
    pub port: u16,
    pub address: IpAddr,
    pub connect: Tried,
    pub bind: Tried,
}

/// Connects first, as Vagrant does, then binds: a listener may answer nobody, and on some systems a port
/// can be bound beside the one who has it.
pub async fn try_ports(ports: &[u16]) -> Vec<PortTried> {
    let addresses = [
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ];
    let pairs = ports
        .iter()
        .flat_map(|port| addresses.map(|address| (*port, address)));
    futures_util::future::join_all(pairs.map(|(port, address)| async move {
        let socket = SocketAddr::new(address, port);
        let connect = match tokio::time::timeout(AT_ONCE, TcpStream::connect(socket)).await {
            Ok(connected) => ended(connected.map(drop)),
            Err(_) => Tried::TimedOut,
        };
        PortTried {
            port,
            address,
            connect,
            bind: ended(TcpListener::bind(socket).await.map(drop)),
        }
    }))
    .await
}

fn ended(attempt: io::Result<()>) -> Tried {
    match attempt {
        Ok(()) => Tried::Done,
        Err(error) => match error.kind() {
            ErrorKind::AddrInUse => Tried::InUse,
            ErrorKind::ConnectionRefused => Tried::Refused,
            ErrorKind::TimedOut => Tried::TimedOut,
            ErrorKind::PermissionDenied => Tried::Denied,
            ErrorKind::AddrNotAvailable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::HostUnreachable
            | ErrorKind::Unsupported => Tried::NoAddress,
            _ => Tried::Failed(error.to_string()),
        },
    }
}

/// The date in a server's answer, and the laptop's clock at that moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebDate {
    /// As HTTP writes it. `None`: no server answered.
    pub date: Option<String>,
    /// In seconds since 1970 (UTC).
    pub local: u64,
}

/// Asks without TLS, which would refuse a clock that is wrong.
pub async fn web_date(address: &str) -> Record {
    let answer = async {
        let answer = client().await.ok()?.head(address).send().await.ok()?;
        let date = answer.headers().get("date")?.to_str().ok()?;
        Some(date.to_owned())
    };
    json(&WebDate {
        date: answer.await,
        local: seconds_since_1970(),
    })
}

/// Who asks all servers. It reads every certificate that this computer trusts, which takes a processor a tenth of a
/// second: the other probes do not wait for that.
async fn client() -> reqwest::Result<&'static reqwest::Client> {
    static CLIENT: OnceCell<reqwest::Client> = OnceCell::const_new();
    let build = || {
        reqwest::Client::builder()
            .timeout(SERVER)
            .redirect(reqwest::redirect::Policy::none())
            .tls_info(true)
            // A link that is kept would outlive the runtime that it belongs to.
            .pool_max_idle_per_host(0)
            .build()
    };
    CLIENT
        .get_or_try_init(|| async {
            let built = tokio::task::spawn_blocking(build).await;
            built.expect("reqwest's builder gives its errors back")
        })
        .await
}

/// A server's certificate, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vouched {
    pub host: String,
    /// The certificate as it came, base64 of DER.
    pub certificate: Option<String>,
    /// What went wrong, with its causes.
    pub failure: Option<String>,
}

pub async fn vouched(hosts: &[&str]) -> Vec<Vouched> {
    futures_util::future::join_all(hosts.iter().map(|host| async move {
        let (certificate, failure) = match certificate(host).await {
            Ok(certificate) => (certificate, None),
            Err(error) => (None, Some(causes(&error))),
        };
        Vouched {
            host: (*host).to_owned(),
            certificate,
            failure,
        }
    }))
    .await
}

async fn certificate(host: &str) -> reqwest::Result<Option<String>> {
    let address = format!("https://{host}/");
    let answer = client().await?.head(address).send().await?;
    let info = answer.extensions().get::<reqwest::tls::TlsInfo>();
    let certificate = info.and_then(reqwest::tls::TlsInfo::peer_certificate);
    Ok(certificate.map(|der| BASE64_STANDARD.encode(der)))
}

/// An error and everything under it: TLS libraries tell the reason last.
fn causes(error: &dyn std::error::Error) -> String {
    let mut said = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        said.push(error.to_string());
        cause = error.source();
    }
    said.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_free_port_is_told_apart_from_one_that_somebody_has() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = taken.local_addr().unwrap().port();
        let of_ipv4 = |tried: Vec<PortTried>| tried.into_iter().next().unwrap();
        let seen = of_ipv4(try_ports(&[port]).await);
        assert_eq!((seen.connect, seen.bind), (Tried::Done, Tried::InUse));
        drop(taken);
        let seen = of_ipv4(try_ports(&[port]).await);
        assert_eq!((seen.connect, seen.bind), (Tried::Refused, Tried::Done));
    }
}
