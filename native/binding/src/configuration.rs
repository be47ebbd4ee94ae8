//! The configuration as JavaScript reads it.

use engine::command::{MarkMatch, ServerSpec, ServiceSpec};
use engine::configuration::{Configuration, Mark, Server, Service, Settings};
use engine::snapshot::Version;
use serde::Serialize;

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

impl<'a> From<&'a Configuration> for BindingConfiguration<'a> {
    fn from(configuration: &'a Configuration) -> Self {
        Self {
            version: configuration.version(),
            services: configuration.services().map(|service| service.as_ref().into()).collect(),
            settings: configuration.settings(),
            marks: configuration.marks().iter().map(BindingMark::from).collect(),
        }
    }
}

impl<'a> From<&'a Service> for BindingService<'a> {
    fn from(service: &'a Service) -> Self {
        Self { spec: &service.spec, servers: service.servers.iter().map(Server::spec).collect() }
    }
}

impl<'a> From<&'a Mark> for BindingMark<'a> {
    fn from(mark: &'a Mark) -> Self {
        Self { mark: mark.mark, matches: &mark.matches }
    }
}
