//! Records on a TCP stream.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::cause::{Cause, Failure};
use crate::payload::Direction;
use crate::record::{Record, body_length};

/// A stream with its buffers. Without a stall limit it waits for ever.
#[derive(Debug)]
pub(crate) struct RecordStream {
    stream: TcpStream,
    stall: Option<Duration>,
    arrived: Vec<u8>,
    leaving: Vec<u8>,
}

impl RecordStream {
    /// Takes the stream over. `stall`: longest time without a single byte of progress.
    pub(crate) fn new(stream: TcpStream, stall: Option<Duration>) -> Self {
        Self { stream, stall, arrived: Vec::new(), leaving: Vec::new() }
    }

    /// Sends one record.
    pub(crate) async fn send(
        &mut self,
        record: &Record,
        direction: Direction,
    ) -> Result<(), Failure> {
        record.frame_into(direction, &mut self.leaving);
        let mut rest = self.leaving.as_slice();
        while !rest.is_empty() {
            let written = within(self.stall, self.stream.write(rest)).await?;
            rest = rest.get(written..).unwrap_or(&[]);
        }
        Ok(())
    }

    /// Receives and checks one record; nothing when the peer closed between records.
    pub(crate) async fn receive(
        &mut self,
        direction: Direction,
    ) -> Result<Option<Record>, Failure> {
        loop {
            if let Some((prefix, rest)) = self.arrived.split_first_chunk::<4>() {
                let length = body_length(*prefix)?;
                if let Some(body) = rest.get(..length) {
                    let record = Record::parse(body, direction)?;
                    self.arrived.drain(..4 + length);
                    return Ok(Some(record));
                }
            }
            if within(self.stall, self.stream.read_buf(&mut self.arrived)).await? == 0 {
                if self.arrived.is_empty() {
                    return Ok(None);
                }
                return Err(Failure::new(Cause::Eof, "closed within a record"));
            }
        }
    }

    /// Waits while nothing is due from the peer; ends when something comes all the same, if only
    /// the end of the stream. Cancel-safe.
    pub(crate) async fn disturbance(&mut self) -> Failure {
        loop {
            if let Err(error) = self.stream.readable().await {
                return Failure::from_io(&error);
            }
            match self.stream.try_read_buf(&mut self.arrived) {
                Ok(0) => return Failure::new(Cause::Eof, "closed while nothing was due"),
                Ok(_) => return Failure::new(Cause::Corrupt, "a record that nobody asked for"),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Failure::from_io(&error),
            }
        }
    }

    /// Ends our half, then waits for the peer to end the other.
    pub(crate) async fn close(mut self, direction: Direction) -> Result<(), Failure> {
        within(self.stall, self.stream.shutdown()).await?;
        self.expect_end(direction).await
    }

    /// Waits for the peer to end its half.
    pub(crate) async fn expect_end(&mut self, direction: Direction) -> Result<(), Failure> {
        match self.receive(direction).await? {
            None => Ok(()),
            Some(record) => {
                let detail = format!("record {} after the last one", record.sequence);
                Err(Failure::new(Cause::Corrupt, detail))
            }
        }
    }

    /// Makes the closing a reset.
    pub(crate) fn close_with_reset(&self) -> Result<(), Failure> {
        self.stream.set_zero_linger().map_err(|error| Failure::from_io(&error))
    }
}

async fn within<T>(
    limit: Option<Duration>,
    action: impl Future<Output = std::io::Result<T>>,
) -> Result<T, Failure> {
    let done = match limit {
        None => action.await,
        Some(limit) => timeout(limit, action).await.map_err(|_| {
            Failure::new(Cause::Timeout, format!("no progress for {} ms", limit.as_millis()))
        })?,
    };
    done.map_err(|error| Failure::from_io(&error))
}
