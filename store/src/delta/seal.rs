//! A checksum in each Delta log entry of ours, so that a flipped bit is an error and not another watermark.
//!
//! Delta has checksums for checkpoints only, and an entry is JSON: one bit makes a 7 of a 3 and nothing else
//! looks wrong. A watermark that is too high loses rows at the next replay, one that is too low doubles them.
//! So `commitInfo`, in which every writer may put what it likes, carries the CRC-32C of all other lines.
//!
//! Entries of other writers, and those that make a table, carry none and are taken as they are. Limits:
//! `commitInfo` itself is not covered, for nothing reads it.

use bytes::Bytes;
use serde_json::Value;

const COMMIT_INFO: &str = "commitInfo";

/// The key within `commitInfo`; its value is the checksum in eight hex digits.
const CHECKSUM: &str = "meshlakeCrc32c";

/// The entry with its checksum. One without `commitInfo` stays as it is.
pub(super) fn seal(entry: Bytes) -> Bytes {
    let Ok(text) = std::str::from_utf8(&entry) else { return entry };
    let checksum = checksum(text);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for line in &mut lines {
        if let Some(mut action) = commit_info(line) {
            action[COMMIT_INFO][CHECKSUM] = checksum.clone().into();
            *line = action.to_string();
        }
    }
    lines.join("\n").into()
}

/// Compares an entry with the checksum that it carries, if it does.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(entry: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(entry).map_err(|error| error.to_string())?;
    let carried = text.lines().find_map(|line| Some(commit_info(line)?[COMMIT_INFO][CHECKSUM].clone()));
    let Some(carried) = carried.filter(|carried| !carried.is_null()) else { return Ok(()) };
    let checksum = checksum(text);
    match carried == checksum {
        true => Ok(()),
        false => Err(format!("its checksum is {checksum}, and it says {carried}")),
    }
}

fn commit_info(line: &str) -> Option<Value> {
    // Any other line may be long: a quick look before it is parsed.
    if !line.starts_with("{\"commitInfo\":") {
        return None;
    }
    serde_json::from_str(line).ok().filter(|action: &Value| action[COMMIT_INFO].is_object())
}

fn checksum(text: &str) -> String {
    let lines = text.lines().filter(|line| commit_info(line).is_none());
    let crc =
        lines.fold(0, |crc, line| crc32c::crc32c_append(crc32c::crc32c_append(crc, line.as_bytes()), b"\n"));
    format!("{crc:08x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str =
        "{\"txn\":{\"appId\":\"c0/0\",\"version\":33}}\n{\"commitInfo\":{\"operation\":\"WRITE\"}}";

    #[test]
    fn a_sealed_entry_says_the_same_and_passes() {
        let sealed = seal(ENTRY.into());
        check(&sealed).expect("as it was sealed");
        let lines: Vec<&str> = std::str::from_utf8(&sealed).expect("text").lines().collect();
        assert_eq!(lines[0], ENTRY.lines().next().expect("two lines"));
        let info: Value = serde_json::from_str(lines[1]).expect("JSON");
        assert_eq!(info["commitInfo"]["operation"], "WRITE");
    }

    #[test]
    fn every_flipped_bit_of_an_action_is_found() {
        let sealed = seal(ENTRY.into());
        let action_bytes = ENTRY.find('\n').expect("two lines");
        for bit in 0..action_bytes * 8 {
            let mut flipped = sealed.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            check(&flipped).expect_err("another entry");
        }
    }

    #[test]
    fn an_entry_of_another_writer_is_left_alone() {
        check(ENTRY.as_bytes()).expect("it carries no checksum");
        check(b"{\"add\":{}}").expect("it has no commitInfo");
        assert_eq!(seal("{\"add\":{}}".into()), "{\"add\":{}}");
    }
}
