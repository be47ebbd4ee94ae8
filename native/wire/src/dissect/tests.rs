//! Frames from literal octets.
