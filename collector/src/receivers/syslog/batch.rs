//! Messages of syslog, put together into payloads of lines: one for each program and host that logs.
//!
//! What a program's lines are is configured by its name; lines of others are recognised one by one, and who logs them is told by
//! the host. Both names are the sender's word, and over UDP anybody's, so that what is remembered of them is bounded.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::access_log::origin::LineOrigin;
use crate::access_log::syslog::Message;
use crate::decode::Sender;
use crate::decode::access_log::HEADER_END;

/// Programs and hosts that are remembered at once; then all are forgotten, and those that log are soon known again.
const SENDERS_MAX: usize = 1024;

/// What is configured of a program.
#[derive(Debug, Clone)]
pub(super) struct App {
    pub(super) name: String,
    pub(super) origin: LineOrigin,
    pub(super) tenant: Arc<str>,
}

/// Lines of one sender, to be stored together.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) sender: Arc<Sender>,
    pub(super) tenant: Arc<str>,
    pub(super) bytes: Bytes,
}

/// Messages that are not handed on yet.
#[derive(Debug)]
pub(super) struct Batch {
    apps: Arc<[App]>,
    /// Whose lines those of programs without a section are.
    tenant: Arc<str>,
    /// By host and program.
    known: HashMap<Vec<u8>, usize>,
    senders: Vec<(Arc<Sender>, Arc<str>, BytesMut)>,
    bytes: usize,
    key: Vec<u8>,
}

impl Batch {
    pub(super) fn new(apps: Arc<[App]>, tenant: Arc<str>) -> Batch {
        let (known, senders) = (HashMap::new(), Vec::new());
        Batch { apps, tenant, known, senders, bytes: 0, key: Vec::new() }
    }

    /// Bytes of the lines in it.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a message as a line, and gives the tenant whose it is; one without text is none.
    pub(super) fn add(&mut self, message: &[u8]) -> Option<&Arc<str>> {
        let Message { host, app, time, text } = Message::of(message);
        if text.trim_ascii().is_empty() {
            return None;
        }
        self.key.clear();
        self.key.extend_from_slice(host);
        self.key.push(0);
        self.key.extend_from_slice(app);
        let at = match self.known.get(&self.key) {
            Some(at) => *at,
            None => self.remember(host, app),
        };
        let lines = &mut self.senders[at].2;
        let before = lines.len();
        lines.extend_from_slice(time);
        lines.put_u8(HEADER_END);
        // A message is a line, whatever is in it.
        lines.extend(text.iter().map(|byte| if *byte == b'\n' { b' ' } else { *byte }));
        lines.put_u8(b'\n');
        self.bytes += lines.len() - before;
        Some(&self.senders[at].1)
    }

    /// Takes all lines out.
    pub(super) fn take(&mut self) -> Vec<Lines> {
        self.bytes = 0;
        let filled = self.senders.iter_mut().filter(|(.., lines)| !lines.is_empty());
        let taken = filled.map(|(sender, tenant, lines)| Lines {
            sender: Arc::clone(sender),
            tenant: Arc::clone(tenant),
            bytes: lines.split().freeze(),
        });
        let taken = taken.collect();
        if self.senders.len() >= SENDERS_MAX {
            self.known.clear();
            self.senders.clear();
        }
        taken
    }

    /// Whether so many senders are remembered that the lines have to be taken out before there are more.
    pub(super) fn is_full(&self) -> bool {
        self.senders.len() >= SENDERS_MAX
    }

    fn remember(&mut self, host: &[u8], app: &[u8]) -> usize {
        let configured = self.apps.iter().find(|configured| configured.name.as_bytes() == app);
        let mut origin = configured.map_or_else(LineOrigin::default, |configured| configured.origin.clone());
        if origin.instance.is_empty() {
            origin.instance = String::from_utf8_lossy(host).into_owned();
        }
        if configured.is_none() && !app.is_empty() {
            origin.service = String::from_utf8_lossy(app).into_owned();
        }
        let tenant = configured.map_or(&self.tenant, |configured| &configured.tenant);
        self.senders.push((Arc::new(Sender::Lines(origin)), Arc::clone(tenant), BytesMut::new()));
        self.known.insert(self.key.clone(), self.senders.len() - 1);
        self.senders.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> Batch {
        let origin = LineOrigin { service: "edge".to_owned(), ..LineOrigin::default() };
        let app = App { name: "nginx".to_owned(), origin, tenant: "shop".into() };
        Batch::new([app].into(), "default".into())
    }

    /// (service, instance, tenant, lines)
    fn taken(batch: &mut Batch) -> Vec<(String, String, String, String)> {
        let told = |lines: Lines| match &*lines.sender {
            Sender::Lines(origin) => {
                let text = String::from_utf8_lossy(&lines.bytes).into_owned();
                (origin.service.clone(), origin.instance.clone(), lines.tenant.to_string(), text)
            }
            Sender::Proxy(_) | Sender::Families(_) => panic!("lines have no proxy"),
        };
        batch.take().into_iter().map(told).collect()
    }

    #[test]
    fn messages_become_lines_by_program_and_host() {
        let mut batch = batch();
        for message in [
            "<190>Nov 23 07:07:07 vm nginx: a",
            "<190>Nov 23 07:07:07 vm haproxy[1]: b\nc",
            "<190>Nov 23 07:07:08 vm nginx: d",
            "<190>Nov 23 07:07:08 vm nginx:  ",
            "e",
        ] {
            batch.add(message.as_bytes());
        }
        assert_eq!(batch.bytes(), 2 * 18 + 20 + 3);
        let text = |text: &str| text.to_owned();
        let want = [
            (text("edge"), text("vm"), text("shop"), text("Nov 23 07:07:07\ta\nNov 23 07:07:08\td\n")),
            (text("haproxy"), text("vm"), text("default"), text("Nov 23 07:07:07\tb c\n")),
            (text(""), text(""), text("default"), text("\te\n")),
        ];
        assert_eq!(taken(&mut batch), want);
        assert_eq!((batch.bytes(), taken(&mut batch).len()), (0, 0));
    }

    #[test]
    fn senders_without_number_are_forgotten() {
        let mut batch = batch();
        for host in 0..SENDERS_MAX - 1 {
            batch.add(format!("<1>Nov 23 07:07:07 host{host} nginx: a").as_bytes());
        }
        assert!(!batch.is_full());
        batch.add(b"<1>Nov 23 07:07:07 another nginx: a");
        assert!(batch.is_full());
        assert_eq!(batch.take().len(), SENDERS_MAX);
        assert_eq!((batch.senders.len(), batch.known.len()), (0, 0));
    }
}
