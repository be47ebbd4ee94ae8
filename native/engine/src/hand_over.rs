//! Several engines that share the traffic: a packet that came to the wrong one is handed over.

/// How often a packet was handed over, and what for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Turn {
    /// Not at all: the kernel chose this engine.
    #[default]
    Chosen,
    /// As what may be a reply of a masqueraded server: this engine keeps the receiver's connections.
    Reply,
    /// For the last time: this engine keeps the sender's connections, and judges.
    Last,
}

/// Which engine a packet is handed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandOver {
    /// Its number, from 0.
    pub engine: u32,
    /// What it is handed over for.
    pub turn: Turn,
}
