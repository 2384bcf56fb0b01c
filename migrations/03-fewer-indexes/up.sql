-- Each index is a page that every commit writes. Nothing asks for events in the order of all hosts' clocks: what is folded does not
-- care about order, and local readers follow the order of arrival.
DROP INDEX events_by_hlc;
-- Old reports are forgotten once at a start, by reading the few days that are kept.
DROP INDEX seen_reports_by_age;
