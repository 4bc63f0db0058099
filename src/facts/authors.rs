//! What an author wants to know of the box's services: a query, and a web page.

use serde::{Deserialize, Serialize};

use super::record::Record;
use super::services::{beginning, json_record, login_as, refused, send_get, unanswered};
use crate::error::Result;
use crate::transport::{Transport, Tunnel};
use crate::workshop::authors::{Address, SqlLogin};

/// What a query gave: enough to judge it, and no more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    pub rows: u64,
    /// The first column of the first row; `None` where there is no row, or nothing in it.
    pub first: Option<String>,
}

/// How much of a first value is kept.
const LONGEST_VALUE: usize = 1000;

/// A query as the workshop's role, which may change nothing; the record is [`Rows`].
pub async fn sql_query(transport: &dyn Transport, login: &SqlLogin, query: &str) -> Record {
    let tunnel = match transport.open_tcp("127.0.0.1", login.port).await {
        Ok(tunnel) => tunnel,
        Err(error) => return unanswered(&error),
    };
    let mut config = login_as(&login.role, &login.database, &login.password);
    config.options("-c default_transaction_read_only=on");
    let (client, connection) = match config.connect_raw(tunnel, tokio_postgres::NoTls).await {
        Ok(connected) => connected,
        Err(error) => return refused(&error),
    };
    let asking = async {
        let mut found = Rows::default();
        for message in client.simple_query(query).await? {
            if let tokio_postgres::SimpleQueryMessage::Row(row) = message {
                if found.rows == 0 && !row.is_empty() {
                    let kept = |text: &str| text.chars().take(LONGEST_VALUE).collect();
                    found.first = row.get(0).map(kept);
                }
                found.rows += 1;
            }
        }
        Ok(found)
    };
    // The connection moves what the query sends and gets; it ends when it is dropped with this function.
    tokio::select! {
        found = asking => match found {
            Ok(found) => json_record(&found),
            Err(error) => refused(&error),
        },
        ended = connection => match ended {
            Ok(()) => Record::refused("PostgreSQL closed the connection"),
            Err(error) => refused(&error),
        },
    }
}

/// A web page's status and the beginning of its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    pub status: u16,
    pub body: String,
}

impl Page {
    /// How many bytes of a text are kept to be judged.
    pub const KEPT: usize = 64 * 1024;

    pub(super) fn new(status: u16, body: &[u8]) -> Self {
        let kept = &body[..body.len().min(Self::KEPT)];
        Self {
            status,
            body: String::from_utf8_lossy(kept).into_owned(),
        }
    }
}

/// `GET` of any address as the box sees it; the record is a [`Page`].
pub async fn http_text(transport: &dyn Transport, address: &Address) -> Record {
    let tunnel = match transport.open_tcp(&address.host, address.port).await {
        Ok(tunnel) => tunnel,
        Err(error) => return unanswered(&error),
    };
    match get_page(tunnel, address).await {
        Ok(page) => json_record(&page),
        Err(error) => Record::refused(error.to_string()),
    }
}

async fn get_page(tunnel: Tunnel, address: &Address) -> Result<Page> {
    let host = if address.host.contains(':') {
        format!("[{}]:{}", address.host, address.port)
    } else {
        format!("{}:{}", address.host, address.port)
    };
    let response = send_get(tunnel, &address.path, &host).await?;
    let status = response.status().as_u16();
    let body = beginning(response.into_body()).await?;
    Ok(Page::new(status, &body))
}
