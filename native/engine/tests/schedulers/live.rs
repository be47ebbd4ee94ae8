//! A service on one engine: configuration, state and load.

use super::*;

/// The configuration in force and what its scheduler remembers.
pub(crate) struct Live {
    pub(crate) configuration: Configuration,
    pub(crate) state: State,
    pub(crate) now: Instant,
}

impl Live {
    pub(crate) fn new(scheduler: SchedulerName, weights: &[u32]) -> Self {
        Self::seeded(scheduler, weights, 0)
    }

    pub(crate) fn seeded(scheduler: SchedulerName, weights: &[u32], seed: u64) -> Self {
        let configuration = pool(scheduler, &[], weights);
        let state = State::new(&the_service(&configuration), seed);
        Self { configuration, state, now: Instant::ZERO }
    }

    pub(crate) fn apply(&mut self, command: Command) {
        self.apply_all(&[command]);
    }

    pub(crate) fn apply_all(&mut self, commands: &[Command]) {
        let next = self.configuration.apply(commands).expect("good commands");
        self.state.reconcile(&the_service(&self.configuration), &the_service(&next), 0);
        self.configuration = next;
    }

    pub(crate) fn pick(&mut self) -> Option<usize> {
        self.pick_for(80)
    }

    /// The server of a packet to the virtual address 198.51.`x`.`y`, where `destination` is both.
    pub(crate) fn pick_for(&mut self, destination: u16) -> Option<usize> {
        let service = the_service(&self.configuration);
        let [upper, lower] = destination.to_be_bytes();
        let key = HashKey {
            destination: IpAddr::V4([198, 51, upper, lower].into()),
            ..client("192.0.2.1", 1)
        };
        let told = scheduler::explain(&service, &self.state, &key, self.now).server;
        let choice = scheduler::schedule(&service, &mut self.state, &key, self.now);
        let chosen = choice.server.map(|index| service.servers[index].id);
        assert_eq!(told.map(|server| server.id), chosen, "the explanation is the pick");
        let chosen = service.servers[choice.server?].address;
        (0..64).find(|&index| super::key(index).address == chosen)
    }

    pub(crate) fn picks<const N: usize>(&mut self) -> [Option<usize>; N] {
        std::array::from_fn(|_| self.pick())
    }

    pub(crate) fn remove(&mut self, index: usize) {
        self.apply(Command::RemoveServer { service: WEB, server: key(index) });
    }

    pub(crate) fn weigh(&mut self, index: usize, weight: u32) {
        self.apply(Command::SetWeight { service: WEB, server: key(index), weight });
    }

    /// Gives a server connections, so many active and so many not.
    pub(crate) fn load(&self, index: usize, active: u32, inactive: u32) {
        let service = the_service(&self.configuration);
        let (_, server) = service.server(&key(index)).expect("the server");
        for number in 0..active + inactive {
            server.load.bind();
            if number < active {
                server.load.activate();
            }
        }
    }

    /// Takes one inactive connection from a server.
    pub(crate) fn unload(&self, index: usize) {
        let service = the_service(&self.configuration);
        service.server(&key(index)).expect("the server").1.load.unbind();
    }
}

pub(crate) fn some<const N: usize>(numbers: [usize; N]) -> [Option<usize>; N] {
    numbers.map(Some)
}
