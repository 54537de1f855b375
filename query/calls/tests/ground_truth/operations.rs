//! What operators ask, answered as what happened says: what ended calls, what gateways passed on, what is dark, and versions and
//! instances with their calls.

use std::collections::BTreeMap;

use meshlake_calls::operate::dark::{self, Darkness, dark};
use meshlake_calls::operate::gateways::{self, gateways};
use meshlake_calls::operate::policies::{self, Asked, At, policies};
use meshlake_calls::operate::{balance, versions};
use meshlake_calls::{Evidence, Fold, Frame, NodeIdentity, Parts, Picture, Question, Range, Source};
use meshlake_schema::UnixNanos;

use crate::compare::parts_differ;
use crate::harness::label;
use crate::oracle::figures::Truth;
use crate::oracle::operations::{Operations, has_own_proxy};
use crate::oracle::{FROM, TO, operations};
use crate::rows::Rows;
use crate::story::Story;

/// Where the answers differ from `truth` and from what happened.
pub fn differences(story: &Story, truth: &Truth, rows: &Rows) -> Vec<String> {
    let want = operations::operations(story);
    let told = told(story, rows);
    let mut found = Vec::new();
    let mut differ = |what: &str, want: String, told: String| {
        if want != told {
            found.push(format!("{what}: told {told}, want {want}"));
        }
    };
    differ("what ended calls", format!("{:?}", want.ended), format!("{:?}", told.ended));
    differ("what gateways passed on", format!("{:?}", want.passed_on), format!("{:?}", told.passed_on));
    differ("plaintext", format!("{:?}", want.plaintext), format!("{:?}", told.plaintext));
    let through = [&want.passed_through, &told.passed_through].map(|calls| format!("{calls:?}"));
    let [want, told] = through;
    differ("passed through", want, told);
    found.extend(parts_differ(truth, "version", &by_version(rows)));
    found.extend(parts_differ(truth, "instance", &by_instance(rows)));
    found
}

fn range() -> Range {
    Range::new(UnixNanos(FROM), UnixNanos(TO), None).expect("the range is not empty")
}

fn fold(rows: &Rows, question: Question) -> Fold {
    let mut fold = Fold::new(question);
    rows.requests.iter().for_each(|batch| fold.add_requests(batch));
    rows.spans.iter().for_each(|batch| fold.add_spans(batch));
    fold
}

fn parts(rows: &Rows, question: Question) -> Parts {
    fold(rows, question).finish_parts().expect("a story is small")
}

fn picture(rows: &Rows, question: Question, frame: Frame) -> Picture {
    fold(rows, question).framed(frame).finish().expect("a story is small")
}

/// The same as the truth, of rows of access logs.
fn told(story: &Story, rows: &Rows) -> Operations {
    let mut told = Operations::default();
    let of_policies = parts(rows, policies::question(range()));
    let labels = labels(&of_policies.nodes);
    let logged = policies(&of_policies, Asked::default()).rows;
    for row in logged.into_iter().filter(|row| row.evidence == Evidence::Requests) {
        let client = row.client.filter(|_| row.at != At::Server);
        let client = client.map(|client| labels[&client].clone()).unwrap_or_default();
        let key = [client, labels[&row.server].clone(), row.at.name().to_owned(), row.reason];
        *told.ended.entry(key).or_default() += row.requests as i64;
    }
    let of_gateways = parts(rows, gateways::question(range()));
    let labels = self::labels(&of_gateways.nodes);
    let logged = gateways(&of_gateways, None, None).rows;
    for row in logged.into_iter().filter(|row| row.evidence == Evidence::Requests) {
        for upstream in &row.upstreams {
            let host = row.host.clone().unwrap_or_default();
            let key = [labels[&row.gateway].clone(), host, labels[&upstream.service].clone()];
            *told.passed_on.entry(key).or_default() += upstream.figures.requests as i64;
        }
    }
    of_dark(story, rows, &mut told);
    told
}

fn of_dark(story: &Story, rows: &Rows, told: &mut Operations) {
    let parts = parts(rows, dark::parts_question(range(), Source::Requests));
    let picture = picture(rows, dark::question(range(), Source::Requests), dark::frame(None));
    let proxied = story.mesh.services.iter().filter(|service| has_own_proxy(service));
    let proxied: Vec<String> = proxied.map(operations::label_of).collect();
    for edge in dark(&picture, &parts, None).edges {
        let [source, target] = [label(&edge.source), label(&edge.target)];
        for dark in edge.dark {
            let calls = dark.requests as i64;
            match dark.darkness {
                Darkness::Plaintext if proxied.contains(&target) => {
                    *told.plaintext.entry(target.clone()).or_default() += calls;
                }
                Darkness::Passthrough => {
                    *told.passed_through.entry([source.clone(), target.clone()]).or_default() += calls;
                }
                _ => {}
            }
        }
    }
}

fn labels(nodes: &[NodeIdentity]) -> BTreeMap<String, String> {
    nodes.iter().map(|node| (node.id.clone(), label(node))).collect()
}

/// What each version of each service received, as the answer about it tells.
fn by_version(rows: &Rows) -> BTreeMap<(String, String), f64> {
    let question = versions::question(range(), Source::Auto);
    let all = picture(rows, question, Frame::nodes(None));
    let services: BTreeMap<&str, String> =
        all.nodes.iter().map(|node| (&*node.service, label(node))).collect();
    let mut told = BTreeMap::new();
    for (service, label) in services {
        for subset in versions::versions(&all, service, None).subsets {
            *told.entry((label.clone(), subset.name.unwrap_or_default())).or_default() +=
                subset.figures.requests;
        }
    }
    told
}

fn by_instance(rows: &Rows) -> BTreeMap<(String, String), f64> {
    let question = balance::question(range(), Source::Auto).expect("whole minutes");
    let all = picture(rows, question, Frame::nodes(None));
    let services: BTreeMap<&str, String> =
        all.nodes.iter().map(|node| (&*node.service, label(node))).collect();
    let mut told = BTreeMap::new();
    for (service, label) in services {
        for instance in balance::balance(&all, service).instances {
            *told.entry((label.clone(), instance.name)).or_default() += instance.figures.requests;
        }
    }
    told
}
