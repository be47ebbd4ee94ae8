//! The `ipvsadm` command of a director: the command line, messages, exit codes and listings of
//! ipvsadm 1.31, over a director's control socket.
//!
//! Rooms: [`command_line`] reads words, [`request`] turns them into engine commands, [`client`] asks
//! the director, [`table`] is what it answers, [`listing`] prints that; [`run`] joins them.
#![forbid(unsafe_code)]

pub mod client;
pub mod command_line;
mod extras;
pub mod listing;
pub mod names;
pub mod refusal;
pub mod request;
mod restore;
mod session;
pub mod table;

pub use session::run;
