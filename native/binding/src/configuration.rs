//! The configuration as JavaScript reads it.

use engine::command::{MarkMatch, ServerSpec, ServiceKey, ServiceSpec};
use engine::configuration::{Configuration, Server, Settings};
use engine::snapshot::Version;
use serde::Serialize;

use crate::outcome::{Refusal, from_text};

/// The whole configuration.
#[derive(Debug, Serialize)]
pub(crate) struct BindingConfiguration<'a> {
    version: Version,
    services: Vec<BindingService<'a>>,
    settings: &'a Settings,
    marks: Vec<BindingMark<'a>>,
}

#[derive(Debug, Serialize)]
struct BindingService<'a> {
    #[serde(flatten)]
    spec: &'a ServiceSpec,
    servers: Vec<ServerSpec>,
}

#[derive(Debug, Serialize)]
struct BindingMark<'a> {
    mark: u32,
    matches: &'a [MarkMatch],
}

impl<'a> BindingConfiguration<'a> {
    /// A configuration; of the services `only` that one, if it is given.
    pub(crate) fn of(configuration: &'a Configuration, only: &str) -> Result<Self, Refusal> {
        let only = from_text::<Option<ServiceKey>>(only)?;
        let services = configuration.selected(only.as_ref()).map(|service| {
            let servers = service.servers.iter().map(Server::spec).collect();
            BindingService { spec: &service.spec, servers }
        });
        let marks = configuration.marks().iter();
        Ok(Self {
            version: configuration.version(),
            services: services.collect(),
            settings: configuration.settings(),
            marks: marks.map(|it| BindingMark { mark: it.mark, matches: &it.matches }).collect(),
        })
    }
}
