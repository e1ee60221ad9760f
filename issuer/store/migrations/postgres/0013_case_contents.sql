-- PostgreSQL. What a case decides on, frozen when its intake ends. Forms as in 0001.

-- Facts, decision, photo digests and the digest of the front as it will be printed; never the picture. A change is a new version, and
-- the case is reviewed anew.
CREATE TABLE case_contents (
    application     TEXT NOT NULL REFERENCES applications (id),
    version         BIGINT NOT NULL CHECK (version >= 1),
    clerk           TEXT NOT NULL,
    content         BYTEA NOT NULL,
    content_digest  BYTEA NOT NULL CHECK (length(content_digest) = 32),
    state           TEXT NOT NULL CHECK (state IN ('COMPLETED', 'REVIEWED', 'SIGNED', 'USED', 'SUPERSEDED')),
    reviewer        TEXT CHECK (reviewer <> clerk),
    approver        TEXT CHECK (approver <> clerk AND approver <> reviewer),
    completed_at    BIGINT NOT NULL,
    changed_at      BIGINT NOT NULL,
    PRIMARY KEY (application, version),
    CHECK (state NOT IN ('REVIEWED', 'SIGNED', 'USED') OR reviewer IS NOT NULL),
    CHECK (state NOT IN ('SIGNED', 'USED') OR approver IS NOT NULL)
);

CREATE UNIQUE INDEX one_live_content_per_application ON case_contents (application)
    WHERE state IN ('COMPLETED', 'REVIEWED', 'SIGNED');
CREATE INDEX case_contents_by_state ON case_contents (state) WHERE state IN ('COMPLETED', 'REVIEWED', 'SIGNED');

CREATE TRIGGER case_contents_keep BEFORE UPDATE OF application, version, clerk, content, content_digest, completed_at
    ON case_contents FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER case_contents_stay BEFORE DELETE ON case_contents FOR EACH ROW EXECUTE FUNCTION append_only();

-- A case that went back to review is decided again: the decision of each version stays.
ALTER TABLE decisions ADD COLUMN version BIGINT NOT NULL DEFAULT 1 CHECK (version >= 1);
ALTER TABLE decisions ALTER COLUMN version DROP DEFAULT;
ALTER TABLE decisions DROP CONSTRAINT decisions_pkey;
ALTER TABLE decisions ADD PRIMARY KEY (application, version);
