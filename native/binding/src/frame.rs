//! Frames in, verdicts and frames out.

use director::offline::{OfflineFrame, OfflineResult};
use engine::frame::{ChecksumState, FrameMeta, InterfaceId, Segmentation};
use napi::bindgen_prelude::Buffer;
use napi_derive::napi;

/// What is known of a frame beside its octets.
#[napi(object)]
#[derive(Clone, Copy, Debug)]
pub struct BindingFrameMeta {
    /// Interface it came in by; 1 when absent.
    pub interface: Option<u32>,
    /// VLAN tag control information taken out of it.
    pub vlan: Option<u16>,
    /// Whether the layer-4 checksum covers the pseudo-header only.
    pub checksum_partial: Option<bool>,
    /// Segmentation still to be done.
    pub segmentation: Option<BindingSegmentation>,
}

/// Segmentation still to be done.
#[napi(object)]
#[derive(Clone, Copy, Debug)]
pub struct BindingSegmentation {
    /// Payload octets of each segment.
    pub segment_size: u16,
    /// Octets of all headers.
    pub header_length: u16,
}

/// What became of a frame.
#[napi(object, object_from_js = false)]
#[expect(missing_debug_implementations, reason = "a Buffer has no Debug")]
pub struct BindingResult {
    /// `forward`, `return`, `hold`, `reply`, `pass` or `drop`.
    pub verdict: &'static str,
    /// Why, for `reply`, `pass` and `drop`.
    pub reason: Option<&'static str>,
    /// The server, for `forward` and `return`.
    pub server: Option<BindingServerPlace>,
    /// What leaves.
    pub frames: Vec<BindingOutgoingFrame>,
    /// Whether a frame waits for its neighbour.
    pub waiting: bool,
}

/// Where a real server is.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
pub struct BindingServerPlace {
    /// Number.
    pub id: u32,
    /// Address.
    pub address: String,
    /// Port.
    pub port: u16,
}

/// A frame that leaves.
#[napi(object, object_from_js = false)]
#[expect(missing_debug_implementations, reason = "a Buffer has no Debug")]
pub struct BindingOutgoingFrame {
    /// The octets.
    pub frame: Buffer,
    /// Interface it leaves by.
    pub interface: u32,
    /// VLAN tag control information that goes in on sending.
    pub vlan: Option<u16>,
}

impl BindingFrameMeta {
    /// What it says of `frame`.
    pub(crate) fn of(self, frame: &[u8]) -> FrameMeta {
        let partial = self.checksum_partial.unwrap_or(false);
        FrameMeta {
            interface: InterfaceId(self.interface.unwrap_or(1)),
            vlan: self.vlan,
            checksum: match partial {
                true => ChecksumState::left_to_device(frame),
                false => ChecksumState::Complete,
            },
            segmentation: self.segmentation.map(Into::into),
        }
    }
}

impl From<BindingSegmentation> for Segmentation {
    fn from(segmentation: BindingSegmentation) -> Self {
        let BindingSegmentation { segment_size, header_length } = segmentation;
        Self { segment_size, header_length }
    }
}

impl From<OfflineResult> for BindingResult {
    fn from(result: OfflineResult) -> Self {
        Self {
            verdict: result.verdict,
            reason: result.reason,
            server: result.server.map(|server| BindingServerPlace {
                id: server.id.0,
                address: server.address.to_string(),
                port: server.port,
            }),
            frames: result.frames.into_iter().map(Into::into).collect(),
            waiting: result.waiting,
        }
    }
}

impl From<OfflineFrame> for BindingOutgoingFrame {
    fn from(frame: OfflineFrame) -> Self {
        Self { frame: frame.frame.into(), interface: frame.interface, vlan: frame.vlan }
    }
}
