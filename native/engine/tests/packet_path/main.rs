//! The whole engine: frames in, verdicts and frames out.

mod any_frame;
mod calls;
#[path = "../reference/crc32c.rs"]
mod crc32c;
mod defence;
mod direct_routing;
mod fast_path;
mod fast_path_opening;
mod fragment_mixture;
mod fragments;
mod icmp;
mod lab;
mod masquerade;
mod masquerade_alike;
mod masquerade_rules;
mod neighbours;
mod no_allocation;
mod offload;
mod onward;
mod opening;
mod own_tunnel;
mod persistence;
mod ranges;
mod reading;
mod refusals;
mod reset;
mod schedulers;
mod tunnel;
mod tunnel_outside;
