-- Which life of HQ this is: drawn here, and newly by a restore. A fenced HQ grants nothing until it has heard every agent.
CREATE TABLE lease_fence (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    incarnation TEXT NOT NULL,
    is_fenced INTEGER NOT NULL
);
INSERT INTO lease_fence VALUES (1, lower(hex(randomblob(16))), 0);

-- Agents that ever asked, or that a restore found. heard_in: the incarnation that knows all of its grants.
CREATE TABLE lease_agents (
    agent TEXT NOT NULL PRIMARY KEY,
    heard_in TEXT NOT NULL,
    is_given_up INTEGER NOT NULL
) WITHOUT ROWID;

-- One ledger file's requests: the last one's number and what it was.
CREATE TABLE lease_desks (
    agent TEXT NOT NULL,
    epoch TEXT NOT NULL,
    number INTEGER NOT NULL,
    request_sha256 BLOB NOT NULL,
    is_written_off INTEGER NOT NULL,
    PRIMARY KEY (agent, epoch)
) WITHOUT ROWID;

-- Totals of one ledger file's lease of one campaign; none of them ever falls.
CREATE TABLE lease_accounts (
    agent TEXT NOT NULL,
    epoch TEXT NOT NULL,
    campaign TEXT NOT NULL,
    granted_units INTEGER NOT NULL,
    granted_minor INTEGER NOT NULL,
    returned_units INTEGER NOT NULL,
    returned_minor INTEGER NOT NULL,
    used_units INTEGER NOT NULL,
    used_minor INTEGER NOT NULL,
    PRIMARY KEY (agent, epoch, campaign)
) WITHOUT ROWID;
CREATE INDEX lease_accounts_campaign ON lease_accounts (campaign);

-- What all leases of a campaign have out: the sum of granted less returned, kept so that a grant need not add up thousands.
CREATE TABLE lease_pools (
    campaign TEXT NOT NULL PRIMARY KEY,
    units INTEGER NOT NULL,
    minor INTEGER NOT NULL
) WITHOUT ROWID;

-- What each journal says was issued, kept up by whatever takes its entries in.
CREATE TABLE lane_issues (
    lane_id INTEGER NOT NULL REFERENCES lanes (id),
    campaign TEXT NOT NULL,
    units INTEGER NOT NULL,
    minor INTEGER NOT NULL,
    PRIMARY KEY (campaign, lane_id)
) WITHOUT ROWID;
INSERT INTO lane_issues
    SELECT lane_id, campaign, COUNT(*), SUM(amount_minor) FROM money
    WHERE what = 'coupon_issued' AND campaign IS NOT NULL GROUP BY lane_id, campaign;
