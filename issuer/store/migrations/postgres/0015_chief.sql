-- PostgreSQL. What a chief closes and what a holder asks: days that were closed, paper forms, the key of slips, evaluations. Forms as in 0001.

CREATE INDEX events_by_time ON events (at);
-- The number on a slip: the last 12 hex digits of the application's id, which are random.
CREATE INDEX applications_by_receipt ON applications (substr(id, 25));

-- A day that was closed: the entries of the ledger from after_seq on (not included) up to to_seq, and the report as it was signed off.
CREATE TABLE day_closings (
    day        TEXT PRIMARY KEY CHECK (length(day) = 10),
    after_seq  BIGINT NOT NULL UNIQUE CHECK (after_seq >= 0),
    to_seq     BIGINT NOT NULL CHECK (to_seq >= after_seq),
    report     TEXT NOT NULL,
    closed_by  TEXT NOT NULL,
    closed_at  BIGINT NOT NULL
);

-- Numbered forms of paper for hours without the system. What was typed is here until a second person confirmed it; then it is the application's.
CREATE TABLE paper_forms (
    number        TEXT PRIMARY KEY CHECK (length(number) = 14),
    division      TEXT NOT NULL CHECK (length(division) = 6),
    state         TEXT NOT NULL CHECK (state IN ('GIVEN_OUT', 'TYPED', 'FILED', 'VOID')),
    given_out_on  TEXT NOT NULL CHECK (length(given_out_on) = 10),
    given_out_by  TEXT NOT NULL,
    -- The day on the paper, on which it was accepted.
    paper_day     TEXT CHECK (length(paper_day) = 10 AND paper_day >= given_out_on),
    application   TEXT UNIQUE,
    applicant     TEXT,
    typed_by      TEXT,
    confirmed_by  TEXT CHECK (confirmed_by <> typed_by),
    version       BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    changed_at    BIGINT NOT NULL,
    CHECK ((state IN ('TYPED', 'FILED')) = (paper_day IS NOT NULL AND application IS NOT NULL AND typed_by IS NOT NULL)),
    CHECK ((state = 'TYPED') = (applicant IS NOT NULL)),
    CHECK ((state = 'FILED') = (confirmed_by IS NOT NULL))
);

CREATE INDEX paper_forms_by_state ON paper_forms (state, number);

-- By which the code on a slip follows from its application: a secret of the office.
CREATE TABLE slip_key (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    key  BYTEA NOT NULL CHECK (length(key) = 32)
);
INSERT INTO slip_key (id, key) VALUES (1, decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));

-- That a service was evaluated, by a keyed digest that names nobody; and how often each score was given. Nothing joins the two.
CREATE TABLE evaluated (
    service  BYTEA PRIMARY KEY CHECK (length(service) = 32)
);

CREATE TABLE evaluations (
    division  TEXT NOT NULL CHECK (length(division) = 6),
    month     TEXT NOT NULL CHECK (length(month) = 7),
    kind      TEXT NOT NULL CHECK (kind IN ('FIRST_ISSUE', 'REPLACEMENT', 'CHANGE')),
    score     BIGINT NOT NULL CHECK (score BETWEEN 1 AND 5),
    number    BIGINT NOT NULL CHECK (number > 0),
    PRIMARY KEY (division, month, kind, score)
);

-- What was written stays.
CREATE TRIGGER day_closings_stay BEFORE UPDATE OR DELETE ON day_closings FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER paper_forms_stay BEFORE DELETE ON paper_forms FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER paper_forms_keep_number BEFORE UPDATE OF number, division, given_out_on, given_out_by ON paper_forms
    FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER paper_forms_are_over BEFORE UPDATE ON paper_forms
    FOR EACH ROW WHEN (old.state IN ('FILED', 'VOID')) EXECUTE FUNCTION append_only();
CREATE TRIGGER slip_key_stays BEFORE UPDATE OR DELETE ON slip_key FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER evaluated_stay BEFORE DELETE ON evaluated FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER evaluations_stay BEFORE DELETE ON evaluations FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER evaluations_grow BEFORE UPDATE ON evaluations
    FOR EACH ROW WHEN (new.number <= old.number OR new.division <> old.division OR new.month <> old.month OR new.kind <> old.kind OR new.score <> old.score) EXECUTE FUNCTION append_only();
