-- When a try began that must not simply be repeated, such as typing a message: after a crash such an effect is in doubt, and what
-- became of it is found out by looking instead of doing it again.
ALTER TABLE outbox ADD COLUMN begun INTEGER;
