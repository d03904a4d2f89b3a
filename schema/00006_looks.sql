-- +goose Up

-- Locks: none on GitLab's tables. ACCESS EXCLUSIVE on data_repair_details,
-- missing_repositories and settings; the columns cost nothing, the check reads the
-- results once: a second or two where there are ten million.

-- What a scan believes missing, until a second one has looked. No foreign key to
-- GitLab's tables: what was deleted is dropped in passing.
CREATE TABLE regmend.looks (
    project_id    bigint PRIMARY KEY,
    run_id        bigint NOT NULL CHECK (run_id > 0),
    scan_number   bigint NOT NULL CHECK (scan_number > 0),
    full_path     text NOT NULL CHECK (full_path <> ''),
    looked_at     timestamptz NOT NULL DEFAULT now(),
    contradiction text CHECK (contradiction <> '')
);

COMMENT ON TABLE regmend.looks IS 'Projects that seem to miss something and are to be looked at again; the newest look of each';
COMMENT ON COLUMN regmend.looks.full_path IS 'The path that was listed; under another one the look counts for nothing';
COMMENT ON COLUMN regmend.looks.looked_at IS 'When the look was written, which is after its listing';
COMMENT ON COLUMN regmend.looks.contradiction IS 'What catalog and listing disagreed about, where a sweep looked';

CREATE TABLE regmend.looked_repositories (
    project_id bigint NOT NULL REFERENCES regmend.looks ON DELETE CASCADE,
    name       text NOT NULL,
    looked_at  timestamptz NOT NULL,
    created_at timestamptz,
    PRIMARY KEY (project_id, name)
);

COMMENT ON TABLE regmend.looked_repositories IS 'What the looks believe missing';
COMMENT ON COLUMN regmend.looked_repositories.looked_at IS 'When the first of the looks was written that had it, one after the other';
COMMENT ON COLUMN regmend.looked_repositories.created_at IS 'As the registry says; NULL: it does not';

ALTER TABLE regmend.missing_repositories ADD COLUMN created_at timestamptz;

COMMENT ON COLUMN regmend.missing_repositories.created_at IS 'As the registry says; NULL: it does not';

CREATE TABLE regmend.young_repositories (
    project_id bigint NOT NULL REFERENCES regmend.data_repair_details ON DELETE CASCADE,
    name       text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (project_id, name)
);

COMMENT ON TABLE regmend.young_repositories IS 'Listed twice, without a row, and too young to be counted as missing';

ALTER TABLE regmend.data_repair_details ADD COLUMN look_again_at timestamptz,
    ADD CONSTRAINT look_again_is_of_completed CHECK (look_again_at IS NULL OR status = 'completed');

COMMENT ON COLUMN regmend.data_repair_details.look_again_at IS 'When the first of its young repositories is old enough to be counted';

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
            WHEN key IN ('flush_after', 'lap_interval', 'confirm_after', 'min_age') THEN value ~ '^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$'
            WHEN key = 'active_hours' THEN value ~ '^$|^[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}(,[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2})* [^ ]+$'
            WHEN key <> 'scope' THEN value ~ '^[0-9]{1,9}$'
            ELSE true
        END);

-- +goose Down
DELETE FROM regmend.settings WHERE key IN ('confirm_after', 'min_age');

ALTER TABLE regmend.settings
    DROP CONSTRAINT settings_key_check,
    DROP CONSTRAINT value_fits_key,
    ADD CONSTRAINT settings_key_check CHECK (key IN (
        'max_concurrency', 'scan_enabled', 'batch_size', 'page_size', 'stash_limit',
        'flush_after', 'queue_minutes', 'lap_interval', 'witness_share', 'scope', 'strategy',
        'requests_per_second', 'brake', 'active_hours')),
    ADD CONSTRAINT value_fits_key CHECK (
        CASE
            WHEN key = 'scan_enabled' THEN value IN ('true', 'false')
            WHEN key = 'brake' THEN value IN ('on', 'off')
            WHEN key = 'strategy' THEN value IN ('project', 'sweep', 'auto')
            WHEN key IN ('flush_after', 'lap_interval') THEN value ~ '^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$'
            WHEN key = 'active_hours' THEN value ~ '^$|^[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}(,[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2})* [^ ]+$'
            WHEN key <> 'scope' THEN value ~ '^[0-9]{1,9}$'
            ELSE true
        END);

ALTER TABLE regmend.data_repair_details DROP COLUMN look_again_at;
DROP TABLE regmend.young_repositories;
ALTER TABLE regmend.missing_repositories DROP COLUMN created_at;
DROP TABLE regmend.looked_repositories;
DROP TABLE regmend.looks;
