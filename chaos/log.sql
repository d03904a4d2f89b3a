-- What records every write of the result table, as it is committed. It raises
-- nothing: that would hide the damage.
CREATE SCHEMA chaos;

CREATE TABLE chaos.writes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    op text NOT NULL,
    project_id bigint NOT NULL,
    new regmend.data_repair_details,
    old regmend.data_repair_details,
    missing text[] NOT NULL
);
CREATE INDEX ON chaos.writes (xid);

CREATE FUNCTION chaos.record() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO chaos.writes (op, project_id, new, old, missing)
    SELECT TG_OP, coalesce(NEW.project_id, OLD.project_id), NEW, OLD,
           coalesce(array_agg(name ORDER BY name COLLATE "C"), '{}')
    FROM regmend.missing_repositories WHERE project_id = coalesce(NEW.project_id, OLD.project_id);
    RETURN NULL;
END
$$;

-- Deferred: the items are written after the row, in the same transaction.
CREATE CONSTRAINT TRIGGER chaos_records AFTER INSERT OR UPDATE OR DELETE ON regmend.data_repair_details
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION chaos.record();

-- The same of the sweeps: each state that one was in.
CREATE TABLE chaos.sweeps (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    sweep regmend.sweeps NOT NULL,
    listed bigint -- of all projects, at the end of the walk
);
CREATE INDEX ON chaos.sweeps (xid);

CREATE FUNCTION chaos.record_sweep() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO chaos.sweeps (sweep, listed)
    SELECT NEW, CASE WHEN NEW.state = 'judging' AND NEW.cursor = 0
                     THEN (SELECT sum(listed) FROM regmend.sweep_projects WHERE scan_number = NEW.scan_number) END;
    RETURN NULL;
END
$$;

CREATE TRIGGER chaos_records AFTER INSERT OR UPDATE ON regmend.sweeps
    FOR EACH ROW EXECUTE FUNCTION chaos.record_sweep();

-- Where a sweep can be stopped within a step, by whoever has the lock of that
-- gate: when all projects are kept, when a page has been judged, when the last
-- one has, and when results are written and the cursor is to move on.
CREATE FUNCTION chaos.gate() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(7001, CASE
        WHEN OLD.state = 'preparing' AND NEW.state = 'walking' THEN 1
        WHEN OLD.state = 'walking' AND NEW.state = 'walking' THEN 2
        WHEN OLD.state = 'walking' AND NEW.state = 'judging' THEN 3
        WHEN OLD.state = 'judging' AND NEW.cursor <> OLD.cursor THEN 4
        ELSE 0 END);
    RETURN NEW;
END
$$;

CREATE TRIGGER chaos_gate BEFORE UPDATE ON regmend.sweeps
    FOR EACH ROW EXECUTE FUNCTION chaos.gate();

-- What was looked at: the names that each look believes missing.
CREATE TABLE chaos.looks (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    project_id bigint NOT NULL,
    run bigint NOT NULL,
    scan bigint NOT NULL,
    missing text[] NOT NULL
);
CREATE INDEX ON chaos.looks (xid);

CREATE FUNCTION chaos.record_look() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO chaos.looks (project_id, run, scan, missing)
    SELECT NEW.project_id, NEW.run_id, NEW.scan_number, coalesce(array_agg(name ORDER BY name COLLATE "C"), '{}')
    FROM regmend.looked_repositories WHERE project_id = NEW.project_id;
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER chaos_records AFTER INSERT OR UPDATE ON regmend.looks
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION chaos.record_look();
