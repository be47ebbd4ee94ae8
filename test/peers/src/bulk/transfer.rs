//! Sending and receiving the content of one bulk stream.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::bulk::content::{CHUNK, Content};
use crate::bulk::order::{Amount, Order, Receipt};
use crate::cause::{Cause, Failure};

/// Sends what the order says, until `stop`, then ends this half. Gives the bytes sent.
pub(crate) async fn send(
    stream: &mut TcpStream,
    order: &Order,
    stall: Duration,
    progress: impl Fn(usize),
    stop: impl Fn() -> bool,
) -> Result<u64, Failure> {
    let mut content = Content::new(order.stream, order.verify);
    let mut buffer = vec![0; CHUNK];
    let began = Instant::now();
    while !stop() {
        let room = match order.amount {
            Amount::Bytes(bytes) => bytes - content.place(),
            Amount::Time(time) if began.elapsed() >= time => 0,
            Amount::Time(_) => u64::MAX,
        };
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(CHUNK);
        if room == 0 {
            break;
        }
        let chunk = buffer.get_mut(..room).unwrap_or(&mut []);
        content.fill(chunk);
        let written = within(stall, stream.write(chunk)).await?;
        content.advance(written);
        progress(written);
    }
    within(stall, stream.shutdown()).await?;
    Ok(content.place())
}

/// Receives and checks to the end of the stream.
pub(crate) async fn receive(
    stream: &mut TcpStream,
    order: &Order,
    stall: Duration,
    progress: impl Fn(usize),
) -> Result<Receipt, Failure> {
    let mut content = Content::new(order.stream, order.verify);
    let mut buffer = vec![0; CHUNK];
    let (mut began, mut corrupt) = (None, false);
    loop {
        let length = within(stall, stream.read(&mut buffer)).await?;
        let began = *began.get_or_insert_with(Instant::now);
        if length == 0 {
            return Ok(Receipt { bytes: content.place(), time: began.elapsed(), corrupt });
        }
        corrupt = corrupt || !content.matches(buffer.get(..length).unwrap_or(&[]));
        content.advance(length);
        progress(length);
    }
}

/// Waits for a step that must make progress within the stall limit.
pub(crate) async fn within<T>(
    stall: Duration,
    step: impl Future<Output = std::io::Result<T>>,
) -> Result<T, Failure> {
    match timeout(stall, step).await {
        Ok(done) => done.map_err(|error| Failure::from_io(&error)),
        Err(_) => {
            let detail = format!("no progress for {} ms", stall.as_millis());
            Err(Failure::new(Cause::Timeout, detail))
        }
    }
}
