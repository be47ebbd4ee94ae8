//! The whole engine: frames in, verdicts and frames out.

mod any_frame;
mod defence;
mod fast_path;
mod fragments;
mod lab;
mod masquerade;
mod masquerade_rules;
mod no_allocation;
mod offload;
mod persistence;
mod ranges;
mod rules;
mod schedulers;
mod tunnel;
