-- +goose Up

-- Locks: none that anyone waits for; every object is new and regmend's own.
-- The foreign key to projects is made afterwards, by itself.

CREATE TABLE regmend.data_repair_details (
    project_id          bigint PRIMARY KEY,
    missing_count       integer NOT NULL CHECK (missing_count >= 0),
    status              text NOT NULL CHECK (status IN ('completed', 'failed')),
    updated_at          timestamptz NOT NULL,
    run_id              bigint NOT NULL CHECK (run_id > 0),
    scan_number         bigint NOT NULL CHECK (scan_number > 0),
    full_path           text,
    method              text,
    pages               integer,
    listed              integer,
    attempts            integer NOT NULL DEFAULT 0,
    next_attempt_at     timestamptz,
    error               text,
    failure_scan_number bigint,

    -- Each comparison stands beside IS NOT NULL: by itself it would let NULL pass.
    CONSTRAINT completed_has_evidence CHECK (
        status <> 'completed' OR (
            full_path IS NOT NULL AND full_path <> ''
            AND method IS NOT NULL AND method <> ''
            AND pages IS NOT NULL AND pages > 0
            AND listed IS NOT NULL AND listed >= missing_count)),

    CONSTRAINT failed_misses_nothing CHECK (status <> 'failed' OR missing_count = 0),

    -- A failure is whole or absent; a failed project has one.
    CONSTRAINT failure_is_whole CHECK (
        CASE WHEN failure_scan_number IS NULL THEN
            status = 'completed' AND attempts = 0 AND next_attempt_at IS NULL AND error IS NULL
        ELSE
            failure_scan_number >= scan_number AND attempts > 0
            AND next_attempt_at IS NOT NULL AND error IS NOT NULL AND error <> ''
        END)
);

COMMENT ON TABLE regmend.data_repair_details IS 'What the last scans of a project said';
COMMENT ON COLUMN regmend.data_repair_details.full_path IS 'The path that was listed';
COMMENT ON COLUMN regmend.data_repair_details.listed IS 'How many of the project''s own repositories the registry listed';
COMMENT ON COLUMN regmend.data_repair_details.failure_scan_number IS 'Of the failure that came after the completed scan, or of the last one where none completed';

CREATE INDEX data_repair_details_due ON regmend.data_repair_details (next_attempt_at)
    WHERE next_attempt_at IS NOT NULL;
CREATE INDEX data_repair_details_failed ON regmend.data_repair_details (project_id)
    WHERE status = 'failed';
CREATE INDEX data_repair_details_missing ON regmend.data_repair_details (project_id)
    WHERE missing_count > 0;

CREATE TABLE regmend.missing_repositories (
    project_id bigint NOT NULL REFERENCES regmend.data_repair_details ON DELETE CASCADE,
    name       text NOT NULL,
    PRIMARY KEY (project_id, name)
);

COMMENT ON COLUMN regmend.missing_repositories.name IS 'Relative to the project''s path, empty for its root repository';

-- +goose Down
DROP TABLE regmend.missing_repositories;
DROP TABLE regmend.data_repair_details;
