-- The branch that an entry came from: its agent may have another one by the time that the entry can be used.
ALTER TABLE dead_letters ADD COLUMN branch TEXT NOT NULL DEFAULT '';
UPDATE dead_letters SET branch = (
    SELECT agents.branch FROM lanes JOIN agents ON agents.id = lanes.agent_id WHERE lanes.id = dead_letters.lane_id
);
