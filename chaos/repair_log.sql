-- What records every change of GitLab's repositories and of the items of repairs,
-- in the transaction that makes it. It raises nothing: that would hide the damage.
CREATE TABLE chaos.repositories (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    role text NOT NULL DEFAULT session_user,
    op text NOT NULL,
    referrer boolean NOT NULL DEFAULT false, -- it is of a row that refers to this one
    row_id bigint NOT NULL,
    project_id bigint NOT NULL DEFAULT 0,
    name text NOT NULL DEFAULT '',
    new text NOT NULL DEFAULT '',
    old text NOT NULL DEFAULT '',
    against text[] NOT NULL DEFAULT '{}'
);
CREATE INDEX ON chaos.repositories (xid);

-- What speaks against a row, and did so for a while before the statement began
-- that inserts it: what is committed in that very moment it cannot see.
CREATE FUNCTION chaos.against(p_project bigint, p_name text) RETURNS text[] LANGUAGE sql SECURITY DEFINER AS $$
    SELECT coalesce(array_agg(why), '{}') FROM (
        SELECT 'its project has another path than planned' AS why FROM public.routes r
        WHERE r.source_type = 'Project' AND r.source_id = p_project
          AND coalesce(pg_xact_commit_timestamp(r.xmin), '-infinity') < statement_timestamp() - interval '100 ms'
          AND NOT EXISTS (SELECT FROM regmend.repair_items i JOIN regmend.repair_plans p ON p.id = i.plan_id
                          WHERE p.state = 'applying' AND i.project_id = p_project AND i.name = p_name AND i.full_path = r.path)
        UNION ALL
        SELECT 'its clean-up policy is enabled' FROM public.container_expiration_policies e
        WHERE e.project_id = p_project AND e.enabled
          AND coalesce(pg_xact_commit_timestamp(e.xmin), '-infinity') < statement_timestamp() - interval '100 ms'
        UNION ALL
        SELECT 'GitLab redirects its path to another project' FROM public.redirect_routes o
        JOIN public.routes r ON r.source_type = 'Project' AND r.source_id = p_project
        WHERE o.source_type = 'Project' AND o.source_id <> p_project
          AND lower(o.path) IN (lower(r.path), lower(r.path) || CASE WHEN p_name = '' THEN '' ELSE '/' || p_name END)
          AND coalesce(pg_xact_commit_timestamp(o.xmin), '-infinity') < statement_timestamp() - interval '100 ms'
    ) AS found
$$;

CREATE FUNCTION chaos.record_repository() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET timezone = 'UTC' AS $$
DECLARE
    r public.container_repositories := coalesce(NEW, OLD);
BEGIN
    INSERT INTO chaos.repositories (op, row_id, project_id, name, new, old, against)
    SELECT TG_OP, r.id, r.project_id, r.name, coalesce(to_jsonb(NEW)::text, ''), coalesce(to_jsonb(OLD)::text, ''),
           CASE WHEN TG_OP = 'INSERT' THEN chaos.against(r.project_id, r.name) ELSE '{}' END;
    RETURN NULL;
END
$$;

CREATE TRIGGER chaos_records AFTER INSERT OR UPDATE OR DELETE ON public.container_repositories
    FOR EACH ROW EXECUTE FUNCTION chaos.record_repository();

-- regmend writes to no table that has triggers which it does not know. This one it
-- is not to see.
UPDATE pg_trigger SET tgisinternal = true
WHERE tgname = 'chaos_records' AND tgrelid = 'public.container_repositories'::regclass;

-- As Geo has it: rows that go with the repository's.
CREATE TABLE public.container_repository_states (
    container_repository_id bigint PRIMARY KEY REFERENCES public.container_repositories ON DELETE CASCADE
);

CREATE FUNCTION chaos.record_referrer() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO chaos.repositories (op, referrer, row_id)
    SELECT TG_OP, true, coalesce(NEW.container_repository_id, OLD.container_repository_id);
    RETURN NULL;
END
$$;

CREATE TRIGGER chaos_records AFTER INSERT OR UPDATE OR DELETE ON public.container_repository_states
    FOR EACH ROW EXECUTE FUNCTION chaos.record_referrer();

CREATE TABLE chaos.items (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    scan bigint NOT NULL, -- the last number given out by then
    op text NOT NULL,
    via text NOT NULL,
    ordered text NOT NULL, -- the plan's state
    was text NOT NULL,
    item regmend.repair_items NOT NULL
);
CREATE INDEX ON chaos.items (xid);

CREATE FUNCTION chaos.record_item() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    r regmend.repair_items := coalesce(NEW, OLD);
BEGIN
    INSERT INTO chaos.items (scan, op, via, ordered, was, item)
    SELECT (SELECT last_value FROM regmend.scan_number), TG_OP, coalesce(p.via, ''), p.state, coalesce(OLD.state, ''), r
    FROM regmend.repair_plans p WHERE p.id = r.plan_id;
    RETURN NULL;
END
$$;

CREATE TRIGGER chaos_records AFTER INSERT OR UPDATE OR DELETE ON regmend.repair_items
    FOR EACH ROW EXECUTE FUNCTION chaos.record_item();

-- Where a repair can be stopped within a transaction that has done its work, by
-- whoever has the lock of that gate. It is patient, whatever regmend's limit is.
CREATE FUNCTION chaos.repair_gate() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = 0 AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(7002, CASE
        WHEN OLD.state = 'open' AND NEW.state = 'applied' THEN 1
        WHEN NEW.state = 'applied' AND OLD.rescan_after IS NULL AND NEW.rescan_after IS NOT NULL THEN 2
        WHEN OLD.state = 'applied' AND NEW.state = 'undone' THEN 3
        WHEN NEW.state = 'undone' AND OLD.rescan_after IS NULL AND NEW.rescan_after IS NOT NULL THEN 4
        ELSE 0 END);
    RETURN NULL;
END
$$;

CREATE TRIGGER chaos_gate AFTER UPDATE ON regmend.repair_items
    FOR EACH ROW EXECUTE FUNCTION chaos.repair_gate();
