//! `/graph.svg`: the drawing of the mesh as a file, with the same choices as the page.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::drawn::{drawn, picture};
use super::filters::Filters;
use crate::FaceState;
use crate::ui::asked::Asked;
use crate::ui::graph::file;
use crate::ui::pages::Failure;

/// A file may hold its own style, as it must look alike wherever it is opened, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// Answers the file.
pub async fn answer(State(state): State<FaceState>, asked: Asked) -> Response {
    let drawing = async {
        let filters = Filters::of(&asked);
        let query = state.engine.begin(&asked.tenant).await?;
        let picture = picture(&query, asked.range, filters.by).await?;
        let drawn = drawn(&query, &asked, &filters, &picture).await;
        Ok::<_, Failure>(file(&drawn.sketch, asked.words()))
    };
    match drawing.await {
        Ok(svg) => {
            let headers = [
                (header::CONTENT_TYPE, "image/svg+xml"),
                (header::CONTENT_DISPOSITION, "inline; filename=\"mesh.svg\""),
                (header::CONTENT_SECURITY_POLICY, POLICY),
                (header::VARY, "Accept-Language"),
            ];
            (StatusCode::OK, headers, svg).into_response()
        }
        Err(failure) => (failure.status(), format!("{}\n", failure.text)).into_response(),
    }
}
