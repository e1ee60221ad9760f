-- SQLite. What a case decides on, frozen when its intake ends. Forms as in 0001.

-- Facts, decision, photo digests and the digest of the front as it will be printed; never the picture. A change is a new version, and
-- the case is reviewed anew.
CREATE TABLE case_contents (
    application     TEXT NOT NULL REFERENCES applications (id),
    version         INTEGER NOT NULL CHECK (version >= 1),
    clerk           TEXT NOT NULL,
    content         BLOB NOT NULL,
    content_digest  BLOB NOT NULL CHECK (length(content_digest) = 32),
    state           TEXT NOT NULL CHECK (state IN ('COMPLETED', 'REVIEWED', 'SIGNED', 'USED', 'SUPERSEDED')),
    reviewer        TEXT CHECK (reviewer <> clerk),
    approver        TEXT CHECK (approver <> clerk AND approver <> reviewer),
    completed_at    INTEGER NOT NULL,
    changed_at      INTEGER NOT NULL,
    PRIMARY KEY (application, version),
    CHECK (state NOT IN ('REVIEWED', 'SIGNED', 'USED') OR reviewer IS NOT NULL),
    CHECK (state NOT IN ('SIGNED', 'USED') OR approver IS NOT NULL)
) STRICT;

CREATE UNIQUE INDEX one_live_content_per_application ON case_contents (application)
    WHERE state IN ('COMPLETED', 'REVIEWED', 'SIGNED');
CREATE INDEX case_contents_by_state ON case_contents (state) WHERE state IN ('COMPLETED', 'REVIEWED', 'SIGNED');

CREATE TRIGGER case_contents_keep BEFORE UPDATE OF application, version, clerk, content, content_digest, completed_at
    ON case_contents BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER case_contents_stay BEFORE DELETE ON case_contents BEGIN SELECT RAISE(ABORT, 'append-only'); END;

-- A case that went back to review is decided again: the decision of each version stays.
CREATE TABLE decisions_of_versions (
    application  TEXT NOT NULL REFERENCES applications (id),
    version      INTEGER NOT NULL CHECK (version >= 1),
    reviewer     TEXT NOT NULL,
    tier         TEXT CHECK (tier IN ('TEMP', 'EMPLOYMENT', 'TALENT')),
    rule_set     TEXT NOT NULL REFERENCES rule_sets (id),
    rule_digest  BLOB NOT NULL CHECK (length(rule_digest) = 32),
    -- The whole decision with its explanation, frozen.
    body         TEXT NOT NULL,
    made_at      INTEGER NOT NULL,
    PRIMARY KEY (application, version)
) STRICT;
INSERT INTO decisions_of_versions (application, version, reviewer, tier, rule_set, rule_digest, body, made_at)
    SELECT application, 1, reviewer, tier, rule_set, rule_digest, body, made_at FROM decisions;
DROP TABLE decisions;
ALTER TABLE decisions_of_versions RENAME TO decisions;
CREATE TRIGGER decisions_no_update BEFORE UPDATE ON decisions BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER decisions_no_delete BEFORE DELETE ON decisions BEGIN SELECT RAISE(ABORT, 'append-only'); END;
