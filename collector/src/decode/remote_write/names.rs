//! The ids of series and the resources of targets.
//!
//! The target of a series is the pair of its labels `job` and `instance`; all its series have one resource, which is made
//! once for as many as come.

use std::collections::HashMap;
use std::rc::Rc;

use meshlake_schema::attributes::push_json_string;

use super::SCOPE_NAME;
use super::labels::Identity;
use crate::columns::origin::Resource;
use crate::metric_rows::series::SeriesHasher;

/// Resources that are kept while a payload is decoded: those of a sender's targets, which come in turns. They are
/// forgotten and made anew when there are more.
const RESOURCES_MAX: usize = 1024;

/// The ids of series and the resources of targets.
#[derive(Default)]
pub(super) struct SeriesNames<'a> {
    hasher: SeriesHasher,
    resources: HashMap<(&'a str, &'a str), Rc<Resource>>,
}

impl<'a> SeriesNames<'a> {
    pub(super) fn series_id(&mut self, identity: &Identity<'_, 'a>) -> i64 {
        let resource = self.resource(identity);
        self.hasher.begin_scope(resource.id, SCOPE_NAME);
        self.hasher.begin_metric(identity.metric_name.as_bytes());
        self.hasher.begin_series();
        for (name, value) in identity.labels() {
            self.hasher.push(name.as_bytes(), "s", value.as_bytes());
        }
        self.hasher.series_id()
    }

    pub(super) fn resource(&mut self, identity: &Identity<'_, 'a>) -> Rc<Resource> {
        let key = (identity.job, identity.instance);
        if let Some(known) = self.resources.get(&key) {
            return Rc::clone(known);
        }
        if self.resources.len() >= RESOURCES_MAX {
            self.resources.clear();
        }
        let resource = Rc::new(resource_of(identity.job, identity.instance));
        self.resources.insert(key, Rc::clone(&resource));
        resource
    }
}

/// The resource of a target: `service.name` is its job, `service.instance.id` its instance.
fn resource_of(job: &str, instance: &str) -> Resource {
    let mut resource = Resource::default();
    for (key, value) in [("service.instance.id", instance), ("service.name", job)] {
        if value.is_empty() {
            continue;
        }
        resource.json.push(if resource.json.is_empty() { '{' } else { ',' });
        push_json_string(&mut resource.json, key);
        resource.json.push(':');
        push_json_string(&mut resource.json, value);
        resource.types.push('s');
    }
    if resource.json.is_empty() {
        resource.json.push('{');
    }
    resource.json.push('}');
    let text = |value: &str| (!value.is_empty()).then(|| value.to_owned());
    (resource.service_name, resource.service_instance_id) = (text(job), text(instance));
    resource.identify();
    resource
}
