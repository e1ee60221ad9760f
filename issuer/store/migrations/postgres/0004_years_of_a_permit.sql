-- PostgreSQL. The day from which a permit's years are counted, the last day that stands on each card, and changes that
-- expire. Forms as in 0001.

-- Never moved. A permit of before: its first day, from which its first period was counted. Later last days of it may have
-- been moved by rest days; they stay, and its next endorsement is counted from the anchor again.
ALTER TABLE permits ADD COLUMN anchor TEXT CHECK (length(anchor) = 10);
UPDATE permits SET anchor = valid_from;
ALTER TABLE permits ALTER COLUMN anchor SET NOT NULL;
CREATE TRIGGER permits_keep_anchor BEFORE UPDATE OF anchor ON permits FOR EACH ROW EXECUTE FUNCTION append_only();

-- The last day of the permit that stands on the card, as far as the office knows; NULL: nothing stands on it. For a card of
-- before: that of its last endorsement, tier or entitlement that is done, else that of its order, once it was encoded.
ALTER TABLE cards ADD COLUMN until TEXT CHECK (length(until) = 10);
UPDATE cards SET until = COALESCE(
    (SELECT substring(encode(h.content, 'escape') from '"valid_to":"([0-9]{4}-[0-9]{2}-[0-9]{2})"')
     FROM changes h
     WHERE h.card = cards.number AND h.state = 'DONE' AND h.kind IN ('ENDORSE', 'TIER', 'ENTITLEMENT')
     ORDER BY h.granted DESC LIMIT 1),
    (SELECT substring(encode(o.content, 'escape') from '"valid_to":"([0-9]{4}-[0-9]{2}-[0-9]{2})"')
     FROM orders o WHERE o.id = cards.order_id))
WHERE EXISTS (SELECT 1 FROM order_steps s WHERE s.order_id = cards.order_id AND s.step = 'ENCODED');

-- An endorsement is signed off, queued or begun within its window. One of before that is open: up to the last day that
-- stands on its card, or for one that was proposed after it up to the day that it grants.
ALTER TABLE changes ADD COLUMN holds_until TEXT CHECK (length(holds_until) = 10);
UPDATE changes SET holds_until =
    CASE WHEN to_char(to_timestamp(changes.created_at / 1000) AT TIME ZONE 'UTC' + interval '8 hours', 'YYYY-MM-DD') <= c.until
         THEN c.until
         ELSE substring(encode(changes.content, 'escape') from '"valid_to":"([0-9]{4}-[0-9]{2}-[0-9]{2})"') END
FROM cards c WHERE c.number = changes.card AND kind = 'ENDORSE' AND changes.state IN ('PROPOSED', 'ORDERED', 'QUEUED', 'WRITING');

ALTER TABLE changes DROP CONSTRAINT changes_state_check;
ALTER TABLE changes ADD CHECK (state IN ('PROPOSED', 'ORDERED', 'QUEUED', 'WRITING', 'DONE', 'GIVEN_UP', 'EXPIRED'));
ALTER TABLE changes DROP CONSTRAINT changes_way_check;
ALTER TABLE changes ADD CHECK (way IN ('COUNTER', 'UPDATE', 'NEXT_CARD'));
-- The last of the four checks over several columns: by its content, for their names count.
DO $$
DECLARE name TEXT;
BEGIN
    SELECT conname INTO STRICT name FROM pg_constraint
    WHERE conrelid = 'changes'::regclass AND contype = 'c' AND pg_get_constraintdef(oid) LIKE '%PROPOSED%approver IS NOT NULL%';
    EXECUTE format('ALTER TABLE changes DROP CONSTRAINT %I', name);
END
$$;
ALTER TABLE changes ADD CHECK
    (kind IN ('ROTATE', 'LOAD', 'BLOCK') OR state IN ('PROPOSED', 'GIVEN_UP', 'EXPIRED') OR approver IS NOT NULL);

DROP TRIGGER changes_keep_content ON changes;
CREATE TRIGGER changes_keep_content BEFORE UPDATE OF permit, card, kind, clerk, content, content_digest, permit_version, applicant, decision, amount, loaded, purse_rules, holds_until ON changes
    FOR EACH ROW EXECUTE FUNCTION append_only();
