//! Plays a capture through an offline director, at the times the frames were captured.

use std::io::{self, Write};
use std::time::Duration;

use engine::frame::{FrameMeta, InterfaceId};
use thiserror::Error;

use super::{OfflineDirector, OfflineFrame};
use crate::port::{PcapError, PcapReader, PcapWriter};

/// Why a replay ended early. What was played before stays played.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// The capture cannot be read on.
    #[error("frame {frame}: {source}")]
    Capture {
        /// The frame, from 0.
        frame: u64,
        /// What is wrong with it.
        source: PcapError,
    },
    /// What leaves cannot be written.
    #[error("the capture of what leaves cannot be written: {0}")]
    Output(#[from] io::Error),
}

impl OfflineDirector {
    /// Plays all frames of `capture` as if they came by `interface`, letting as much time pass in
    /// between as when they were captured (none where a capture goes back in time), and writes the
    /// frames that leave to `output`, on the clock of the capture. What became of them is in
    /// [`Self::statistics`] and [`Self::take_events`]. Returns how many frames were played.
    ///
    /// # Errors
    /// When the capture is damaged or `output` fails.
    pub fn replay<W: Write>(
        &mut self,
        capture: PcapReader<'_>,
        interface: InterfaceId,
        output: &mut PcapWriter<W>,
    ) -> Result<u64, ReplayError> {
        let meta = FrameMeta::plain(interface);
        let (mut played, mut before) = (0, None);
        for frame in capture {
            let frame = frame.map_err(|source| ReplayError::Capture { frame: played, source })?;
            let passed = frame.time.saturating_sub(before.unwrap_or(frame.time));
            before = Some(frame.time);
            self.advance(passed);
            let result = self.process(frame.octets, &meta);
            write(output, frame.time, &self.take_released())?;
            write(output, frame.time, &result.frames)?;
            played += 1;
        }
        Ok(played)
    }
}

fn write<W: Write>(
    output: &mut PcapWriter<W>,
    time: Duration,
    frames: &[OfflineFrame],
) -> io::Result<()> {
    frames.iter().try_for_each(|frame| output.write(time, &frame.frame))
}
