-- +goose Up

-- Locks: none on GitLab's tables. The settings are locked for a moment.

-- What the brake did, the newest thousand. A step follows the one before it, so
-- that of two processes that both want to take the next, one does.
CREATE TABLE regmend.brake_steps (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    follows  bigint NOT NULL UNIQUE,
    run_id   bigint NOT NULL CHECK (run_id > 0),
    taken_at timestamptz NOT NULL DEFAULT now(),
    taken_by text NOT NULL,
    was      integer NOT NULL CHECK (was > 0),
    slots    integer NOT NULL CHECK (slots > 0),
    usual_us bigint NOT NULL CHECK (usual_us >= 0),
    usual_large_us bigint NOT NULL CHECK (usual_large_us >= 0),
    reason   text NOT NULL CHECK (reason <> '')
);

COMMENT ON TABLE regmend.brake_steps IS 'How many slots the brake left, and why; the highest id is in force, in its run';
COMMENT ON COLUMN regmend.brake_steps.follows IS 'The step before; 0: none';
COMMENT ON COLUMN regmend.brake_steps.usual_us IS 'What small answers of the registry usually take, in microseconds; 0: not known';
COMMENT ON COLUMN regmend.brake_steps.usual_large_us IS 'The same of pages of the catalog and large listings';

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

-- +goose Down
DELETE FROM regmend.settings WHERE key IN ('requests_per_second', 'brake', 'active_hours');

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

DROP TABLE regmend.brake_steps;
