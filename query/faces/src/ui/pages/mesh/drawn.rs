//! The part of the mesh that is drawn, on the page and as a file: chosen, compared and sketched.

use meshlake_query::answers::changes::{Compared, Side, compared};
use meshlake_query::calls::{LoadError, load_from};
use meshlake_query::graph::{Graph, graph};
use meshlake_query::{By, Frame, Grain, Picture, Query, Question, Range, Source, operate};

use super::filters::Filters;
use crate::ui::asked::Asked;
use crate::ui::graph::{Label, Sketch, View};
use crate::ui::pages::Failure;

/// What is drawn, and what else the page tells of it.
pub struct Drawn {
    /// What was chosen; with edges that vanished, where it is compared.
    pub graph: Graph,
    pub compared: Option<Compared>,
    pub sketch: Sketch,
    /// Why something that was asked for is missing.
    pub notes: Vec<String>,
}

/// Nodes and edges of a range.
pub async fn picture(query: &Query, range: Range, by: By) -> Result<Picture, LoadError> {
    let question = Question { range, by, grain: Grain::Node, source: Source::Auto };
    load_from(query, question, Frame::whole()).await
}

/// Draws what is chosen of a picture. What cannot be answered beside it is noted.
pub async fn drawn(query: &Query, asked: &Asked, filters: &Filters<'_>, picture: &Picture) -> Drawn {
    let mut notes = Vec::new();
    let mut note = |error: LoadError| notes.push(Failure::from(error).text);
    let shown = graph(picture, &filters.wanted);
    let protection = match filters.label {
        Label::MutualTls => operate::protection::load(query, asked.range).await.map_err(&mut note).ok(),
        _ => None,
    };
    let compared = match filters.before {
        Some(range) => against(query, filters, picture, &shown, range).await.map_err(&mut note).ok(),
        None => None,
    };
    let view = View {
        label: filters.label,
        is_whole: filters.is_whole,
        edges_max: filters.edges_max,
        opened: asked.every("open").collect(),
        protection: protection.as_ref(),
        changes: compared.as_ref().map(|compared| compared.changes.as_slice()),
    };
    let graph = compared.as_ref().map_or(shown, |compared| compared.graph.clone());
    Drawn { sketch: Sketch::of(&graph, &view, asked), graph, compared, notes }
}

/// What changed since another range, of what is chosen in both.
async fn against(
    query: &Query,
    filters: &Filters<'_>,
    now: &Picture,
    shown: &Graph,
    range: Range,
) -> Result<Compared, LoadError> {
    let earlier = picture(query, range, filters.by).await?;
    let before = graph(&earlier, &filters.wanted);
    Ok(compared(
        Side { graph: shown, seconds: now.range.bucket_seconds(0) },
        Side { graph: &before, seconds: earlier.range.bucket_seconds(0) },
    ))
}
