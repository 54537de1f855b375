//! The texts of the pages, a file a language: a struct, so that a language that lacks one does not compile.
//!
//! What comes from `meshlake_query` in words (warnings, the meanings of flags) is English in every language. Names of
//! things that the API has names for, such as kinds of nodes, are told by that name.

mod en;
mod zh;
mod mesh;
mod explore;
mod sql;
mod operate;

use meshlake_query::{By, NodeKind};

/// A language of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    #[default]
    English,
    Chinese,
}

impl Language {
    pub const ALL: [Language; 2] = [Language::English, Language::Chinese];

    /// Its tag (BCP 47), as it stands in the address.
    pub const fn name(self) -> &'static str {
        match self {
            Language::English => "en",
            Language::Chinese => "zh",
        }
    }

    /// What its speakers call it.
    pub const fn own_name(self) -> &'static str {
        match self {
            Language::English => "English",
            Language::Chinese => "中文",
        }
    }

    pub fn named(tag: &str) -> Option<Language> {
        Language::ALL.into_iter().find(|language| language.name() == tag)
    }

    /// The one that a browser would rather have, by its `Accept-Language` (RFC 9110, 12.5.4); English if it wants neither.
    pub fn spoken(accepted: &str) -> Language {
        let mut best = (0.0, Language::default());
        for range in accepted.split(',') {
            let mut parts = range.split(';');
            let tag = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
            let primary = tag.split('-').next().unwrap_or_default();
            let quality =
                parts.find_map(|part| part.trim().strip_prefix("q=")?.parse::<f64>().ok()).unwrap_or(1.0);
            if let Some(language) = Language::named(primary)
                && quality > best.0
            {
                best = (quality, language);
            }
        }
        best.1
    }

    pub const fn words(self) -> &'static Words {
        match self {
            Language::English => &en::WORDS,
            Language::Chinese => &zh::WORDS,
        }
    }
}

/// All texts.
pub struct Words {
    pub of_mesh: mesh::MeshWords,
    pub of_sql: sql::SqlWords,
    pub of_operate: operate::OperateWords,
    pub aborted: &'static str,
    pub aborted_means: &'static str,
    pub accepted: &'static str,
    pub agent: &'static str,
    pub all: &'static str,
    pub all_rejected: &'static str,
    pub all_rejected_advice: &'static str,
    pub apart_by: &'static str,
    pub around: &'static str,
    pub at_least: &'static str,
    pub attributes: &'static str,
    pub automatic_refresh: &'static str,
    pub balance: &'static str,
    pub baseline: &'static str,
    pub both_ends_agree: &'static str,
    pub both_sides: &'static str,
    pub busy: &'static str,
    pub busy_means: &'static str,
    pub by_namespace: &'static str,
    pub bytes: &'static str,
    pub bytes_in: &'static str,
    pub bytes_in_mean: &'static str,
    pub bytes_out: &'static str,
    pub bytes_out_mean: &'static str,
    pub bytes_per_row: &'static str,
    pub called_by: &'static str,
    pub callee: &'static str,
    pub caller: &'static str,
    pub callers_and_callees: &'static str,
    pub calls: &'static str,
    pub calls_are_refused: &'static str,
    pub clock: &'static str,
    pub local: &'static str,
    pub calls_between_nodes: &'static str,
    pub calls_by_requests: &'static str,
    pub calls_by_spans: &'static str,
    pub calls_from_outside: &'static str,
    pub calls_lost: &'static str,
    pub calls_received: &'static str,
    pub came: &'static str,
    pub client_errors_mean: &'static str,
    /// With `{}` for how far.
    pub clock_is_ahead: &'static str,
    pub clock_is_ahead_advice: &'static str,
    pub configuration: &'static str,
    pub configuration_in_use: &'static str,
    pub cost: &'static str,
    pub counted_from: &'static str,
    pub critical_path: &'static str,
    pub data_since: &'static str,
    pub days: &'static str,
    pub deduplicated: &'static str,
    pub depth: &'static str,
    pub did_you_mean: &'static str,
    pub draw_all: &'static str,
    pub durable: &'static str,
    pub duration: &'static str,
    pub edges: &'static str,
    pub errors: &'static str,
    pub errors_below_one: &'static str,
    pub errors_from_five: &'static str,
    pub errors_mean: &'static str,
    pub errors_of_all_calls: &'static str,
    pub errors_one_to_five: &'static str,
    pub errors_only: &'static str,
    pub events: &'static str,
    pub everything: &'static str,
    pub example_calls: &'static str,
    pub exports: &'static str,
    pub failed_only: &'static str,
    pub fails: &'static str,
    pub files: &'static str,
    pub find: &'static str,
    pub free_disk: &'static str,
    pub golden_metrics: &'static str,
    pub graph: &'static str,
    pub graph_legend: &'static str,
    pub hint_collector: &'static str,
    pub hint_envoy: &'static str,
    pub hint_istio: &'static str,
    pub hint_logs: &'static str,
    pub hint_prometheus: &'static str,
    pub hint_sdk: &'static str,
    pub hours: &'static str,
    pub how_to_send: &'static str,
    pub in_flight: &'static str,
    pub in_memory: &'static str,
    pub instance: &'static str,
    pub instances: &'static str,
    pub is_silent: &'static str,
    pub is_slower: &'static str,
    pub it_answers: &'static str,
    pub it_does_not_answer: &'static str,
    pub kind_of_node: &'static str,
    pub language: &'static str,
    pub last_heard: &'static str,
    pub latency: &'static str,
    pub ledger_means: &'static str,
    pub links: &'static str,
    pub lost_parent: &'static str,
    pub max_means: &'static str,
    pub meaning: &'static str,
    pub mesh: &'static str,
    pub min_rate: &'static str,
    pub minutes: &'static str,
    pub more_not_listed: &'static str,
    pub more_rows_by_api: &'static str,
    pub more_troubles: &'static str,
    pub name_the_callee_too: &'static str,
    pub namespace: &'static str,
    /// With `{}` for how long ago.
    pub newest_call_is_old: &'static str,
    pub newest_call_is_old_advice: &'static str,
    pub no: &'static str,
    pub no_calls: &'static str,
    pub no_calls_advice: &'static str,
    pub no_calls_found: &'static str,
    pub no_namespace: &'static str,
    pub no_number: &'static str,
    pub no_range: &'static str,
    pub no_rollouts: &'static str,
    pub no_such_edge: &'static str,
    pub no_such_node: &'static str,
    pub no_such_trace: &'static str,
    pub nobody_sends: &'static str,
    pub node: &'static str,
    pub nodes: &'static str,
    pub nodes_not_drawn: &'static str,
    pub not_answered: &'static str,
    pub not_run_yet: &'static str,
    pub not_shown: &'static str,
    pub nothing_fits: &'static str,
    pub nothing_held_back: &'static str,
    pub nothing_is_wrong: &'static str,
    pub nothing_received: &'static str,
    pub nothing_received_advice: &'static str,
    pub nothing_yet: &'static str,
    pub odd: &'static str,
    pub off: &'static str,
    pub on_edges: &'static str,
    pub only_other_signals: &'static str,
    pub only_other_signals_advice: &'static str,
    pub open: &'static str,
    pub operate: &'static str,
    pub operation: &'static str,
    pub operations: &'static str,
    pub outside_callers: &'static str,
    pub over_time: &'static str,
    pub p50_means: &'static str,
    pub p95_means: &'static str,
    pub p99_means: &'static str,
    pub pages: &'static str,
    pub peer: &'static str,
    pub policies: &'static str,
    pub policy: &'static str,
    pub protocol: &'static str,
    pub query_process: &'static str,
    pub rate: &'static str,
    pub rate_means: &'static str,
    pub read_it: &'static str,
    pub reason: &'static str,
    pub received: &'static str,
    pub received_by: &'static str,
    pub refresh: &'static str,
    pub refused: &'static str,
    pub rejected: &'static str,
    pub resource: &'static str,
    pub restarts: &'static str,
    pub retries: &'static str,
    pub rollouts: &'static str,
    pub rows: &'static str,
    pub rows_in_files: &'static str,
    pub rows_in_memory: &'static str,
    pub run: &'static str,
    pub seconds: &'static str,
    pub seen_by_callee: &'static str,
    pub seen_by_caller: &'static str,
    pub self_time: &'static str,
    pub send_data_here: &'static str,
    pub senders: &'static str,
    pub service: &'static str,
    pub services: &'static str,
    pub services_in_trace: &'static str,
    pub share: &'static str,
    pub show: &'static str,
    pub signal: &'static str,
    pub skip: &'static str,
    pub span: &'static str,
    pub span_details: &'static str,
    pub spans: &'static str,
    pub spans_not_shown: &'static str,
    pub start: &'static str,
    pub starts: &'static str,
    pub statement: &'static str,
    pub statements_to_begin_with: &'static str,
    pub status: &'static str,
    pub stored: &'static str,
    pub table: &'static str,
    pub tables: &'static str,
    pub tenant: &'static str,
    pub time: &'static str,
    pub time_range: &'static str,
    pub to: &'static str,
    pub trace: &'static str,
    pub trace_id: &'static str,
    pub trace_means: &'static str,
    pub traces: &'static str,
    pub traces_mean: &'static str,
    pub tries: &'static str,
    pub value: &'static str,
    pub variation: &'static str,
    pub verdict: &'static str,
    pub version: &'static str,
    pub versions: &'static str,
    pub versions_mean: &'static str,
    pub warnings: &'static str,
    pub way_in: &'static str,
    pub went: &'static str,
    pub what: &'static str,
    pub what_is_wrong: &'static str,
    pub write_ahead_log: &'static str,
    pub yes: &'static str,
    pub explore: explore::ExploreWords,
    /// `set.name` of the API's names, and the word for it.
    named: &'static [(&'static str, &'static str)],
}

impl Words {
    /// The word for a name of the API's; the name itself where there is none.
    fn named<'a>(&self, set: &str, name: &'a str) -> &'a str {
        let is = |key: &str| key.strip_prefix(set).and_then(|key| key.strip_prefix('.')) == Some(name);
        self.named.iter().find(|(key, _)| is(key)).map_or(name, |(_, word)| word)
    }

    pub fn kind(&self, kind: NodeKind) -> &'static str {
        self.named("kind", kind.name())
    }

    pub fn by(&self, by: By) -> &'static str {
        self.named("by", by.name())
    }

    pub fn label_of(&self, name: &'static str) -> &'static str {
        self.named("label", name)
    }

    pub fn verdict_of(&self, name: &'static str) -> &'static str {
        self.named("verdict", name)
    }

    pub fn balance_of(&self, name: &'static str) -> &'static str {
        self.named("balance", name)
    }

    pub fn odd_of(&self, name: &'static str) -> &'static str {
        self.named("odd", name)
    }

    pub fn cost_of(&self, name: &'static str) -> &'static str {
        self.named("cost", name)
    }

    pub fn rollout_of(&self, name: &'static str) -> &'static str {
        self.named("rollout", name)
    }

    pub fn statement_of(&self, name: &'static str) -> &'static str {
        self.named("statement", name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_word_in_every_language() {
        let keys = |words: &Words| words.named.iter().map(|(key, _)| *key).collect::<Vec<_>>();
        assert_eq!(keys(&en::WORDS), keys(&zh::WORDS));
        for words in [&en::WORDS, &zh::WORDS] {
            assert!(words.named.iter().all(|(_, word)| !word.is_empty()));
        }
        for kind in ["service", "gateway", "database", "messaging", "external", "client"] {
            assert_ne!(zh::WORDS.named("kind", kind), kind);
        }
        assert_eq!(en::WORDS.named("kind", "balloon"), "balloon");
        assert_eq!(en::WORDS.named("verdict", "worse"), "worse");
    }

    /// A text of one language that is still the other's was forgotten.
    #[test]
    fn texts_of_two_languages_differ() {
        assert_ne!(en::WORDS.mesh, zh::WORDS.mesh);
        assert!(zh::WORDS.nothing_is_wrong.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)));
    }
}
