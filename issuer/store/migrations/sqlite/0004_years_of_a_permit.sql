-- SQLite. The day from which a permit's years are counted, the last day that stands on each card, and changes that expire.
-- Forms as in 0001.

-- Never moved. A permit of before: its first day, from which its first period was counted. Later last days of it may have
-- been moved by rest days; they stay, and its next endorsement is counted from the anchor again.
ALTER TABLE permits ADD COLUMN anchor TEXT CHECK (length(anchor) = 10);
UPDATE permits SET anchor = valid_from;
CREATE TRIGGER permits_have_an_anchor BEFORE INSERT ON permits WHEN new.anchor IS NULL BEGIN SELECT RAISE(ABORT, 'a permit has an anchor'); END;
CREATE TRIGGER permits_keep_anchor BEFORE UPDATE OF anchor ON permits BEGIN SELECT RAISE(ABORT, 'append-only'); END;

-- The last day of the permit that stands on the card, as far as the office knows; NULL: nothing stands on it. For a card of
-- before: that of its last endorsement, tier or entitlement that is done, else that of its order, once it was encoded.
ALTER TABLE cards ADD COLUMN until TEXT CHECK (length(until) = 10);
UPDATE cards SET until = COALESCE(
    (SELECT CASE WHEN instr(CAST(h.content AS TEXT), '"valid_to":"') > 0
        THEN substr(CAST(h.content AS TEXT), instr(CAST(h.content AS TEXT), '"valid_to":"') + 12, 10) END
     FROM changes h
     WHERE h.card = cards.number AND h.state = 'DONE' AND h.kind IN ('ENDORSE', 'TIER', 'ENTITLEMENT')
     ORDER BY h.granted DESC LIMIT 1),
    (SELECT CASE WHEN instr(CAST(o.content AS TEXT), '"valid_to":"') > 0
        THEN substr(CAST(o.content AS TEXT), instr(CAST(o.content AS TEXT), '"valid_to":"') + 12, 10) END
     FROM orders o WHERE o.id = cards.order_id))
WHERE EXISTS (SELECT 1 FROM order_steps s WHERE s.order_id = cards.order_id AND s.step = 'ENCODED');

-- An endorsement is signed off, queued or begun within its window. One of before that is open: up to the last day that
-- stands on its card, or for one that was proposed after it up to the day that it grants.
-- The tables are made again, because SQLite changes no CHECK.
CREATE TABLE changes_now (
    id              TEXT PRIMARY KEY,
    permit          TEXT NOT NULL REFERENCES permits (id),
    card            TEXT NOT NULL REFERENCES cards (number),
    kind            TEXT NOT NULL CHECK (kind IN
                    ('ENDORSE', 'TIER', 'ENTITLEMENT', 'ADDRESS', 'ROTATE', 'LOAD', 'BLOCK', 'UNBLOCK', 'END')),
    clerk           TEXT NOT NULL,
    approver        TEXT CHECK (approver <> clerk),
    -- What is to stand on the card, frozen; never the portrait.
    content         BLOB NOT NULL,
    content_digest  BLOB NOT NULL CHECK (length(content_digest) = 32),
    -- The permit's row that it was proposed on.
    permit_version  INTEGER NOT NULL,
    -- The permit's row that its approval made: the order in which the changes of a card hold.
    granted         INTEGER,
    applicant       TEXT,
    decision        TEXT,
    -- A load: fen, the purse behind it, and the rules that allowed it.
    amount          INTEGER CHECK (amount > 0),
    loaded          INTEGER CHECK (loaded >= amount),
    purse_rules     TEXT REFERENCES purse_rules (id),
    -- The last day on which it may be signed off, queued or begun; NULL: it has none.
    holds_until     TEXT CHECK (length(holds_until) = 10),
    state           TEXT NOT NULL CHECK (state IN
                    ('PROPOSED', 'ORDERED', 'QUEUED', 'WRITING', 'DONE', 'GIVEN_UP', 'EXPIRED')),
    way             TEXT CHECK (way IN ('COUNTER', 'UPDATE', 'NEXT_CARD')),
    done_on         TEXT CHECK (length(done_on) = 10),
    version         INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    changed_at      INTEGER NOT NULL,
    CHECK ((kind = 'LOAD') = (amount IS NOT NULL AND loaded IS NOT NULL AND purse_rules IS NOT NULL)),
    CHECK ((state = 'DONE') = (way IS NOT NULL)),
    CHECK ((state = 'DONE') = (done_on IS NOT NULL)),
    CHECK (kind IN ('ROTATE', 'LOAD', 'BLOCK') OR state IN ('PROPOSED', 'GIVEN_UP', 'EXPIRED') OR approver IS NOT NULL)
) STRICT;

INSERT INTO changes_now (
    id, permit, card, kind, clerk, approver, content, content_digest, permit_version, granted, applicant,
    decision, amount, loaded, purse_rules, holds_until, state, way, done_on, version, created_at, changed_at)
SELECT h.id, h.permit, h.card, h.kind, h.clerk, h.approver, h.content, h.content_digest, h.permit_version, h.granted,
    h.applicant, h.decision, h.amount, h.loaded, h.purse_rules,
    CASE WHEN h.kind = 'ENDORSE' AND h.state IN ('PROPOSED', 'ORDERED', 'QUEUED', 'WRITING') THEN
        CASE WHEN date(h.created_at / 1000, 'unixepoch', '+8 hours') <= c.until THEN c.until
             ELSE CASE WHEN instr(CAST(h.content AS TEXT), '"valid_to":"') > 0
        THEN substr(CAST(h.content AS TEXT), instr(CAST(h.content AS TEXT), '"valid_to":"') + 12, 10) END END
    END,
    h.state, h.way, h.done_on, h.version, h.created_at, h.changed_at
FROM changes h JOIN cards c ON c.number = h.card;

CREATE TABLE change_updates_now (
    vault_change  BLOB PRIMARY KEY CHECK (length(vault_change) = 16),
    change_id     TEXT NOT NULL REFERENCES changes_now (id),
    done          INTEGER NOT NULL DEFAULT 0 CHECK (done IN (0, 1))
) STRICT, WITHOUT ROWID;

INSERT INTO change_updates_now SELECT vault_change, change_id, done FROM change_updates;
DROP TABLE change_updates;
DROP TABLE changes;
ALTER TABLE changes_now RENAME TO changes;
ALTER TABLE change_updates_now RENAME TO change_updates;

CREATE INDEX changes_of_card ON changes (card);
-- One piece of paper at a time: what is being signed off is not overtaken.
CREATE UNIQUE INDEX one_change_of_a_kind_per_card ON changes (card, kind)
    WHERE state IN ('PROPOSED', 'ORDERED', 'WRITING');
CREATE INDEX updates_of_change ON change_updates (change_id);

CREATE TRIGGER changes_no_delete BEFORE DELETE ON changes BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER change_updates_no_delete BEFORE DELETE ON change_updates BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER changes_keep_content BEFORE UPDATE OF permit, card, kind, clerk, content, content_digest, permit_version, applicant, decision, amount, loaded, purse_rules, holds_until ON changes BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER updates_keep_change BEFORE UPDATE OF vault_change, change_id ON change_updates BEGIN SELECT RAISE(ABORT, 'append-only'); END;
