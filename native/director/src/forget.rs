//! Forgets removed servers, so that their numbers and memory can be used again.
//!
//! IPVS: removed servers lie in the trash, which is looked through every 60 s; one is freed once
//! nothing refers to it and it has been found so for 120 s.

use std::collections::HashMap;
use std::time::Duration;

use engine::configuration::Configuration;
use engine::hop::ServerId;
use engine::time::Instant;

const SCAN_INTERVAL: Duration = Duration::from_secs(60);
const IDLE_TIME: Duration = Duration::from_secs(120);

/// When removed servers are looked at, and since when each of them is idle.
#[derive(Debug)]
pub(crate) struct Forgetting {
    next: Instant,
    idle_since: HashMap<ServerId, Instant>,
}

impl Forgetting {
    /// Begins at `now`.
    pub(crate) fn new(now: Instant) -> Self {
        Self { next: now + SCAN_INTERVAL, idle_since: HashMap::new() }
    }

    /// When [`Self::handle_timeout`] looks next.
    pub(crate) const fn poll_timeout(&self) -> Instant {
        self.next
    }

    /// Looks through the removed servers if it is time; the configuration without those to be
    /// forgotten, if there are any.
    pub(crate) fn handle_timeout(
        &mut self,
        configuration: &Configuration,
        now: Instant,
    ) -> Option<Configuration> {
        if now < self.next {
            return None;
        }
        self.next = now + SCAN_INTERVAL;
        let before = std::mem::take(&mut self.idle_since);
        let mut ripe = Vec::new();
        for server in configuration.removed_servers().filter(|server| server.load.is_idle()) {
            let since = before.get(&server.id).copied().unwrap_or(now);
            if since + IDLE_TIME <= now {
                ripe.push(server.id);
            } else {
                self.idle_since.insert(server.id, since);
            }
        }
        (!ripe.is_empty()).then(|| configuration.forget(&ripe))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{add_server, add_service, remove_server};

    fn seconds(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1000)
    }

    fn with_removed_server() -> Configuration {
        Configuration::default()
            .apply(&[add_service(80), add_server(80, 11), remove_server(80, 11)])
            .expect("valid commands")
    }

    #[test]
    fn an_idle_server_is_forgotten_by_the_third_look() {
        let configuration = with_removed_server();
        let mut forgetting = Forgetting::new(Instant::ZERO);
        assert!(forgetting.handle_timeout(&configuration, seconds(59)).is_none());
        assert!(forgetting.handle_timeout(&configuration, seconds(60)).is_none());
        assert_eq!(forgetting.poll_timeout(), seconds(120));
        assert!(forgetting.handle_timeout(&configuration, seconds(120)).is_none());
        let next = forgetting.handle_timeout(&configuration, seconds(180)).expect("it is time");
        assert_eq!(next.removed_servers().count(), 0);
        assert_eq!(next.version(), configuration.version());
        assert!(forgetting.handle_timeout(&next, seconds(240)).is_none());
    }

    #[test]
    fn a_server_with_connections_is_remembered() {
        let configuration = with_removed_server();
        let server = configuration.removed_servers().next().expect("one was removed");
        server.load.bind();
        let mut forgetting = Forgetting::new(Instant::ZERO);
        for minute in 1..10 {
            assert!(forgetting.handle_timeout(&configuration, seconds(minute * 60)).is_none());
        }
        server.load.unbind();
        assert!(forgetting.handle_timeout(&configuration, seconds(600)).is_none());
        assert!(forgetting.handle_timeout(&configuration, seconds(660)).is_none());
        assert!(forgetting.handle_timeout(&configuration, seconds(720)).is_some());
    }
}
