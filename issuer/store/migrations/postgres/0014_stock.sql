-- PostgreSQL. Blanks and cards that two people destroy, and who fetched a card for its holder. Forms as in 0001.

-- A chip that was set aside: no card is made of a blank while it is, nor once it is destroyed.
CREATE TABLE scraps (
    serial      TEXT PRIMARY KEY REFERENCES blanks (serial),
    reason      TEXT NOT NULL CHECK (reason IN
                ('CHIP', 'PRINT', 'MISMATCH', 'DAMAGED', 'RETURNED', 'REPLACED', 'NOT_COLLECTED', 'RECALLED', 'MISSING')),
    proposer    TEXT NOT NULL,
    witness     TEXT CHECK (witness <> proposer),
    state       TEXT NOT NULL CHECK (state IN ('OPEN', 'DONE', 'TAKEN_BACK')),
    version     BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    changed_at  BIGINT NOT NULL,
    CHECK ((state = 'DONE') = (witness IS NOT NULL))
);

CREATE INDEX open_scraps ON scraps (changed_at) WHERE state = 'OPEN';

-- An agent by name and kind of document: no number of it, and no copy.
CREATE TABLE hand_over_agents (
    order_id    TEXT PRIMARY KEY REFERENCES orders (id),
    name        TEXT NOT NULL,
    document    TEXT NOT NULL CHECK (document IN ('IDENTITY_CARD', 'REGION_PERMIT', 'PASSPORT', 'FOREIGNER_CARD')),
    changed_at  BIGINT NOT NULL
);

CREATE INDEX cards_to_allow ON cards (changed_at) WHERE allow_proposed_by IS NOT NULL;
CREATE INDEX blanks_of_lot ON blanks (lot, state);

-- What was written stays.
CREATE TRIGGER scraps_stay BEFORE DELETE ON scraps FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER scraps_end BEFORE UPDATE ON scraps
    FOR EACH ROW WHEN (old.state = 'DONE' OR new.serial <> old.serial) EXECUTE FUNCTION append_only();
