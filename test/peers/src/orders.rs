//! What a running flow must obey: finish, or finish if on a named server.

use std::collections::BTreeSet;

use tokio::sync::watch;

/// Orders given so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Orders {
    /// Every flow is to end.
    pub(crate) finish: bool,
    closing: BTreeSet<String>,
}

impl Orders {
    /// Whether a flow on this server (none known yet: `None`) is to end now.
    pub(crate) fn end(&self, server: Option<&str>) -> bool {
        self.finish || server.is_some_and(|server| self.closing.contains(server))
    }
}

/// Gives the orders.
#[derive(Debug)]
pub(crate) struct Chief {
    orders: watch::Sender<Orders>,
}

impl Chief {
    /// No orders yet.
    pub(crate) fn new() -> Self {
        Self { orders: watch::Sender::new(Orders::default()) }
    }

    /// A view for one flow.
    pub(crate) fn listen(&self) -> watch::Receiver<Orders> {
        self.orders.subscribe()
    }

    /// Every flow ends in good order.
    pub(crate) fn finish(&self) {
        self.orders.send_modify(|orders| orders.finish = true);
    }

    /// The flows that are on this server, or come up on it later, end in good order.
    pub(crate) fn close_server(&self, name: String) {
        self.orders.send_modify(|orders| {
            orders.closing.insert(name);
        });
    }
}
