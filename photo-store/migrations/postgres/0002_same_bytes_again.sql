-- A superseded photo no longer stands for its bytes: submitted again, they become a new photo with a new receipt.
DROP INDEX photos_same_bytes;
CREATE UNIQUE INDEX photos_same_bytes ON photos (person, digest) WHERE state NOT IN ('SHREDDED', 'SUPERSEDED');
