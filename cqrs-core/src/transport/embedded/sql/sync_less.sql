-- cqrs-core: sync_less
-- For a subscriber: what a power cut may take back (a claim, an acknowledgement) is delivered again,
-- which a message may be at any time. Without an fsync per acknowledgement it is also fast.
PRAGMA synchronous = NORMAL
