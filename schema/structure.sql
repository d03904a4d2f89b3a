--
-- PostgreSQL database dump
--

--
-- Name: regmend; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA regmend;

--
-- Name: refuse_change(); Type: FUNCTION; Schema: regmend; Owner: -
--

CREATE FUNCTION regmend.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION 'regmend.% is only ever added to', TG_TABLE_NAME;
END
$$;

--
-- Name: brake_steps; Type: TABLE; Schema: regmend; Owner: -
--

CREATE TABLE regmend.brake_steps (
    id bigint NOT NULL,
    follows bigint NOT NULL,
    run_id bigint NOT NULL,
    taken_at timestamp with time zone DEFAULT now() NOT NULL,
    taken_by text NOT NULL,
    was integer NOT NULL,
    slots integer NOT NULL,
    usual_us bigint NOT NULL,
    usual_large_us bigint NOT NULL,
    reason text NOT NULL,
    CONSTRAINT brake_steps_reason_check CHECK ((reason <> ''::text)),
    CONSTRAINT brake_steps_run_id_check CHECK ((run_id > 0)),
    CONSTRAINT brake_steps_slots_check CHECK ((slots > 0)),
    CONSTRAINT brake_steps_usual_large_us_check CHECK ((usual_large_us >= 0)),
    CONSTRAINT brake_steps_usual_us_check CHECK ((usual_us >= 0)),
    CONSTRAINT brake_steps_was_check CHECK ((was > 0))
);

--
-- Name: TABLE brake_steps; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON TABLE regmend.brake_steps IS 'How many slots the brake left, and why; the highest id is in force, in its run';

--
-- Name: COLUMN brake_steps.follows; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.brake_steps.follows IS 'The step before; 0: none';

--
-- Name: COLUMN brake_steps.usual_us; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.brake_steps.usual_us IS 'What small answers of the registry usually take, in microseconds; 0: not known';

--
-- Name: COLUMN brake_steps.usual_large_us; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.brake_steps.usual_large_us IS 'The same of pages of the catalog and large listings';

--
-- Name: brake_steps_id_seq; Type: SEQUENCE; Schema: regmend; Owner: -
--

ALTER TABLE regmend.brake_steps ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME regmend.brake_steps_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: data_repair_details; Type: TABLE; Schema: regmend; Owner: -
--

CREATE TABLE regmend.data_repair_details (
    project_id bigint NOT NULL,
    missing_count integer NOT NULL,
    status text NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    run_id bigint NOT NULL,
    scan_number bigint NOT NULL,
    full_path text,
    method text,
    pages integer,
    listed integer,
    attempts integer DEFAULT 0 NOT NULL,
    next_attempt_at timestamp with time zone,
    error text,
    failure_scan_number bigint,
    contradiction text,
    look_again_at timestamp with time zone,
    snapshot integer,
    CONSTRAINT completed_has_evidence CHECK (((status <> 'completed'::text) OR ((full_path IS NOT NULL) AND (full_path <> ''::text) AND (method IS NOT NULL) AND (method <> ''::text) AND (pages IS NOT NULL) AND (pages > 0) AND (listed IS NOT NULL) AND (listed >= missing_count)))),
    CONSTRAINT contradiction_is_of_completed CHECK (((contradiction IS NULL) OR ((status = 'completed'::text) AND (contradiction <> ''::text)))),
    CONSTRAINT data_repair_details_missing_count_check CHECK ((missing_count >= 0)),
    CONSTRAINT data_repair_details_run_id_check CHECK ((run_id > 0)),
    CONSTRAINT data_repair_details_scan_number_check CHECK ((scan_number > 0)),
    CONSTRAINT data_repair_details_status_check CHECK ((status = ANY (ARRAY['completed'::text, 'failed'::text]))),
    CONSTRAINT failed_misses_nothing CHECK (((status <> 'failed'::text) OR (missing_count = 0))),
    CONSTRAINT failure_is_whole CHECK (
CASE
    WHEN (failure_scan_number IS NULL) THEN ((status = 'completed'::text) AND (attempts = 0) AND (next_attempt_at IS NULL) AND (error IS NULL))
    ELSE ((failure_scan_number >= scan_number) AND (attempts > 0) AND (next_attempt_at IS NOT NULL) AND (error IS NOT NULL) AND (error <> ''::text))
END),
    CONSTRAINT look_again_is_of_completed CHECK (((look_again_at IS NULL) OR (status = 'completed'::text)))
);

--
-- Name: TABLE data_repair_details; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON TABLE regmend.data_repair_details IS 'What the last scans of a project said';

--
-- Name: COLUMN data_repair_details.full_path; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.data_repair_details.full_path IS 'The path that was listed';

--
-- Name: COLUMN data_repair_details.listed; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.data_repair_details.listed IS 'How many of the project''s own repositories the registry listed';

--
-- Name: COLUMN data_repair_details.failure_scan_number; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.data_repair_details.failure_scan_number IS 'Of the failure that came after the completed scan, or of the last one where none completed';

--
-- Name: COLUMN data_repair_details.contradiction; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.data_repair_details.contradiction IS 'What catalog and listing disagreed about';

--
-- Name: COLUMN data_repair_details.look_again_at; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.data_repair_details.look_again_at IS 'When the first of its young repositories is old enough to be counted';

--
-- Name: COLUMN data_repair_details.snapshot; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.data_repair_details.snapshot IS 'Number of the version that the listing is; NULL where it is none: empty from the first, or proven by a sweep';

--
-- Name: looked_repositories; Type: TABLE; Schema: regmend; Owner: -
--

CREATE TABLE regmend.looked_repositories (
    project_id bigint NOT NULL,
    name text NOT NULL,
    looked_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone
);

--
-- Name: TABLE looked_repositories; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON TABLE regmend.looked_repositories IS 'What the looks believe missing';

--
-- Name: COLUMN looked_repositories.looked_at; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.looked_repositories.looked_at IS 'When the first of the looks was written that had it, one after the other';

--
-- Name: COLUMN looked_repositories.created_at; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.looked_repositories.created_at IS 'As the registry says; NULL: it does not';

--
-- Name: looks; Type: TABLE; Schema: regmend; Owner: -
--

CREATE TABLE regmend.looks (
    project_id bigint NOT NULL,
    run_id bigint NOT NULL,
    scan_number bigint NOT NULL,
    full_path text NOT NULL,
    looked_at timestamp with time zone DEFAULT now() NOT NULL,
    contradiction text,
    CONSTRAINT looks_contradiction_check CHECK ((contradiction <> ''::text)),
    CONSTRAINT looks_full_path_check CHECK ((full_path <> ''::text)),
    CONSTRAINT looks_run_id_check CHECK ((run_id > 0)),
    CONSTRAINT looks_scan_number_check CHECK ((scan_number > 0))
);

--
-- Name: TABLE looks; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON TABLE regmend.looks IS 'Projects that seem to miss something and are to be looked at again; the newest look of each';

--
-- Name: COLUMN looks.full_path; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.looks.full_path IS 'The path that was listed; under another one the look counts for nothing';

--
-- Name: COLUMN looks.looked_at; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.looks.looked_at IS 'When the look was written, which is after its listing';

--
-- Name: COLUMN looks.contradiction; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.looks.contradiction IS 'What catalog and listing disagreed about, where a sweep looked';

--
-- Name: missing_repositories; Type: TABLE; Schema: regmend; Owner: -
--

CREATE TABLE regmend.missing_repositories (
    project_id bigint NOT NULL,
    name text NOT NULL,
    created_at timestamp with time zone
);

--
-- Name: COLUMN missing_repositories.name; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.missing_repositories.name IS 'Relative to the project''s path, empty for its root repository';

--
-- Name: COLUMN missing_repositories.created_at; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.missing_repositories.created_at IS 'As the registry says; NULL: it does not';

--
-- Name: repair_audit; Type: TABLE; Schema: regmend; Owner: -
--

CREATE TABLE regmend.repair_audit (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    actor text NOT NULL,
    host text NOT NULL,
    role text DEFAULT SESSION_USER NOT NULL,
    action text NOT NULL,
    plan_id bigint,
    reason text DEFAULT ''::text NOT NULL,
    what text NOT NULL,
    CONSTRAINT apply_has_reason CHECK (((action <> 'apply'::text) OR (reason <> ''::text))),
    CONSTRAINT is_about_a_plan CHECK (((plan_id IS NOT NULL) = (action = ANY (ARRAY['plan'::text, 'apply'::text, 'undo'::text])))),
    CONSTRAINT repair_audit_action_check CHECK ((action = ANY (ARRAY['plan'::text, 'apply'::text, 'undo'::text, 'enable'::text, 'disable'::text]))),
    CONSTRAINT repair_audit_actor_check CHECK ((actor <> ''::text)),
    CONSTRAINT repair_audit_host_check CHECK ((host <> ''::text)),
    CONSTRAINT repair_audit_what_check CHECK ((what <> ''::text))
);

--
-- Name: repair_audit_id_seq; Type: SEQUENCE; Schema: regmend; Owner: -
--

ALTER TABLE regmend.repair_audit ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME regmend.repair_audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: repair_items; Type: TABLE; Schema: regmend; Owner: -
--

CREATE TABLE regmend.repair_items (
    plan_id bigint NOT NULL,
    number integer NOT NULL,
    project_id bigint NOT NULL,
    name text NOT NULL,
    full_path text NOT NULL,
    scan_number bigint NOT NULL,
    snapshot integer,
    repository_created_at timestamp with time zone,
    refusals text[] DEFAULT '{}'::text[] NOT NULL,
    state text NOT NULL,
    reason text,
    asked_at timestamp with time zone,
    inserted_id bigint,
    inserted jsonb,
    doubt text,
    verified_at timestamp with time zone,
    rescan_after bigint,
    order_id bigint,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT decided_by_an_order CHECK (((order_id IS NOT NULL) = (state <> ALL (ARRAY['refused'::text, 'open'::text])))),
    CONSTRAINT inserted_is_whole CHECK ((((inserted_id IS NOT NULL) = (inserted IS NOT NULL)) AND ((inserted_id IS NOT NULL) = (state = ANY (ARRAY['applied'::text, 'undone'::text, 'kept'::text]))))),
    CONSTRAINT left_has_reason CHECK (((state <> ALL (ARRAY['skipped'::text, 'failed'::text, 'kept'::text])) OR (reason IS NOT NULL))),
    CONSTRAINT only_inserted_is_verified CHECK (((verified_at IS NULL) OR (inserted_id IS NOT NULL))),
    CONSTRAINT refused_has_refusals CHECK (((state <> 'refused'::text) OR (refusals <> '{}'::text[]))),
    CONSTRAINT repair_items_doubt_check CHECK ((doubt <> ''::text)),
    CONSTRAINT repair_items_full_path_check CHECK ((full_path <> ''::text)),
    CONSTRAINT repair_items_number_check CHECK ((number > 0)),
    CONSTRAINT repair_items_project_id_check CHECK ((project_id > 0)),
    CONSTRAINT repair_items_reason_check CHECK ((reason <> ''::text)),
    CONSTRAINT repair_items_scan_number_check CHECK ((scan_number > 0)),
    CONSTRAINT repair_items_state_check CHECK ((state = ANY (ARRAY['refused'::text, 'open'::text, 'applied'::text, 'skipped'::text, 'failed'::text, 'undone'::text, 'kept'::text])))
);

--
-- Name: TABLE repair_items; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON TABLE regmend.repair_items IS 'The repositories of a plan; each is in one state';

--
-- Name: COLUMN repair_items.full_path; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.repair_items.full_path IS 'The project''s, when it was planned';

--
-- Name: COLUMN repair_items.scan_number; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.repair_items.scan_number IS 'Of the result that proves it missing';

--
-- Name: COLUMN repair_items.snapshot; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.repair_items.snapshot IS 'The listing that names it; NULL: not kept';

--
-- Name: COLUMN repair_items.refusals; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.repair_items.refusals IS 'What spoke against it when it was planned, accepted or not';

--
-- Name: COLUMN repair_items.asked_at; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.repair_items.asked_at IS 'When GitLab was first asked to make the row, by this server''s clock';

--
-- Name: COLUMN repair_items.inserted; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.repair_items.inserted IS 'The row as it was inserted: undo removes it only while it is that';

--
-- Name: COLUMN repair_items.doubt; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.repair_items.doubt IS 'Why the row may be somebody else''s: undo leaves it';

--
-- Name: COLUMN repair_items.rescan_after; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.repair_items.rescan_after IS 'A result of its project with a higher scan number has seen what was done';

--
-- Name: repair_plans; Type: TABLE; Schema: regmend; Owner: -
--

CREATE TABLE regmend.repair_plans (
    id bigint NOT NULL,
    run_id bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    created_by text NOT NULL,
    scope text NOT NULL,
    accepted text[] DEFAULT '{}'::text[] NOT NULL,
    state text DEFAULT 'planned'::text NOT NULL,
    via text,
    order_id bigint,
    stopped text,
    CONSTRAINT applying_has_a_way CHECK (((state <> 'applying'::text) OR (via IS NOT NULL))),
    CONSTRAINT only_orders_stop CHECK (((stopped IS NULL) OR (order_id IS NOT NULL))),
    CONSTRAINT ordered_is_ordered CHECK (((order_id IS NOT NULL) = (state <> 'planned'::text))),
    CONSTRAINT repair_plans_created_by_check CHECK ((created_by <> ''::text)),
    CONSTRAINT repair_plans_run_id_check CHECK ((run_id > 0)),
    CONSTRAINT repair_plans_scope_check CHECK ((scope <> ''::text)),
    CONSTRAINT repair_plans_state_check CHECK ((state = ANY (ARRAY['planned'::text, 'applying'::text, 'undoing'::text]))),
    CONSTRAINT repair_plans_stopped_check CHECK ((stopped <> ''::text)),
    CONSTRAINT repair_plans_via_check CHECK ((via = ANY (ARRAY['sql'::text, 'gitlab'::text])))
);

--
-- Name: TABLE repair_plans; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON TABLE regmend.repair_plans IS 'What is to be put back, and how far that is';

--
-- Name: COLUMN repair_plans.accepted; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.repair_plans.accepted IS 'Reasons to refuse an item that the operator accepted';

--
-- Name: COLUMN repair_plans.state; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.repair_plans.state IS 'What was ordered last; a plan that was undone is never applied again';

--
-- Name: COLUMN repair_plans.order_id; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.repair_plans.order_id IS 'The last order, in the audit; work of an older one is dropped';

--
-- Name: COLUMN repair_plans.stopped; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.repair_plans.stopped IS 'Why the order cannot go on; the next one begins anew';

--
-- Name: repair_plans_id_seq; Type: SEQUENCE; Schema: regmend; Owner: -
--

ALTER TABLE regmend.repair_plans ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME regmend.repair_plans_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: runs; Type: TABLE; Schema: regmend; Owner: -
--

CREATE TABLE regmend.runs (
    id bigint NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    reason text NOT NULL,
    registry text NOT NULL,
    system_identifier text NOT NULL,
    scan_number bigint NOT NULL,
    CONSTRAINT runs_reason_check CHECK ((reason <> ''::text)),
    CONSTRAINT runs_scan_number_check CHECK ((scan_number > 0)),
    CONSTRAINT runs_system_identifier_check CHECK ((system_identifier <> ''::text))
);

--
-- Name: TABLE runs; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON TABLE regmend.runs IS 'Passes over one installation and one registry; the highest id is the current one';

--
-- Name: COLUMN runs.scan_number; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.runs.scan_number IS 'Every result of the run has a higher one';

--
-- Name: runs_id_seq; Type: SEQUENCE; Schema: regmend; Owner: -
--

ALTER TABLE regmend.runs ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME regmend.runs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: scan_number; Type: SEQUENCE; Schema: regmend; Owner: -
--

CREATE SEQUENCE regmend.scan_number
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

--
-- Name: schema_migrations; Type: TABLE; Schema: regmend; Owner: -
--

CREATE TABLE regmend.schema_migrations (
    id integer NOT NULL,
    version_id bigint NOT NULL,
    is_applied boolean NOT NULL,
    tstamp timestamp without time zone DEFAULT now() NOT NULL
);

--
-- Name: schema_migrations_id_seq; Type: SEQUENCE; Schema: regmend; Owner: -
--

ALTER TABLE regmend.schema_migrations ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME regmend.schema_migrations_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: settings; Type: TABLE; Schema: regmend; Owner: -
--

CREATE TABLE regmend.settings (
    key text NOT NULL,
    value text NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    changed_by text DEFAULT SESSION_USER NOT NULL,
    CONSTRAINT settings_key_check CHECK ((key = ANY (ARRAY['max_concurrency'::text, 'scan_enabled'::text, 'batch_size'::text, 'page_size'::text, 'stash_limit'::text, 'flush_after'::text, 'queue_minutes'::text, 'lap_interval'::text, 'witness_share'::text, 'scope'::text, 'strategy'::text, 'requests_per_second'::text, 'brake'::text, 'active_hours'::text, 'confirm_after'::text, 'min_age'::text, 'retain_snapshots'::text, 'retain_snapshots_for'::text, 'shrink_share'::text, 'repair_concurrency'::text, 'repair_enabled'::text]))),
    CONSTRAINT value_fits_key CHECK (
CASE
    WHEN (key = ANY (ARRAY['scan_enabled'::text, 'repair_enabled'::text])) THEN (value = ANY (ARRAY['true'::text, 'false'::text]))
    WHEN (key = 'brake'::text) THEN (value = ANY (ARRAY['on'::text, 'off'::text]))
    WHEN (key = 'strategy'::text) THEN (value = ANY (ARRAY['project'::text, 'sweep'::text, 'auto'::text]))
    WHEN (key = ANY (ARRAY['flush_after'::text, 'lap_interval'::text, 'confirm_after'::text, 'min_age'::text, 'retain_snapshots_for'::text])) THEN (value ~ '^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$'::text)
    WHEN (key = 'active_hours'::text) THEN (value ~ '^$|^[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}(,[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2})* [^ ]+$'::text)
    WHEN (key <> 'scope'::text) THEN (value ~ '^[0-9]{1,9}$'::text)
    ELSE true
END)
);

--
-- Name: settings_history; Type: TABLE; Schema: regmend; Owner: -
--

CREATE TABLE regmend.settings_history (
    id bigint NOT NULL,
    key text NOT NULL,
    old text NOT NULL,
    new text NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    changed_by text NOT NULL
);

--
-- Name: settings_history_id_seq; Type: SEQUENCE; Schema: regmend; Owner: -
--

ALTER TABLE regmend.settings_history ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME regmend.settings_history_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: shrinkage; Type: TABLE; Schema: regmend; Owner: -
--

CREATE TABLE regmend.shrinkage (
    run_id bigint NOT NULL,
    compared integer NOT NULL,
    shrunk integer NOT NULL,
    accepted_at timestamp with time zone,
    accepted_by text,
    CONSTRAINT acceptance_is_whole CHECK (((accepted_at IS NULL) = (accepted_by IS NULL))),
    CONSTRAINT shrinkage_check CHECK (((shrunk >= 0) AND (shrunk <= compared))),
    CONSTRAINT shrinkage_compared_check CHECK ((compared >= 0))
);

--
-- Name: snapshot_contents; Type: TABLE; Schema: regmend; Owner: -
--

CREATE TABLE regmend.snapshot_contents (
    digest bytea NOT NULL,
    listed integer NOT NULL,
    names text NOT NULL,
    CONSTRAINT digest_is_of_names CHECK ((digest = sha256(convert_to(names, 'UTF8'::name)))),
    CONSTRAINT listed_is_of_names CHECK (((listed > 0) AND (listed = (octet_length(names) - octet_length(replace(names, '
'::text, ''::text))))))
);

--
-- Name: TABLE snapshot_contents; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON TABLE regmend.snapshot_contents IS 'Sets of repositories that were listed of projects, by the SHA-256 of their canonical form';

--
-- Name: COLUMN snapshot_contents.names; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.snapshot_contents.names IS 'The canonical form: each name, relative to its project''s path, in the order of its bytes and followed by a newline';

--
-- Name: snapshots; Type: TABLE; Schema: regmend; Owner: -
--

CREATE TABLE regmend.snapshots (
    project_id bigint NOT NULL,
    run_id bigint NOT NULL,
    scan_number bigint NOT NULL,
    last_scan_number bigint NOT NULL,
    first_seen_at timestamp with time zone DEFAULT now() NOT NULL,
    last_seen_at timestamp with time zone DEFAULT now() NOT NULL,
    number integer NOT NULL,
    listed integer NOT NULL,
    digest bytea,
    CONSTRAINT empty_has_no_contents CHECK (((listed = 0) = (digest IS NULL))),
    CONSTRAINT last_is_not_before_first CHECK ((last_scan_number >= scan_number)),
    CONSTRAINT snapshots_listed_check CHECK ((listed >= 0)),
    CONSTRAINT snapshots_number_check CHECK ((number > 0)),
    CONSTRAINT snapshots_run_id_check CHECK ((run_id > 0)),
    CONSTRAINT snapshots_scan_number_check CHECK ((scan_number > 0))
)
WITH (fillfactor='90');

--
-- Name: TABLE snapshots; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON TABLE regmend.snapshots IS 'Versions of what projects list; the highest number is the latest';

--
-- Name: COLUMN snapshots.scan_number; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.snapshots.scan_number IS 'Of the scan that saw it first';

--
-- Name: COLUMN snapshots.last_scan_number; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.snapshots.last_scan_number IS 'Of the scan that saw it last, which nothing older comes after';

--
-- Name: COLUMN snapshots.digest; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.snapshots.digest IS 'NULL: the empty set';

--
-- Name: sweep_candidates; Type: TABLE; Schema: regmend; Owner: -
--

CREATE TABLE regmend.sweep_candidates (
    scan_number bigint NOT NULL,
    project_id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    in_catalog boolean NOT NULL,
    reported boolean NOT NULL,
    tagged boolean
);

--
-- Name: TABLE sweep_candidates; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON TABLE regmend.sweep_candidates IS 'Repositories that may be missing';

--
-- Name: COLUMN sweep_candidates.in_catalog; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.sweep_candidates.in_catalog IS 'The catalog has it; what no scan reported is here only if it had no row when its page was judged';

--
-- Name: COLUMN sweep_candidates.reported; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.sweep_candidates.reported IS 'An older scan found it missing';

--
-- Name: COLUMN sweep_candidates.tagged; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.sweep_candidates.tagged IS 'What the registry said of its tags; NULL: not asked';

--
-- Name: sweep_projects; Type: TABLE; Schema: regmend; Owner: -
--

CREATE TABLE regmend.sweep_projects (
    scan_number bigint NOT NULL,
    project_id bigint NOT NULL,
    full_path text NOT NULL,
    route xid NOT NULL,
    listed integer DEFAULT 0 NOT NULL
);

--
-- Name: TABLE sweep_projects; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON TABLE regmend.sweep_projects IS 'The projects as they were before the walk';

--
-- Name: COLUMN sweep_projects.route; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.sweep_projects.route IS 'Version of the route''s row: another one if it was changed, also where it was changed back';

--
-- Name: COLUMN sweep_projects.listed; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.sweep_projects.listed IS 'How many of the project''s own repositories the catalog had';

--
-- Name: sweep_sample; Type: TABLE; Schema: regmend; Owner: -
--

CREATE TABLE regmend.sweep_sample (
    scan_number bigint NOT NULL,
    project_id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    in_catalog boolean DEFAULT false NOT NULL
);

--
-- Name: TABLE sweep_sample; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON TABLE regmend.sweep_sample IS 'Some of the repositories that had a row before the walk: those with tags have to be in the catalog';

--
-- Name: sweeps; Type: TABLE; Schema: regmend; Owner: -
--

CREATE TABLE regmend.sweeps (
    id bigint NOT NULL,
    run_id bigint NOT NULL,
    scan_number bigint NOT NULL,
    state text DEFAULT 'preparing'::text NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    started_by text NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    ended_at timestamp with time zone,
    "position" text DEFAULT ''::text NOT NULL,
    cursor bigint DEFAULT 0 NOT NULL,
    pages integer DEFAULT 0 NOT NULL,
    projects bigint DEFAULT 0 NOT NULL,
    repositories bigint DEFAULT 0 NOT NULL,
    unowned bigint DEFAULT 0 NOT NULL,
    candidates bigint DEFAULT 0 NOT NULL,
    proven bigint DEFAULT 0 NOT NULL,
    CONSTRAINT ended_is_ended CHECK (((ended_at IS NOT NULL) = (state = ANY (ARRAY['done'::text, 'failed'::text])))),
    CONSTRAINT failed_has_reason CHECK (((state <> 'failed'::text) OR (reason <> ''::text))),
    CONSTRAINT sweeps_pages_check CHECK ((pages >= 0)),
    CONSTRAINT sweeps_run_id_check CHECK ((run_id > 0)),
    CONSTRAINT sweeps_scan_number_check CHECK ((scan_number > 0)),
    CONSTRAINT sweeps_state_check CHECK ((state = ANY (ARRAY['preparing'::text, 'walking'::text, 'judging'::text, 'done'::text, 'failed'::text]))),
    CONSTRAINT walked_has_pages CHECK (((state <> ALL (ARRAY['judging'::text, 'done'::text])) OR (pages > 0)))
);

--
-- Name: TABLE sweeps; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON TABLE regmend.sweeps IS 'Walks over the registry''s whole catalog; the highest id is the last one';

--
-- Name: COLUMN sweeps.scan_number; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.sweeps.scan_number IS 'Of its results, and of the rows it works with: a walk begun anew takes another one';

--
-- Name: COLUMN sweeps."position"; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.sweeps."position" IS 'Where in the catalog the next page begins, as the registry said; empty at the first';

--
-- Name: COLUMN sweeps.cursor; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON COLUMN regmend.sweeps.cursor IS 'The last project that was kept, or judged';

--
-- Name: sweeps_id_seq; Type: SEQUENCE; Schema: regmend; Owner: -
--

ALTER TABLE regmend.sweeps ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME regmend.sweeps_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: unowned_repositories; Type: TABLE; Schema: regmend; Owner: -
--

CREATE TABLE regmend.unowned_repositories (
    scan_number bigint NOT NULL,
    path text NOT NULL COLLATE pg_catalog."C"
);

--
-- Name: TABLE unowned_repositories; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON TABLE regmend.unowned_repositories IS 'Repositories in the catalog under no project''s path';

--
-- Name: young_repositories; Type: TABLE; Schema: regmend; Owner: -
--

CREATE TABLE regmend.young_repositories (
    project_id bigint NOT NULL,
    name text NOT NULL,
    created_at timestamp with time zone NOT NULL
);

--
-- Name: TABLE young_repositories; Type: COMMENT; Schema: regmend; Owner: -
--

COMMENT ON TABLE regmend.young_repositories IS 'Listed twice, without a row, and too young to be counted as missing';

--
-- Name: brake_steps brake_steps_follows_key; Type: CONSTRAINT; Schema: regmend; Owner: -
--

ALTER TABLE ONLY regmend.brake_steps
    ADD CONSTRAINT brake_steps_follows_key UNIQUE (follows);

--
-- Name: brake_steps brake_steps_pkey; Type: CONSTRAINT; Schema: regmend; Owner: -
--

ALTER TABLE ONLY regmend.brake_steps
    ADD CONSTRAINT brake_steps_pkey PRIMARY KEY (id);

--
-- Name: data_repair_details data_repair_details_pkey; Type: CONSTRAINT; Schema: regmend; Owner: -
--

ALTER TABLE ONLY regmend.data_repair_details
    ADD CONSTRAINT data_repair_details_pkey PRIMARY KEY (project_id);

--
-- Name: looked_repositories looked_repositories_pkey; Type: CONSTRAINT; Schema: regmend; Owner: -
--

ALTER TABLE ONLY regmend.looked_repositories
    ADD CONSTRAINT looked_repositories_pkey PRIMARY KEY (project_id, name);

--
-- Name: looks looks_pkey; Type: CONSTRAINT; Schema: regmend; Owner: -
--

ALTER TABLE ONLY regmend.looks
    ADD CONSTRAINT looks_pkey PRIMARY KEY (project_id);

--
-- Name: missing_repositories missing_repositories_pkey; Type: CONSTRAINT; Schema: regmend; Owner: -
--

ALTER TABLE ONLY regmend.missing_repositories
    ADD CONSTRAINT missing_repositories_pkey PRIMARY KEY (project_id, name);

--
-- Name: repair_audit repair_audit_pkey; Type: CONSTRAINT; Schema: regmend; Owner: -
--

ALTER TABLE ONLY regmend.repair_audit
    ADD CONSTRAINT repair_audit_pkey PRIMARY KEY (id);

--
-- Name: repair_items repair_items_pkey; Type: CONSTRAINT; Schema: regmend; Owner: -
--

ALTER TABLE ONLY regmend.repair_items
    ADD CONSTRAINT repair_items_pkey PRIMARY KEY (plan_id, number);

--
-- Name: repair_items repair_items_plan_id_project_id_name_key; Type: CONSTRAINT; Schema: regmend; Owner: -
--

ALTER TABLE ONLY regmend.repair_items
    ADD CONSTRAINT repair_items_plan_id_project_id_name_key UNIQUE (plan_id, project_id, name);

--
-- Name: repair_plans repair_plans_pkey; Type: CONSTRAINT; Schema: regmend; Owner: -
--

ALTER TABLE ONLY regmend.repair_plans
    ADD CONSTRAINT repair_plans_pkey PRIMARY KEY (id);

--
-- Name: runs runs_pkey; Type: CONSTRAINT; Schema: regmend; Owner: -
--

ALTER TABLE ONLY regmend.runs
    ADD CONSTRAINT runs_pkey PRIMARY KEY (id);

--
-- Name: schema_migrations schema_migrations_pkey; Type: CONSTRAINT; Schema: regmend; Owner: -
--

ALTER TABLE ONLY regmend.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (id);

--
-- Name: settings_history settings_history_pkey; Type: CONSTRAINT; Schema: regmend; Owner: -
--

ALTER TABLE ONLY regmend.settings_history
    ADD CONSTRAINT settings_history_pkey PRIMARY KEY (id);

--
-- Name: settings settings_pkey; Type: CONSTRAINT; Schema: regmend; Owner: -
--

ALTER TABLE ONLY regmend.settings
    ADD CONSTRAINT settings_pkey PRIMARY KEY (key);

--
-- Name: shrinkage shrinkage_pkey; Type: CONSTRAINT; Schema: regmend; Owner: -
--

ALTER TABLE ONLY regmend.shrinkage
    ADD CONSTRAINT shrinkage_pkey PRIMARY KEY (run_id);

--
-- Name: snapshot_contents snapshot_contents_pkey; Type: CONSTRAINT; Schema: regmend; Owner: -
--

ALTER TABLE ONLY regmend.snapshot_contents
    ADD CONSTRAINT snapshot_contents_pkey PRIMARY KEY (digest);

--
-- Name: snapshots snapshots_pkey; Type: CONSTRAINT; Schema: regmend; Owner: -
--

ALTER TABLE ONLY regmend.snapshots
    ADD CONSTRAINT snapshots_pkey PRIMARY KEY (project_id, number);

--
-- Name: sweep_candidates sweep_candidates_pkey; Type: CONSTRAINT; Schema: regmend; Owner: -
--

ALTER TABLE ONLY regmend.sweep_candidates
    ADD CONSTRAINT sweep_candidates_pkey PRIMARY KEY (scan_number, project_id, name);

--
-- Name: sweep_projects sweep_projects_pkey; Type: CONSTRAINT; Schema: regmend; Owner: -
--

ALTER TABLE ONLY regmend.sweep_projects
    ADD CONSTRAINT sweep_projects_pkey PRIMARY KEY (scan_number, project_id);

--
-- Name: sweep_sample sweep_sample_pkey; Type: CONSTRAINT; Schema: regmend; Owner: -
--

ALTER TABLE ONLY regmend.sweep_sample
    ADD CONSTRAINT sweep_sample_pkey PRIMARY KEY (scan_number, project_id, name);

--
-- Name: sweeps sweeps_pkey; Type: CONSTRAINT; Schema: regmend; Owner: -
--

ALTER TABLE ONLY regmend.sweeps
    ADD CONSTRAINT sweeps_pkey PRIMARY KEY (id);

--
-- Name: unowned_repositories unowned_repositories_pkey; Type: CONSTRAINT; Schema: regmend; Owner: -
--

ALTER TABLE ONLY regmend.unowned_repositories
    ADD CONSTRAINT unowned_repositories_pkey PRIMARY KEY (scan_number, path);

--
-- Name: young_repositories young_repositories_pkey; Type: CONSTRAINT; Schema: regmend; Owner: -
--

ALTER TABLE ONLY regmend.young_repositories
    ADD CONSTRAINT young_repositories_pkey PRIMARY KEY (project_id, name);

--
-- Name: data_repair_details_contradiction; Type: INDEX; Schema: regmend; Owner: -
--

CREATE INDEX data_repair_details_contradiction ON regmend.data_repair_details USING btree (project_id) WHERE (contradiction IS NOT NULL);

--
-- Name: data_repair_details_due; Type: INDEX; Schema: regmend; Owner: -
--

CREATE INDEX data_repair_details_due ON regmend.data_repair_details USING btree (next_attempt_at) WHERE (next_attempt_at IS NOT NULL);

--
-- Name: data_repair_details_failed; Type: INDEX; Schema: regmend; Owner: -
--

CREATE INDEX data_repair_details_failed ON regmend.data_repair_details USING btree (project_id) WHERE (status = 'failed'::text);

--
-- Name: data_repair_details_missing; Type: INDEX; Schema: regmend; Owner: -
--

CREATE INDEX data_repair_details_missing ON regmend.data_repair_details USING btree (project_id) WHERE (missing_count > 0);

--
-- Name: repair_items_inserted; Type: INDEX; Schema: regmend; Owner: -
--

CREATE UNIQUE INDEX repair_items_inserted ON regmend.repair_items USING btree (inserted_id) WHERE (state = ANY (ARRAY['applied'::text, 'kept'::text]));

--
-- Name: repair_items_project; Type: INDEX; Schema: regmend; Owner: -
--

CREATE INDEX repair_items_project ON regmend.repair_items USING btree (project_id) WHERE (state = ANY (ARRAY['open'::text, 'applied'::text, 'failed'::text, 'kept'::text]));

--
-- Name: settings_history_key; Type: INDEX; Schema: regmend; Owner: -
--

CREATE INDEX settings_history_key ON regmend.settings_history USING btree (key, id);

--
-- Name: snapshots_digest; Type: INDEX; Schema: regmend; Owner: -
--

CREATE INDEX snapshots_digest ON regmend.snapshots USING btree (digest) WHERE (digest IS NOT NULL);

--
-- Name: sweep_candidates_open; Type: INDEX; Schema: regmend; Owner: -
--

CREATE INDEX sweep_candidates_open ON regmend.sweep_candidates USING btree (scan_number, project_id, name) WHERE ((tagged IS NULL) AND (in_catalog <> reported));

--
-- Name: sweeps_unfinished; Type: INDEX; Schema: regmend; Owner: -
--

CREATE UNIQUE INDEX sweeps_unfinished ON regmend.sweeps USING btree ((true)) WHERE (state = ANY (ARRAY['preparing'::text, 'walking'::text, 'judging'::text]));

--
-- Name: repair_audit append_only; Type: TRIGGER; Schema: regmend; Owner: -
--

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON regmend.repair_audit FOR EACH STATEMENT EXECUTE FUNCTION regmend.refuse_change();

--
-- Name: data_repair_details data_repair_details_project_id_fkey; Type: FK CONSTRAINT; Schema: regmend; Owner: -
--

ALTER TABLE ONLY regmend.data_repair_details
    ADD CONSTRAINT data_repair_details_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.projects(id) ON DELETE CASCADE;

--
-- Name: looked_repositories looked_repositories_project_id_fkey; Type: FK CONSTRAINT; Schema: regmend; Owner: -
--

ALTER TABLE ONLY regmend.looked_repositories
    ADD CONSTRAINT looked_repositories_project_id_fkey FOREIGN KEY (project_id) REFERENCES regmend.looks(project_id) ON DELETE CASCADE;

--
-- Name: missing_repositories missing_repositories_project_id_fkey; Type: FK CONSTRAINT; Schema: regmend; Owner: -
--

ALTER TABLE ONLY regmend.missing_repositories
    ADD CONSTRAINT missing_repositories_project_id_fkey FOREIGN KEY (project_id) REFERENCES regmend.data_repair_details(project_id) ON DELETE CASCADE;

--
-- Name: repair_items repair_items_order_id_fkey; Type: FK CONSTRAINT; Schema: regmend; Owner: -
--

ALTER TABLE ONLY regmend.repair_items
    ADD CONSTRAINT repair_items_order_id_fkey FOREIGN KEY (order_id) REFERENCES regmend.repair_audit(id);

--
-- Name: repair_items repair_items_plan_id_fkey; Type: FK CONSTRAINT; Schema: regmend; Owner: -
--

ALTER TABLE ONLY regmend.repair_items
    ADD CONSTRAINT repair_items_plan_id_fkey FOREIGN KEY (plan_id) REFERENCES regmend.repair_plans(id);

--
-- Name: repair_plans repair_plans_order_id_fkey; Type: FK CONSTRAINT; Schema: regmend; Owner: -
--

ALTER TABLE ONLY regmend.repair_plans
    ADD CONSTRAINT repair_plans_order_id_fkey FOREIGN KEY (order_id) REFERENCES regmend.repair_audit(id);

--
-- Name: snapshots snapshots_digest_fkey; Type: FK CONSTRAINT; Schema: regmend; Owner: -
--

ALTER TABLE ONLY regmend.snapshots
    ADD CONSTRAINT snapshots_digest_fkey FOREIGN KEY (digest) REFERENCES regmend.snapshot_contents(digest);

--
-- Name: young_repositories young_repositories_project_id_fkey; Type: FK CONSTRAINT; Schema: regmend; Owner: -
--

ALTER TABLE ONLY regmend.young_repositories
    ADD CONSTRAINT young_repositories_project_id_fkey FOREIGN KEY (project_id) REFERENCES regmend.data_repair_details(project_id) ON DELETE CASCADE;

--
-- PostgreSQL database dump complete
--
