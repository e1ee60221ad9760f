-- All photos of one person, the newest first, whatever became of them.
CREATE INDEX photos_by_person ON photos (person, received_at);
