-- +goose Up

-- Locks: none that anyone waits for; every object is new and regmend's own.

-- A setting that has no row has its default. Ranges are checked by the program;
-- the checks here keep out what it could not even read.
CREATE TABLE regmend.settings (
    key        text PRIMARY KEY CHECK (key IN (
        'max_concurrency', 'scan_enabled', 'batch_size', 'page_size', 'stash_limit',
        'flush_after', 'queue_minutes', 'lap_interval', 'witness_share', 'scope')),
    value      text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by text NOT NULL DEFAULT session_user,

    CONSTRAINT value_fits_key CHECK (
        CASE
            WHEN key = 'scan_enabled' THEN value IN ('true', 'false')
            WHEN key IN ('flush_after', 'lap_interval') THEN value ~ '^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$'
            WHEN key <> 'scope' THEN value ~ '^[0-9]{1,9}$'
            ELSE true
        END)
);

CREATE TABLE regmend.settings_history (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key        text NOT NULL,
    old        text NOT NULL,
    new        text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by text NOT NULL
);

CREATE INDEX settings_history_key ON regmend.settings_history (key, id);

-- +goose Down
DROP TABLE regmend.settings_history;
DROP TABLE regmend.settings;
