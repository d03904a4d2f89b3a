-- +goose Up

-- Locks: none that anyone waits for; every object is new and regmend's own.

-- Scan numbers order results. No clock does.
CREATE SEQUENCE regmend.scan_number AS bigint CACHE 1;

CREATE TABLE regmend.runs (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    started_at        timestamptz NOT NULL DEFAULT now(),
    reason            text NOT NULL CHECK (reason <> ''),
    registry          text NOT NULL,
    system_identifier text NOT NULL CHECK (system_identifier <> ''),
    scan_number       bigint NOT NULL CHECK (scan_number > 0)
);

COMMENT ON TABLE regmend.runs IS 'Passes over one installation and one registry; the highest id is the current one';
COMMENT ON COLUMN regmend.runs.scan_number IS 'Every result of the run has a higher one';

-- +goose Down
DROP TABLE regmend.runs;
DROP SEQUENCE regmend.scan_number;
