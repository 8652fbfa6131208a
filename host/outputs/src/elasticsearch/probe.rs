//! Whether documents could be written, asked without writing any.

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode, Url};
use serde_json::Value;

use super::answer::{complaint, said};
use super::{Elasticsearch, MOST};
use crate::WriteError;
use flitch_core::net::http_client::{is_of_the_moment, leads_to, whole};

impl Elasticsearch {
    /// Asks all nodes, and then one of them for what `index` and `pipeline` name.
    pub(super) async fn look(&self) -> Result<(), WriteError> {
        for node in &self.urls {
            self.knock(node).await?;
        }
        let node = &self.urls[0];
        if let Some(pipeline) = self.settings.pipeline.as_ref().and_then(|pipeline| pipeline.constant())
            && let Some((StatusCode::NOT_FOUND, _)) =
                self.get(node, &["_ingest", "pipeline", pipeline]).await?
        {
            return Err(WriteError::Denied { reason: format!("there is no pipeline `{pipeline}`") });
        }
        match self.settings.index.constant() {
            Some(index) if self.settings.data_stream => self.find_stream(node, index).await,
            _ => Ok(()),
        }
    }

    /// A bulk request with nothing in it, which takes no right but to come in: a node that lets us finds that it is empty.
    async fn knock(&self, node: &Url) -> Result<(), WriteError> {
        let answer = self.bulk(node, &Bytes::new()).await.map_err(|failure| failure.error)?;
        let status = answer.status();
        let led = leads_to(&answer);
        let text = whole(answer, MOST).await.map_err(|reason| WriteError::Unreachable { reason })?;
        let reason = || format!("{node}: {}{led}", said(status.as_u16(), &text));
        match status {
            StatusCode::TOO_MANY_REQUESTS => Ok(()),
            StatusCode::BAD_REQUEST if complaint(status.as_u16(), &text).is_some() => Ok(()),
            _ if status.is_success() => Ok(()),
            _ if is_of_the_moment(status) => Err(WriteError::Unreachable { reason: reason() }),
            _ => Err(WriteError::Denied { reason: reason() }),
        }
    }

    /// Whether there is a data stream of this name, or would be with the first record.
    async fn find_stream(&self, node: &Url, index: &str) -> Result<(), WriteError> {
        match self.get(node, &["_data_stream", index]).await? {
            Some((StatusCode::NOT_FOUND, _)) => {}
            // There is one, or we may not know.
            _ => return Ok(()),
        }
        let Some((status, templates)) = self.get(node, &["_index_template"]).await? else { return Ok(()) };
        let fits = |template: &Value| {
            let patterns = template["index_template"]["index_patterns"].as_array().into_iter().flatten();
            let has_stream = template["index_template"]["data_stream"].is_object();
            has_stream && patterns.filter_map(Value::as_str).any(|pattern| matches(pattern, index))
        };
        let templates: Value = serde_json::from_slice(&templates).unwrap_or_default();
        if !status.is_success() || templates["index_templates"].as_array().into_iter().flatten().any(fits) {
            return Ok(());
        }
        let reason = format!(
            "there is no data stream `{index}`, and no index template with a `data_stream` whose `index_patterns` fit it: \
             the first record would make an ordinary index"
        );
        Err(WriteError::Denied { reason })
    }

    /// What stands at a path; none where we have no right to look.
    async fn get(&self, node: &Url, path: &[&str]) -> Result<Option<(StatusCode, Bytes)>, WriteError> {
        let mut url = node.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let answer = self.call(Method::GET, &url, "", HeaderMap::new(), Bytes::new()).await;
        let answer = answer.map_err(|failure| failure.error)?;
        let status = answer.status();
        let text = whole(answer, MOST).await.map_err(|reason| WriteError::Unreachable { reason })?;
        Ok((!matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)).then_some((status, text)))
    }
}

/// Whether an index has a name that fits a pattern, in which `*` stands for anything.
fn matches(pattern: &str, index: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == index };
    let Some(index) = index.strip_prefix(head) else { return false };
    (0..=index.len()).filter(|at| index.is_char_boundary(*at)).any(|at| matches(rest, &index[at..]))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_pattern_fits_with_anything_in_the_place_of_its_stars() {
        for (pattern, index, fits) in [
            ("logs-*", "logs-app", true),
            ("logs-*-*", "logs-app-default", true),
            ("logs-*-*", "logs-app", false),
            ("*", "x", true),
            ("logs", "logs", true),
            ("logs", "logs-1", false),
            ("*-prod", "logs-prod-1", false),
            ("logs-é*", "logs-éa", true),
        ] {
            assert_eq!(matches(pattern, index), fits, "{pattern} {index}");
        }
    }
}
