//! What a bulk client asks of the server, and the receiver's report, as they go over the wire.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cause::{Cause, Failure};

const MAGIC: u32 = 0x4c34_424b;

/// Sent first by the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// The server is to send.
    pub(crate) download: bool,
    /// Content is computed and checked.
    pub(crate) verify: bool,
    /// Number the content is computed from.
    pub(crate) stream: u64,
    pub(crate) amount: Amount,
}

/// How much the sender sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Amount {
    Bytes(u64),
    Time(Duration),
}

/// What the receiver saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) bytes: u64,
    /// From the first byte to the end of the stream.
    pub(crate) time: Duration,
    pub(crate) corrupt: bool,
}

impl Order {
    pub(crate) async fn write(&self, stream: &mut TcpStream) -> std::io::Result<()> {
        let (kind, amount) = match self.amount {
            Amount::Bytes(bytes) => (0, bytes),
            Amount::Time(time) => (1, nanos(time)),
        };
        let flags = [u8::from(self.download), u8::from(self.verify), kind, 0];
        let parts = [&MAGIC.to_be_bytes()[..], &flags, &self.stream.to_be_bytes()];
        stream.write_all(&[&parts.concat()[..], &amount.to_be_bytes()].concat()).await
    }

    pub(crate) async fn read(stream: &mut TcpStream) -> Result<Self, Failure> {
        let order = Self::read_fields(stream).await.map_err(|error| Failure::from_io(&error))?;
        order.ok_or_else(|| Failure::new(Cause::Corrupt, "this is not a bulk client"))
    }

    async fn read_fields(stream: &mut TcpStream) -> std::io::Result<Option<Self>> {
        if stream.read_u32().await? != MAGIC {
            return Ok(None);
        }
        let mut flags = [0; 4];
        stream.read_exact(&mut flags).await?;
        let [download, verify, kind, _] = flags;
        let (number, amount) = (stream.read_u64().await?, stream.read_u64().await?);
        let amount = match kind {
            0 => Amount::Bytes(amount),
            _ => Amount::Time(Duration::from_nanos(amount)),
        };
        let (download, verify) = (download != 0, verify != 0);
        Ok(Some(Self { download, verify, stream: number, amount }))
    }
}

impl Receipt {
    pub(crate) async fn write(&self, stream: &mut TcpStream) -> std::io::Result<()> {
        let head = [self.bytes.to_be_bytes(), nanos(self.time).to_be_bytes()].concat();
        stream.write_all(&[&head[..], &[u8::from(self.corrupt)]].concat()).await
    }

    pub(crate) async fn read(stream: &mut TcpStream) -> std::io::Result<Self> {
        let (bytes, time) = (stream.read_u64().await?, stream.read_u64().await?);
        let corrupt = stream.read_u8().await? != 0;
        Ok(Self { bytes, time: Duration::from_nanos(time), corrupt })
    }
}

pub(crate) async fn write_name(stream: &mut TcpStream, name: &str) -> std::io::Result<()> {
    let name = name.as_bytes();
    let name = name.get(..255).unwrap_or(name);
    let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
    stream.write_all(&[&[length][..], name].concat()).await
}

pub(crate) async fn read_name(stream: &mut TcpStream) -> std::io::Result<String> {
    let length = stream.read_u8().await?;
    let mut name = vec![0; usize::from(length)];
    stream.read_exact(&mut name).await?;
    Ok(String::from_utf8_lossy(&name).into_owned())
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
