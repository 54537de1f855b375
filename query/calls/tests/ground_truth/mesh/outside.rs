//! What stands beside the services of a mesh and reports nothing: data stores and queues.

use super::{NAMES, Queue, Store};
use crate::features::{Feature, Features};

pub fn stores() -> Vec<Store> {
    let plain = |system, address: &str, port| Store {
        system,
        address: address.to_owned(),
        name: address.to_owned(),
        namespace: None,
        port,
        is_behind_http: false,
    };
    vec![
        plain("redis", "10.9.0.5", 6379),
        plain("postgresql", "10.9.0.5", 5432),
        plain("postgresql", "db.example", 5432),
        plain("postgresql", "db.example", 5433),
        Store {
            name: "mongo".to_owned(),
            namespace: Some("shop".to_owned()),
            ..plain("mongodb", "mongo-0.mongo.shop.svc.cluster.local", 27017)
        },
        Store {
            name: "catalog".to_owned(),
            is_behind_http: true,
            ..plain("aws.dynamodb", "dynamodb.example", 443)
        },
    ]
}

pub fn queues(features: Features) -> Vec<Queue> {
    let queue = |system, name: Option<&str>, broker: Option<&str>| Queue {
        system,
        name: name.map(str::to_owned),
        broker: broker.map(str::to_owned),
    };
    let mut queues = Vec::new();
    if features.has(Feature::Queues) {
        queues.push(queue("kafka", Some("invoices"), Some("kafka-1.example")));
        queues.push(queue("rabbitmq", Some("jobs"), None));
    }
    if features.has(Feature::Namesakes) {
        queues.push(queue("kafka", Some(NAMES[1]), None));
    }
    if features.has(Feature::Brokers) {
        queues.push(queue("rabbitmq", None, Some("mq-1.example")));
        queues.push(queue("sqs", None, None));
    }
    queues
}
