//! The texts of the page for SQL, both languages side by side.

/// They are a part of `Words`.
pub struct SqlWords {
    pub as_table: &'static str,
    pub as_chart: &'static str,
    /// Before the buttons that keep the whole answer as a file.
    pub keep: &'static str,
    /// What a chart can be made of, where the answer is no such thing.
    pub no_chart: &'static str,
    pub plan: &'static str,
    /// Before what the script of the page offers.
    pub history: &'static str,
    pub names: &'static str,
    pub keys: &'static str,
}

pub const EN: SqlWords = SqlWords {
    as_table: "as a table",
    as_chart: "as a chart",
    keep: "Keep all rows as",
    no_chart: "A chart needs numbers, and a time or a text to show them by. With a time, times must be evenly apart: time_bucket(INTERVAL '1 minute', time) makes them so.",
    plan: "The plan",
    history: "Statements before",
    names: "Names that fit",
    keys: "Ctrl-Enter runs it; Tab takes the name that is offered, Escape closes the list.",
};

pub const ZH: SqlWords = SqlWords {
    as_table: "表格",
    as_chart: "图表",
    keep: "将全部行保存为",
    no_chart: "图表需要数值列，以及用来展示它们的时间列或文本列。时间必须等间隔：time_bucket(INTERVAL '1 minute', time) 可以做到。",
    plan: "执行计划",
    history: "之前的语句",
    names: "匹配的名称",
    keys: "Ctrl-Enter 运行；Tab 采用所提示的名称，Escape 关闭列表。",
};
