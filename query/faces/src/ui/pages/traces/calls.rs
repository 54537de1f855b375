//! Calls whose traces can be read, failed ones first, then slow ones; found by who received them, how long they took and how they
//! ended.

use maud::{Markup, html};
use meshlake_query::calls::exemplars::{Asked as Examples, exemplars};
use meshlake_query::exemplars::{EXEMPLARS_MAX, Wanted};

use crate::FaceState;
use crate::ui::asked::Asked;
use crate::ui::calls;
use crate::ui::pages::Failure;
use crate::ui::shell::{kept, notes};
use crate::ui::text::Text;

const NANOS_PER_MILLI: f64 = 1e6;

/// Traces of one page.
const SHOWN: usize = 50;

/// Whether an address asks for calls: it says so, or asks what only calls tell.
pub fn are_asked(asked: &Asked) -> bool {
    asked.get("view") == Some("calls")
        || ["client", "min_ms", "failed"].iter().any(|name| asked.get(name).is_some())
}

pub fn form(asked: &Asked) -> Markup {
    let words = asked.words();
    let value = |name: &str| asked.get(name).unwrap_or_default().to_owned();
    html! {
        form class="controls" method="get" action="/traces" role="search" {
            (kept(asked))
            input type="hidden" name="view" value="calls";
            label { (words.received_by) " " input name="service" size="24" value=(Text(&value("service"))); }
            label { (words.called_by) " " input name="client" size="24" value=(Text(&value("client"))); }
            label { (words.at_least) " " input name="min_ms" size="6" inputmode="decimal" value=(Text(&value("min_ms"))); " ms" }
            label { input type="checkbox" name="failed" value="1" checked[asked.get("failed").is_some()]; " " (words.failed_only) }
            button { (words.find) }
        }
    }
}

pub async fn found(state: &FaceState, asked: &Asked) -> Result<Markup, Failure> {
    let words = asked.words();
    let (service, client) = (asked.get("service"), asked.get("client"));
    let mut complaints = Vec::new();
    let milliseconds = asked.get("min_ms").and_then(|text| {
        let number = text.parse::<f64>().ok().filter(|ms| (0.0..=1e12).contains(ms));
        if number.is_none() {
            complaints.push(format!("{}: min_ms={text}", words.no_number));
        }
        number
    });
    let wanted = match (client, service) {
        (Some(client), Some(server)) => Wanted { service: None, edge: Some((client, server)) },
        (None, service) => Wanted { service, edge: None },
        (Some(_), None) => {
            complaints.push(words.name_the_callee_too.to_owned());
            Wanted::default()
        }
    };
    let examples = Examples {
        range: asked.range,
        wanted,
        failed_only: asked.get("failed").is_some(),
        duration_min: (milliseconds.unwrap_or(0.0) * NANOS_PER_MILLI) as i64,
        most: SHOWN.min(EXEMPLARS_MAX),
    };
    let query = state.engine.begin(&asked.tenant).await?;
    let found = exemplars(&query, &examples).await?;
    Ok(html! {
        (notes(&complaints, words.warnings))
        p class="hint" { (words.traces_mean) }
        (calls::list(asked, &found.calls, &found.warnings))
    })
}
