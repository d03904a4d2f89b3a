-- +goose Up

-- Locks: none on GitLab's tables. ACCESS EXCLUSIVE on data_repair_details and
-- settings, for a moment.

-- What projects list, once a set: equal ones share it. The empty set has no row.
CREATE TABLE regmend.snapshot_contents (
    digest bytea PRIMARY KEY,
    listed integer NOT NULL,
    names  text NOT NULL,

    CONSTRAINT digest_is_of_names CHECK (digest = sha256(convert_to(names, 'UTF8'))),
    CONSTRAINT listed_is_of_names CHECK (
        listed > 0 AND listed = octet_length(names) - octet_length(replace(names, E'\n', '')))
);

COMMENT ON TABLE regmend.snapshot_contents IS 'Sets of repositories that were listed of projects, by the SHA-256 of their canonical form';
COMMENT ON COLUMN regmend.snapshot_contents.names IS 'The canonical form: each name, relative to its project''s path, in the order of its bytes and followed by a newline';

CREATE TABLE regmend.snapshots (
    project_id       bigint NOT NULL,
    run_id           bigint NOT NULL CHECK (run_id > 0),
    scan_number      bigint NOT NULL CHECK (scan_number > 0),
    last_scan_number bigint NOT NULL,
    first_seen_at    timestamptz NOT NULL DEFAULT now(),
    last_seen_at     timestamptz NOT NULL DEFAULT now(),
    number           integer NOT NULL CHECK (number > 0),
    listed           integer NOT NULL CHECK (listed >= 0),
    digest           bytea REFERENCES regmend.snapshot_contents,
    PRIMARY KEY (project_id, number),

    CONSTRAINT empty_has_no_contents CHECK ((listed = 0) = (digest IS NULL)),
    CONSTRAINT last_is_not_before_first CHECK (last_scan_number >= scan_number)
) WITH (fillfactor = 90);

CREATE INDEX snapshots_digest ON regmend.snapshots (digest) WHERE digest IS NOT NULL;

COMMENT ON TABLE regmend.snapshots IS 'Versions of what projects list; the highest number is the latest';
COMMENT ON COLUMN regmend.snapshots.scan_number IS 'Of the scan that saw it first';
COMMENT ON COLUMN regmend.snapshots.last_scan_number IS 'Of the scan that saw it last, which nothing older comes after';
COMMENT ON COLUMN regmend.snapshots.digest IS 'NULL: the empty set';

-- No reference: a version is written after its row, in the same transaction.
ALTER TABLE regmend.data_repair_details ADD COLUMN snapshot integer;

COMMENT ON COLUMN regmend.data_repair_details.snapshot IS 'Number of the version that the listing is; NULL where it is none: empty from the first, or proven by a sweep';

-- How many of the listings that were compared with the version before shrank,
-- of each run, the older ones counting less and less.
CREATE TABLE regmend.shrinkage (
    run_id      bigint PRIMARY KEY,
    compared    integer NOT NULL CHECK (compared >= 0),
    shrunk      integer NOT NULL CHECK (shrunk BETWEEN 0 AND compared),
    accepted_at timestamptz,
    accepted_by text,

    CONSTRAINT acceptance_is_whole CHECK ((accepted_at IS NULL) = (accepted_by IS NULL))
);

ALTER TABLE regmend.settings
    DROP CONSTRAINT settings_key_check,
    DROP CONSTRAINT value_fits_key,
    ADD CONSTRAINT settings_key_check CHECK (key IN (
        'max_concurrency', 'scan_enabled', 'batch_size', 'page_size', 'stash_limit',
        'flush_after', 'queue_minutes', 'lap_interval', 'witness_share', 'scope', 'strategy',
        'requests_per_second', 'brake', 'active_hours', 'confirm_after', 'min_age',
        'retain_snapshots', 'retain_snapshots_for', 'shrink_share')),
    ADD CONSTRAINT value_fits_key CHECK (
        CASE
            WHEN key = 'scan_enabled' THEN value IN ('true', 'false')
            WHEN key = 'brake' THEN value IN ('on', 'off')
            WHEN key = 'strategy' THEN value IN ('project', 'sweep', 'auto')
            WHEN key IN ('flush_after', 'lap_interval', 'confirm_after', 'min_age', 'retain_snapshots_for')
                THEN value ~ '^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$'
            WHEN key = 'active_hours' THEN value ~ '^$|^[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}(,[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2})* [^ ]+$'
            WHEN key <> 'scope' THEN value ~ '^[0-9]{1,9}$'
            ELSE true
        END);

-- +goose Down
DELETE FROM regmend.settings WHERE key IN ('retain_snapshots', 'retain_snapshots_for', 'shrink_share');

ALTER TABLE regmend.settings
    DROP CONSTRAINT settings_key_check,
    DROP CONSTRAINT value_fits_key,
    ADD CONSTRAINT settings_key_check CHECK (key IN (
        'max_concurrency', 'scan_enabled', 'batch_size', 'page_size', 'stash_limit',
        'flush_after', 'queue_minutes', 'lap_interval', 'witness_share', 'scope', 'strategy',
        'requests_per_second', 'brake', 'active_hours', 'confirm_after', 'min_age')),
    ADD CONSTRAINT value_fits_key CHECK (
        CASE
            WHEN key = 'scan_enabled' THEN value IN ('true', 'false')
            WHEN key = 'brake' THEN value IN ('on', 'off')
            WHEN key = 'strategy' THEN value IN ('project', 'sweep', 'auto')
            WHEN key IN ('flush_after', 'lap_interval', 'confirm_after', 'min_age')
                THEN value ~ '^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$'
            WHEN key = 'active_hours' THEN value ~ '^$|^[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}(,[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2})* [^ ]+$'
            WHEN key <> 'scope' THEN value ~ '^[0-9]{1,9}$'
            ELSE true
        END);

DROP TABLE regmend.shrinkage;
ALTER TABLE regmend.data_repair_details DROP COLUMN snapshot;
DROP TABLE regmend.snapshots;
DROP TABLE regmend.snapshot_contents;
