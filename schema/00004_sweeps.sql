-- +goose Up

-- Locks: none on GitLab's tables. ACCESS EXCLUSIVE on data_repair_details and
-- settings, for a second or two where there are ten million results. Behind a
-- backup that is under way it waits, and regmend waits behind it.

CREATE TABLE regmend.sweeps (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id       bigint NOT NULL CHECK (run_id > 0),
    scan_number  bigint NOT NULL CHECK (scan_number > 0),
    state        text NOT NULL DEFAULT 'preparing'
        CHECK (state IN ('preparing', 'walking', 'judging', 'done', 'failed')),
    reason       text NOT NULL DEFAULT '',
    started_by   text NOT NULL,
    started_at   timestamptz NOT NULL DEFAULT now(),
    ended_at     timestamptz,
    position     text NOT NULL DEFAULT '',
    cursor       bigint NOT NULL DEFAULT 0,
    pages        integer NOT NULL DEFAULT 0 CHECK (pages >= 0),
    projects     bigint NOT NULL DEFAULT 0,
    repositories bigint NOT NULL DEFAULT 0,
    unowned      bigint NOT NULL DEFAULT 0,
    candidates   bigint NOT NULL DEFAULT 0,
    proven       bigint NOT NULL DEFAULT 0,

    CONSTRAINT ended_is_ended CHECK ((ended_at IS NOT NULL) = (state IN ('done', 'failed'))),
    CONSTRAINT failed_has_reason CHECK (state <> 'failed' OR reason <> ''),
    CONSTRAINT walked_has_pages CHECK (state NOT IN ('judging', 'done') OR pages > 0)
);

-- There is at most one that has not ended.
CREATE UNIQUE INDEX sweeps_unfinished ON regmend.sweeps ((true))
    WHERE state IN ('preparing', 'walking', 'judging');

COMMENT ON TABLE regmend.sweeps IS 'Walks over the registry''s whole catalog; the highest id is the last one';
COMMENT ON COLUMN regmend.sweeps.scan_number IS 'Of its results, and of the rows it works with: a walk begun anew takes another one';
COMMENT ON COLUMN regmend.sweeps.position IS 'Where in the catalog the next page begins, as the registry said; empty at the first';
COMMENT ON COLUMN regmend.sweeps.cursor IS 'The last project that was kept, or judged';

-- What a sweep works with. Rows of another scan number than that of the sweep
-- that is under way mean nothing and are deleted in passing.

CREATE TABLE regmend.sweep_projects (
    scan_number bigint NOT NULL,
    project_id  bigint NOT NULL,
    full_path   text NOT NULL,
    route       xid NOT NULL,
    listed      integer NOT NULL DEFAULT 0,
    PRIMARY KEY (scan_number, project_id)
);

COMMENT ON TABLE regmend.sweep_projects IS 'The projects as they were before the walk';
COMMENT ON COLUMN regmend.sweep_projects.route IS 'Version of the route''s row: another one if it was changed, also where it was changed back';
COMMENT ON COLUMN regmend.sweep_projects.listed IS 'How many of the project''s own repositories the catalog had';

CREATE TABLE regmend.sweep_candidates (
    scan_number bigint NOT NULL,
    project_id  bigint NOT NULL,
    name        text COLLATE "C" NOT NULL,
    in_catalog  boolean NOT NULL,
    reported    boolean NOT NULL,
    tagged      boolean,
    PRIMARY KEY (scan_number, project_id, name)
);

CREATE INDEX sweep_candidates_open ON regmend.sweep_candidates (scan_number, project_id, name)
    WHERE tagged IS NULL AND in_catalog <> reported;

COMMENT ON TABLE regmend.sweep_candidates IS 'Repositories that may be missing';
COMMENT ON COLUMN regmend.sweep_candidates.in_catalog IS 'The catalog has it; what no scan reported is here only if it had no row when its page was judged';
COMMENT ON COLUMN regmend.sweep_candidates.reported IS 'An older scan found it missing';
COMMENT ON COLUMN regmend.sweep_candidates.tagged IS 'What the registry said of its tags; NULL: not asked';

CREATE TABLE regmend.sweep_sample (
    scan_number bigint NOT NULL,
    project_id  bigint NOT NULL,
    name        text COLLATE "C" NOT NULL,
    in_catalog  boolean NOT NULL DEFAULT false,
    PRIMARY KEY (scan_number, project_id, name)
);

COMMENT ON TABLE regmend.sweep_sample IS 'Some of the repositories that had a row before the walk: those with tags have to be in the catalog';

CREATE TABLE regmend.unowned_repositories (
    scan_number bigint NOT NULL,
    path        text COLLATE "C" NOT NULL,
    PRIMARY KEY (scan_number, path)
);

COMMENT ON TABLE regmend.unowned_repositories IS 'Repositories in the catalog under no project''s path';

ALTER TABLE regmend.data_repair_details ADD COLUMN contradiction text,
    ADD CONSTRAINT contradiction_is_of_completed CHECK (contradiction IS NULL OR (status = 'completed' AND contradiction <> ''));

COMMENT ON COLUMN regmend.data_repair_details.contradiction IS 'What catalog and listing disagreed about';

CREATE INDEX data_repair_details_contradiction ON regmend.data_repair_details (project_id)
    WHERE contradiction IS NOT NULL;

ALTER TABLE regmend.settings
    DROP CONSTRAINT settings_key_check,
    DROP CONSTRAINT value_fits_key,
    ADD CONSTRAINT settings_key_check CHECK (key IN (
        'max_concurrency', 'scan_enabled', 'batch_size', 'page_size', 'stash_limit',
        'flush_after', 'queue_minutes', 'lap_interval', 'witness_share', 'scope', 'strategy')),
    ADD CONSTRAINT value_fits_key CHECK (
        CASE
            WHEN key = 'scan_enabled' THEN value IN ('true', 'false')
            WHEN key = 'strategy' THEN value IN ('project', 'sweep', 'auto')
            WHEN key IN ('flush_after', 'lap_interval') THEN value ~ '^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$'
            WHEN key <> 'scope' THEN value ~ '^[0-9]{1,9}$'
            ELSE true
        END);

-- +goose Down
DELETE FROM regmend.settings WHERE key = 'strategy';

ALTER TABLE regmend.settings
    DROP CONSTRAINT settings_key_check,
    DROP CONSTRAINT value_fits_key,
    ADD CONSTRAINT settings_key_check CHECK (key IN (
        'max_concurrency', 'scan_enabled', 'batch_size', 'page_size', 'stash_limit',
        'flush_after', 'queue_minutes', 'lap_interval', 'witness_share', 'scope')),
    ADD CONSTRAINT value_fits_key CHECK (
        CASE
            WHEN key = 'scan_enabled' THEN value IN ('true', 'false')
            WHEN key IN ('flush_after', 'lap_interval') THEN value ~ '^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$'
            WHEN key <> 'scope' THEN value ~ '^[0-9]{1,9}$'
            ELSE true
        END);

ALTER TABLE regmend.data_repair_details DROP COLUMN contradiction;
DROP TABLE regmend.unowned_repositories;
DROP TABLE regmend.sweep_sample;
DROP TABLE regmend.sweep_candidates;
DROP TABLE regmend.sweep_projects;
DROP TABLE regmend.sweeps;
