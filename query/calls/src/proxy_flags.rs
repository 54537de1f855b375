//! What Envoy's response flags say of a call beside its outcome.

use std::sync::LazyLock;

use meshlake_schema::ResponseFlags;

/// Flags of calls that the caller's own proxy refused, so that they never reached the upstream.
/// Sources: Envoy's access log documentation, `%RESPONSE_FLAGS%`: no healthy host, connection failed,
/// circuit open, no route or cluster, rate limited, denied, overloaded, injected, malformed.
static REFUSED: LazyLock<ResponseFlags> = LazyLock::new(|| {
    ResponseFlags::from_short_names("UH,UF,UO,NR,NC,NFCF,DF,RL,RLSE,UAEX,OM,DO,UDO,FI,IH,DPE")
});

/// Flags of calls that one side stopped waiting for: the caller is gone, or the upstream timed out.
static CANCELLED: LazyLock<ResponseFlags> = LazyLock::new(|| ResponseFlags::from_short_names("DC,DR,UT"));

/// Whether a call that its caller's proxy flagged so never left that proxy.
pub fn is_refused(flags: ResponseFlags) -> bool {
    flags.0 & REFUSED.0 != 0
}

/// Whether a call that was flagged so ended because somebody stopped waiting.
pub fn is_cancelled(flags: ResponseFlags) -> bool {
    flags.0 & CANCELLED.0 != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_tell_what_was_refused_and_what_was_given_up() {
        for (flags, refused, cancelled) in [
            ("", false, false),
            ("-", false, false),
            ("UF,URX", true, false),
            ("UH", true, false),
            ("DC", false, true),
            ("UT,URX", false, true),
            ("UC", false, false),
        ] {
            let flags = ResponseFlags::from_short_names(flags);
            assert_eq!((is_refused(flags), is_cancelled(flags)), (refused, cancelled), "{flags:?}");
        }
    }
}
