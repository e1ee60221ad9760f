-- PostgreSQL. Changes of cards in use, purses, payment terminals and settlement. Forms as in 0001.

-- Whether the card is on the vault's deny lists (WANTED and LIFTING: the vault has not confirmed), and its chip.
ALTER TABLE cards ADD COLUMN denial TEXT NOT NULL DEFAULT 'NO' CHECK (denial IN ('NO', 'WANTED', 'YES', 'LIFTING'));
ALTER TABLE cards ADD COLUMN chip TEXT NOT NULL DEFAULT 'OPEN' CHECK (chip IN ('OPEN', 'BLOCKED', 'TERMINATED'));

CREATE TABLE purse_rules (
    id            TEXT PRIMARY KEY,
    digest        BYTEA NOT NULL CHECK (length(digest) = 32),
    body          TEXT NOT NULL,
    published_at  BIGINT NOT NULL
);

-- One purse for each card that was loaded, fen. spent: as the card showed it when it last lay on a counter.
CREATE TABLE purses (
    card     TEXT PRIMARY KEY REFERENCES cards (number),
    loaded   BIGINT NOT NULL CHECK (loaded BETWEEN 0 AND 4294967295),
    spent    BIGINT NOT NULL CHECK (spent BETWEEN 0 AND loaded)
);

-- Orders to change a card that its holder has.
CREATE TABLE changes (
    id              TEXT PRIMARY KEY,
    permit          TEXT NOT NULL REFERENCES permits (id),
    card            TEXT NOT NULL REFERENCES cards (number),
    kind            TEXT NOT NULL CHECK (kind IN
                    ('ENDORSE', 'TIER', 'ENTITLEMENT', 'ADDRESS', 'ROTATE', 'LOAD', 'BLOCK', 'UNBLOCK', 'END')),
    clerk           TEXT NOT NULL,
    approver        TEXT CHECK (approver <> clerk),
    -- What is to stand on the card, frozen; never the portrait.
    content         BYTEA NOT NULL,
    content_digest  BYTEA NOT NULL CHECK (length(content_digest) = 32),
    -- The permit's row that it was proposed on.
    permit_version  BIGINT NOT NULL,
    -- The permit's row that its approval made: the order in which the changes of a card hold.
    granted         BIGINT,
    applicant       TEXT,
    decision        TEXT,
    -- A load: fen, the purse behind it, and the rules that allowed it.
    amount          BIGINT CHECK (amount > 0),
    loaded          BIGINT CHECK (loaded >= amount),
    purse_rules     TEXT REFERENCES purse_rules (id),
    state           TEXT NOT NULL CHECK (state IN
                    ('PROPOSED', 'ORDERED', 'QUEUED', 'WRITING', 'DONE', 'GIVEN_UP')),
    way             TEXT CHECK (way IN ('COUNTER', 'UPDATE')),
    done_on         TEXT CHECK (length(done_on) = 10),
    version         BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    changed_at      BIGINT NOT NULL,
    CHECK ((kind = 'LOAD') = (amount IS NOT NULL AND loaded IS NOT NULL AND purse_rules IS NOT NULL)),
    CHECK ((state = 'DONE') = (way IS NOT NULL)),
    CHECK ((state = 'DONE') = (done_on IS NOT NULL)),
    CHECK (kind IN ('ROTATE', 'LOAD', 'BLOCK') OR state IN ('PROPOSED', 'GIVEN_UP') OR approver IS NOT NULL)
);

CREATE INDEX changes_of_card ON changes (card);
-- One piece of paper at a time: what is being signed off is not overtaken.
CREATE UNIQUE INDEX one_change_of_a_kind_per_card ON changes (card, kind)
    WHERE state IN ('PROPOSED', 'ORDERED', 'WRITING');

-- The vault's number of each sealed update of a change. No time: a receipt comes without a day.
CREATE TABLE change_updates (
    vault_change  BYTEA PRIMARY KEY CHECK (length(vault_change) = 16),
    change_id     TEXT NOT NULL REFERENCES changes (id),
    done          BIGINT NOT NULL DEFAULT 0 CHECK (done IN (0, 1))
);

CREATE INDEX updates_of_change ON change_updates (change_id);

-- Terminals that take payments. A registration number is given once.
CREATE TABLE payment_terminals (
    tid                 BIGINT PRIMARY KEY CHECK (tid BETWEEN 0 AND 4294967295),
    name                TEXT NOT NULL,
    authentication_key  BYTEA NOT NULL CHECK (length(authentication_key) = 65),
    valid_from          TEXT NOT NULL CHECK (length(valid_from) = 10),
    valid_to            TEXT NOT NULL CHECK (length(valid_to) = 10 AND valid_to >= valid_from),
    withdrawn_after     TEXT CHECK (length(withdrawn_after) = 10),
    created_at          BIGINT NOT NULL,
    changed_at          BIGINT NOT NULL
);

CREATE UNIQUE INDEX one_terminal_of_a_name ON payment_terminals (name) WHERE withdrawn_after IS NULL;

-- Settlement. Tables with a card's chain have no terminal, amount, day or time, and no order of arrival in a batch (rows
-- are written in the order of their keys); tables of a terminal have no chain.
CREATE TABLE settlement_files (
    tid          BIGINT NOT NULL REFERENCES payment_terminals (tid),
    number       BIGINT NOT NULL CHECK (number BETWEEN 1 AND 4294967295),
    digest       BYTEA NOT NULL CHECK (length(digest) = 32),
    -- Counts and sums, without cards: JSON.
    sums         TEXT NOT NULL,
    imported_at  BIGINT NOT NULL,
    PRIMARY KEY (tid, number)
);

CREATE TABLE settlement_debits (
    chain  BYTEA NOT NULL CHECK (length(chain) = 16),
    seq    BIGINT NOT NULL CHECK (seq BETWEEN 0 AND 4294967295),
    tac    BYTEA NOT NULL CHECK (length(tac) = 8),
    PRIMARY KEY (chain, seq)
);

-- Cards that were copied or broken. denied: the vault has put them onto the deny lists.
CREATE TABLE settlement_copied (
    chain   BYTEA PRIMARY KEY CHECK (length(chain) = 16),
    denied  BIGINT NOT NULL DEFAULT 0 CHECK (denied IN (0, 1))
);

-- Debits whose outcome a terminal does not know, by a digest that only the debit itself gives.
CREATE TABLE settlement_waiting (
    debit     BYTEA PRIMARY KEY CHECK (length(debit) = 32),
    tid       BIGINT NOT NULL REFERENCES payment_terminals (tid),
    amount    BIGINT NOT NULL CHECK (amount >= 0),
    resolved  BIGINT NOT NULL DEFAULT 0 CHECK (resolved IN (0, 1))
);

CREATE TABLE settlement_recovered_debits (
    debit  BYTEA PRIMARY KEY CHECK (length(debit) = 32)
);

-- What evidence from other terminals brought a terminal.
CREATE TABLE settlement_recovered (
    tid     BIGINT PRIMARY KEY REFERENCES payment_terminals (tid),
    debits  BIGINT NOT NULL CHECK (debits > 0),
    fen     BIGINT NOT NULL CHECK (fen >= 0)
);

-- What was written stays.
CREATE TRIGGER purse_rules_stay BEFORE UPDATE OR DELETE ON purse_rules FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER purses_stay BEFORE DELETE ON purses FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER changes_stay BEFORE DELETE ON changes FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER change_updates_stay BEFORE DELETE ON change_updates FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER payment_terminals_stay BEFORE DELETE ON payment_terminals FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER settlement_files_stay BEFORE UPDATE OR DELETE ON settlement_files FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER settlement_debits_stay BEFORE UPDATE OR DELETE ON settlement_debits FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER settlement_copied_stay BEFORE DELETE ON settlement_copied FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER settlement_waiting_stay BEFORE DELETE ON settlement_waiting FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER settlement_recovered_debits_stay BEFORE UPDATE OR DELETE ON settlement_recovered_debits FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER purses_grow BEFORE UPDATE ON purses
    FOR EACH ROW WHEN (new.loaded < old.loaded OR new.spent < old.spent OR new.card <> old.card) EXECUTE FUNCTION append_only();
CREATE TRIGGER changes_keep_content BEFORE UPDATE OF permit, card, kind, clerk, content, content_digest, permit_version, applicant, decision, amount, loaded, purse_rules ON changes
    FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER terminals_keep_key BEFORE UPDATE OF tid, name, authentication_key, valid_from, valid_to ON payment_terminals
    FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER updates_keep_change BEFORE UPDATE OF vault_change, change_id ON change_updates
    FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER waiting_keeps_debit BEFORE UPDATE OF debit, tid, amount ON settlement_waiting
    FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER recovered_grows BEFORE UPDATE ON settlement_recovered
    FOR EACH ROW WHEN (new.debits <= old.debits OR new.fen < old.fen OR new.tid <> old.tid) EXECUTE FUNCTION append_only();
