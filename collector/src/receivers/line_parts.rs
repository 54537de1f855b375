//! Stores parts of files of lines, whoever reads them: what of a part is not stored yet, under a name that says where
//! it is.
//!
//! The same part again, from another way in or after a crash, is not stored again; see `positions`. What a part takes in
//! memory is paid for while it is on its way.

use std::sync::Arc;

use super::{ACK_TIME_MAX, Name, Receivers, settled};
use crate::access_log::origin::LineOrigin;
use crate::access_log::rows::lines;
use crate::admit::media::Encoding;
use crate::admit::refusal::Refusal;
use crate::admit::unpack::Packed;
use crate::decode::Sender;
use crate::decode::access_log::FORMAT;
use crate::intake::Tickets;
use crate::lines::{Part, unwrap_container};
use crate::positions::{Claim, FileIdentity};
use crate::tally::Tally;

impl Receivers {
    /// Stores what of `part` is not stored yet, and returns when all of it is. Lines that were stored before are counted as
    /// deduplicated. `paid` pays for a part that was let in already, as a post is before it is read; asked once more it would be
    /// told that there is no room beside itself.
    ///
    /// # Errors
    /// A refusal; the part is to be brought again, and what of it was stored is found to be.
    ///
    /// Cancel: what was handed over becomes durable all the same, and counts as stored.
    pub(super) async fn store_part(
        &self,
        tenant: &Arc<str>,
        file: FileIdentity,
        part: &Part,
        sender: &Arc<Sender>,
        mut paid: Option<Tickets>,
    ) -> Result<Tally, Refusal> {
        let mut tally = Tally::default();
        let mut start = part.range.start;
        loop {
            let wanted = start..part.range.end;
            let claim = self.positions.claim(tenant, file, wanted.clone()).await.map_err(|unknown| {
                Refusal::Undecodable(format!("{unknown}: post its first bytes to /v1/access_logs/file"))
            })?;
            let claimed = claim.as_ref().map_or(wanted.end..wanted.end, Claim::part);
            tally.deduplicated += lines(&part.slice(start..claimed.start)).count() as u64;
            let Some(claim) = claim else { return Ok(tally) };
            tally.merge(&self.store_claimed(tenant, claim, part, sender, paid.take()).await?);
            start = claimed.end;
        }
    }

    async fn store_claimed(
        &self,
        tenant: &Arc<str>,
        claim: Claim,
        part: &Part,
        sender: &Arc<Sender>,
        paid: Option<Tickets>,
    ) -> Result<Tally, Refusal> {
        let bytes = part.slice(claim.part());
        let bytes = match unwrap_container(&bytes) {
            std::borrow::Cow::Borrowed(_) => bytes,
            std::borrow::Cow::Owned(unwrapped) => unwrapped.into(),
        };
        let tickets = match paid {
            Some(tickets) => tickets,
            None => {
                let tickets = self.admit(tenant)?.take(bytes.len())?;
                self.quotas.charge(tenant, bytes.len());
                tickets
            }
        };
        let wire_bytes = bytes.len();
        let limit_bytes = self.export_bytes_max();
        let packed = Packed { bytes, encoding: Encoding::Identity, format: &FORMAT, limit_bytes, tickets };
        let unpacked = packed.unpack().await?;
        self.stats.count_bytes(wire_bytes, unpacked.bytes.len());
        let name = Name::Part(claim.name());
        let sender = with_fields(sender, part, claim.part().start);
        let answer = self.submit(&FORMAT, name, Arc::clone(tenant), Some(sender), unpacked)?;
        // In a task of its own, so that a sender who leaves cannot make a stored part look like one that is not.
        let positions = self.positions.clone();
        let settling = tokio::spawn(async move {
            let tally = settled(answer.await)?;
            claim.stored();
            if tally.accepted == 0 && tally.deduplicated == 0 {
                // Without rows it has no name in the log, and what is stored behind it could not be found again.
                let saved = tokio::task::spawn_blocking(move || positions.save()).await;
                if let Ok(Err(error)) = saved {
                    tracing::warn!(%error, "write down how far files of lines are stored");
                }
            }
            Ok(tally)
        });
        match tokio::time::timeout(ACK_TIME_MAX, settling).await {
            Ok(tally) => tally.map_err(|_panic| Refusal::Panicked)?,
            Err(_) => Err(Refusal::TimedOut("the disk did not answer in time")),
        }
    }
}

/// Who sends the lines from `offset` on, with what their file says before them of their fields.
fn with_fields(sender: &Arc<Sender>, part: &Part, offset: u64) -> Arc<Sender> {
    match (part.fields_at(offset), &**sender) {
        (Some(fields), Sender::Lines(origin)) => {
            let fields = String::from_utf8_lossy(&fields).into_owned();
            Arc::new(Sender::Lines(LineOrigin { fields, ..origin.clone() }))
        }
        _ => Arc::clone(sender),
    }
}
