-- SQLite. Updates that are being sealed. Forms as in 0001.

-- The day on which the vault began to seal a change's updates; NULL: none is sealed, or all are. It is stored before the first
-- one, so that a change of which some updates are out is never taken for one of which none is, nor for one that is done.
ALTER TABLE changes ADD COLUMN sealing_since TEXT CHECK (length(sealing_since) = 10);

-- One piece of paper at a time, also while its updates are being sealed.
DROP INDEX one_change_of_a_kind_per_card;
CREATE UNIQUE INDEX one_change_of_a_kind_per_card ON changes (card, kind)
    WHERE state IN ('PROPOSED', 'ORDERED', 'WRITING') OR (state = 'QUEUED' AND sealing_since IS NOT NULL);
