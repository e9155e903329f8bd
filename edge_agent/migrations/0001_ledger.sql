-- Rows of every kind under (kind, id); what a body may hold is the kind's Record class.
CREATE TABLE record (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;

CREATE TABLE journal (
    lane TEXT NOT NULL,
    seq INTEGER NOT NULL,
    stamp_ms INTEGER NOT NULL,
    stamp_count INTEGER NOT NULL,
    body BLOB NOT NULL,
    head BLOB NOT NULL,
    PRIMARY KEY (lane, seq)
) WITHOUT ROWID;

-- Where each lane ends. Apart from the journal, so that a number is never used twice when entries are deleted.
CREATE TABLE lane (
    lane TEXT NOT NULL PRIMARY KEY,
    seq INTEGER NOT NULL,
    stamp_ms INTEGER NOT NULL,
    stamp_count INTEGER NOT NULL,
    head BLOB NOT NULL,
    confirmed_seq INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- One row: who this file is.
CREATE TABLE meta (
    only INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
    epoch TEXT NOT NULL,
    lease_number INTEGER NOT NULL CHECK (lease_number BETWEEN 1 AND 16777215),
    created_ms INTEGER NOT NULL,
    set_aside TEXT
);
