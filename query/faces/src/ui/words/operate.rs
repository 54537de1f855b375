//! The texts of what Meshlake tells of itself; both languages side by side.

/// They are a part of `Words`.
pub struct OperateWords {
    pub alerts: &'static str,
    pub nothing_to_warn_of: &'static str,
    pub log_failed: &'static str,
    pub no_room: &'static str,
    pub unbalanced: &'static str,
    pub disk_stalls: &'static str,
    pub rejected: &'static str,
    pub little_room: &'static str,
    pub buffer_full: &'static str,
    pub log_long: &'static str,
    pub settling_behind: &'static str,
    pub query_ended: &'static str,
    pub kept_for: &'static str,
    pub for_ever: &'static str,
    pub oldest: &'static str,
    pub retention_means: &'static str,
    /// Before an address that is configured to be none.
    pub does_not_listen: &'static str,
}

pub const EN: OperateWords = OperateWords {
    alerts: "Alerts",
    nothing_to_warn_of: "Nothing to warn of: every record is accounted for, the disk has room, and files, log and settling keep up.",
    log_failed: "The write-ahead log has given up: nothing more is taken until a restart. The log of the process says why.",
    no_room: "The disk is full: senders are refused until there is room.",
    unbalanced: "The ledger does not add up: these records are neither accepted nor rejected, or more than were received.",
    disk_stalls: "A write to the log does not come back: nothing is acknowledged meanwhile.",
    rejected: "Records were rejected in the last hour: they are missing in all that is told.",
    little_room: "The disk is nearly full: senders will be refused. Keep rows for a shorter time or make room.",
    buffer_full: "Rows come faster than they become files: senders are refused when the buffer is full.",
    log_long: "The write-ahead log is not cut: a table cannot be flushed. The next start reads all of it.",
    settling_behind: "Calls are settled late: answers about the last minutes take longer.",
    query_ended: "The process that answers questions has ended and was started again.",
    kept_for: "kept for",
    for_ever: "ever",
    oldest: "oldest",
    retention_means: "Rows are dropped by whole days, counted back from the newest row and not from the clock; cells of ten seconds by the hour.",
    does_not_listen: "does not listen here",
};

pub const ZH: OperateWords = OperateWords {
    alerts: "告警",
    nothing_to_warn_of: "没有需要警告的事项：每条记录都有去向，磁盘空间充足，文件、日志和结算都跟得上。",
    log_failed: "预写日志已停止：重启之前不再接收任何数据。原因见进程日志。",
    no_room: "磁盘已满：有空间之前拒绝所有发送方。",
    unbalanced: "账目不平：这些记录既未接受也未拒绝，或多于收到的数量。",
    disk_stalls: "对日志的写入没有返回：期间不确认任何数据。",
    rejected: "最近一小时有记录被拒收：所有结果中都缺少这部分。",
    little_room: "磁盘快满了：发送方将被拒绝。请缩短保留时间或腾出空间。",
    buffer_full: "数据到达的速度超过写入文件的速度：缓冲区满时发送方会被拒绝。",
    log_long: "预写日志没有被截断：有表无法写入文件。下次启动要读完全部日志。",
    settling_behind: "调用的结算滞后：最近几分钟的查询会更慢。",
    query_ended: "回答查询的进程曾经结束，并已重新启动。",
    kept_for: "保留时间",
    for_ever: "永久",
    oldest: "最早",
    retention_means: "按整天删除，从最新的行往回计算，而不是从当前时间；十秒的单元按小时删除。",
    does_not_listen: "此处未监听",
};
