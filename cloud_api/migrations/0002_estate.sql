-- What HQ wants: one revision counts all changes. changed: the revision that last changed what all branches share.
CREATE TABLE estate (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    revision INTEGER NOT NULL,
    changed INTEGER NOT NULL
);
INSERT INTO estate (id, revision, changed) VALUES (1, 0, 0);

-- body: the branch and its access as JSON; outline: what HQ keeps at hand of it, read at every start. A branch that was
-- dropped stays unlisted, for its journals may still be on the way.
CREATE TABLE branches (
    code TEXT NOT NULL PRIMARY KEY,
    changed INTEGER NOT NULL,
    is_listed INTEGER NOT NULL CHECK (is_listed IN (0, 1)),
    outline TEXT NOT NULL,
    body TEXT NOT NULL
);

-- What was published never changes.
CREATE TABLE campaigns (
    id TEXT NOT NULL,
    edition INTEGER NOT NULL,
    number INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (id, edition)
);

CREATE TABLE stops (
    campaign TEXT NOT NULL PRIMARY KEY,
    honour_issued INTEGER NOT NULL CHECK (honour_issued IN (0, 1)),
    by_whom TEXT NOT NULL,
    at_ms INTEGER NOT NULL
);

CREATE TABLE members (
    id TEXT NOT NULL PRIMARY KEY,
    code_sha256 TEXT NOT NULL
);

-- Numbers of agents that were ever listed; they stand in coupons, so nobody else ever gets them.
CREATE TABLE numbers (
    agent TEXT NOT NULL PRIMARY KEY,
    number INTEGER NOT NULL UNIQUE
);

-- What each agent last said of itself, as JSON.
CREATE TABLE reports (
    agent TEXT NOT NULL PRIMARY KEY,
    received_ms INTEGER NOT NULL,
    body TEXT NOT NULL
);
