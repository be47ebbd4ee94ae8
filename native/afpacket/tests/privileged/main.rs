//! Against the real kernel, in network namespaces of their own. They need root, or
//! `unshare --user --map-root-user --net`, and `ip` of iproute2.
//!
//! Those of the fast path need root: the kernel counts no right of a user namespace there, and that
//! is no failure unless `L4_REQUIRE_PRIVILEGED=1`.
//!
//! Where they cannot run, each says so on standard error and why; with `CI=true` or
//! `L4_REQUIRE_PRIVILEGED=1` in the environment that is a failure.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod admission;
mod capture;
mod clsact;
mod fanout;
mod fast_host;
mod fast_path;
mod fast_tcp;
mod filter;
mod forward;
mod frames;
mod guard;
mod lab;
mod netlink;
mod ring;
mod vlan;
