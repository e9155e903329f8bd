-- Every agent that HQ knows; its number stands in its coupons, its key signs its requests.
CREATE TABLE agents (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    branch TEXT NOT NULL,
    number INTEGER NOT NULL UNIQUE,
    state TEXT NOT NULL CHECK (state IN ('claimed', 'active', 'revoked')),
    public_key BLOB,
    enrolled_ms INTEGER,
    last_contact_ms INTEGER
);

-- Claim codes; used ones stay, so that a repeated enrolment gets its first answer.
CREATE TABLE claims (
    id TEXT NOT NULL PRIMARY KEY,
    agent_id INTEGER NOT NULL REFERENCES agents (id),
    mac_key BLOB NOT NULL,
    expires_ms INTEGER NOT NULL,
    public_key BLOB,
    used_ms INTEGER
);
CREATE INDEX claims_agent ON claims (agent_id);

-- The high-water mark of each lane of each ledger file: all that deduplication needs.
CREATE TABLE lanes (
    id INTEGER PRIMARY KEY,
    agent_id INTEGER NOT NULL REFERENCES agents (id),
    lane TEXT NOT NULL,
    epoch TEXT NOT NULL,
    seq INTEGER NOT NULL,
    head BLOB NOT NULL,
    received_ms INTEGER NOT NULL,
    UNIQUE (agent_id, lane, epoch)
);

-- What arrived, as it was chained: a compressed batch of exactly the entries that were new.
CREATE TABLE segments (
    lane_id INTEGER NOT NULL REFERENCES lanes (id),
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (lane_id, first_seq)
);

-- Money events as rows, with the columns that look-ups and settlement need.
CREATE TABLE money (
    lane_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    agent_id INTEGER NOT NULL,
    branch TEXT NOT NULL,
    what TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    day TEXT NOT NULL,
    campaign TEXT,
    coupon TEXT,
    amount_minor INTEGER NOT NULL,
    basket_minor INTEGER NOT NULL,
    currency TEXT,
    edition INTEGER,
    not_after_ms INTEGER,
    order_id TEXT,
    redemption TEXT,
    till TEXT,
    by_whom TEXT,
    PRIMARY KEY (lane_id, seq)
) WITHOUT ROWID;
CREATE INDEX money_coupon ON money (agent_id, coupon) WHERE coupon IS NOT NULL;

-- Entries that arrived whole but could not be used; kept until they can be judged again.
CREATE TABLE dead_letters (
    lane_id INTEGER NOT NULL REFERENCES lanes (id),
    seq INTEGER NOT NULL,
    code TEXT NOT NULL,
    body BLOB NOT NULL,
    received_ms INTEGER NOT NULL,
    PRIMARY KEY (lane_id, seq)
);

-- What events come to, per branch and day. campaign '' is for what belongs to the branch.
CREATE TABLE rollups (
    branch TEXT NOT NULL,
    day TEXT NOT NULL,
    campaign TEXT NOT NULL,
    measure TEXT NOT NULL,
    total INTEGER NOT NULL,
    PRIMARY KEY (branch, day, campaign, measure)
) WITHOUT ROWID;
CREATE INDEX rollups_day ON rollups (day);

-- Tags that came, once per day and stage.
CREATE TABLE tags (
    branch TEXT NOT NULL,
    day TEXT NOT NULL,
    stage TEXT NOT NULL,
    beacon TEXT NOT NULL,
    PRIMARY KEY (branch, day, stage, beacon)
) WITHOUT ROWID;
CREATE INDEX tags_day ON tags (day);

CREATE TABLE users (
    name TEXT NOT NULL PRIMARY KEY,
    salt BLOB NOT NULL,
    password_scrypt BLOB NOT NULL
) WITHOUT ROWID;

-- The token itself is only with whoever signed in.
CREATE TABLE sessions (
    token_sha256 BLOB NOT NULL PRIMARY KEY,
    user_name TEXT NOT NULL,
    expires_ms INTEGER NOT NULL
) WITHOUT ROWID;
