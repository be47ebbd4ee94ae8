//! Runs the programs against each other on loopback, as their driver does.

mod bulk_and_udp;
mod lab;
mod sctp;
mod tcp;
