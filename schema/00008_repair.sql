-- +goose Up

-- Locks: none on GitLab's tables. Results and settings are locked for a moment.

-- Who did or ordered what, when and why. Rows are only ever added.
CREATE TABLE regmend.repair_audit (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT now(),
    actor   text NOT NULL CHECK (actor <> ''),
    host    text NOT NULL CHECK (host <> ''),
    role    text NOT NULL DEFAULT session_user,
    action  text NOT NULL CHECK (action IN ('plan', 'apply', 'undo', 'enable', 'disable')),
    plan_id bigint,
    reason  text NOT NULL DEFAULT '',
    what    text NOT NULL CHECK (what <> ''),

    CONSTRAINT is_about_a_plan CHECK ((plan_id IS NOT NULL) = (action IN ('plan', 'apply', 'undo'))),
    CONSTRAINT apply_has_reason CHECK (action <> 'apply' OR reason <> '')
);

-- +goose StatementBegin
CREATE FUNCTION regmend.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'regmend.% is only ever added to', TG_TABLE_NAME;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON regmend.repair_audit
    FOR EACH STATEMENT EXECUTE FUNCTION regmend.refuse_change();

CREATE TABLE regmend.repair_plans (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id     bigint NOT NULL CHECK (run_id > 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL CHECK (created_by <> ''),
    scope      text NOT NULL CHECK (scope <> ''),
    accepted   text[] NOT NULL DEFAULT '{}',
    state      text NOT NULL DEFAULT 'planned' CHECK (state IN ('planned', 'applying', 'undoing')),
    via        text CHECK (via IN ('sql', 'gitlab')),
    order_id   bigint REFERENCES regmend.repair_audit,
    stopped    text CHECK (stopped <> ''),

    CONSTRAINT ordered_is_ordered CHECK ((order_id IS NOT NULL) = (state <> 'planned')),
    CONSTRAINT applying_has_a_way CHECK (state <> 'applying' OR via IS NOT NULL),
    CONSTRAINT only_orders_stop CHECK (stopped IS NULL OR order_id IS NOT NULL)
);

COMMENT ON TABLE regmend.repair_plans IS 'What is to be put back, and how far that is';
COMMENT ON COLUMN regmend.repair_plans.accepted IS 'Reasons to refuse an item that the operator accepted';
COMMENT ON COLUMN regmend.repair_plans.state IS 'What was ordered last; a plan that was undone is never applied again';
COMMENT ON COLUMN regmend.repair_plans.order_id IS 'The last order, in the audit; work of an older one is dropped';
COMMENT ON COLUMN regmend.repair_plans.stopped IS 'Why the order cannot go on; the next one begins anew';

-- One row holds all that is known of an item, the row it inserted included. It is
-- written in the transaction that inserts or deletes that row.
CREATE TABLE regmend.repair_items (
    plan_id               bigint NOT NULL REFERENCES regmend.repair_plans,
    number                integer NOT NULL CHECK (number > 0),
    project_id            bigint NOT NULL CHECK (project_id > 0),
    name                  text NOT NULL,
    full_path             text NOT NULL CHECK (full_path <> ''),
    scan_number           bigint NOT NULL CHECK (scan_number > 0),
    snapshot              integer,
    repository_created_at timestamptz,
    refusals              text[] NOT NULL DEFAULT '{}',
    state                 text NOT NULL CHECK (state IN
        ('refused', 'open', 'applied', 'skipped', 'failed', 'undone', 'kept')),
    reason                text CHECK (reason <> ''),
    asked_at              timestamptz,
    inserted_id           bigint,
    inserted              jsonb,
    doubt                 text CHECK (doubt <> ''),
    verified_at           timestamptz,
    rescan_after          bigint,
    order_id              bigint REFERENCES regmend.repair_audit,
    changed_at            timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (plan_id, number),
    UNIQUE (plan_id, project_id, name),

    CONSTRAINT refused_has_refusals CHECK (state <> 'refused' OR refusals <> '{}'),
    CONSTRAINT left_has_reason CHECK (state NOT IN ('skipped', 'failed', 'kept') OR reason IS NOT NULL),
    CONSTRAINT inserted_is_whole CHECK (
        (inserted_id IS NOT NULL) = (inserted IS NOT NULL)
        AND (inserted_id IS NOT NULL) = (state IN ('applied', 'undone', 'kept'))),
    CONSTRAINT only_inserted_is_verified CHECK (verified_at IS NULL OR inserted_id IS NOT NULL),
    CONSTRAINT decided_by_an_order CHECK ((order_id IS NOT NULL) = (state NOT IN ('refused', 'open')))
);

-- A row of GitLab's was inserted by one item only.
CREATE UNIQUE INDEX repair_items_inserted ON regmend.repair_items (inserted_id)
    WHERE state IN ('applied', 'kept');
CREATE INDEX repair_items_project ON regmend.repair_items (project_id)
    WHERE state IN ('open', 'applied', 'failed', 'kept');

COMMENT ON TABLE regmend.repair_items IS 'The repositories of a plan; each is in one state';
COMMENT ON COLUMN regmend.repair_items.full_path IS 'The project''s, when it was planned';
COMMENT ON COLUMN regmend.repair_items.scan_number IS 'Of the result that proves it missing';
COMMENT ON COLUMN regmend.repair_items.snapshot IS 'The listing that names it; NULL: not kept';
COMMENT ON COLUMN regmend.repair_items.refusals IS 'What spoke against it when it was planned, accepted or not';
COMMENT ON COLUMN regmend.repair_items.asked_at IS 'When GitLab was first asked to make the row, by this server''s clock';
COMMENT ON COLUMN regmend.repair_items.inserted IS 'The row as it was inserted: undo removes it only while it is that';
COMMENT ON COLUMN regmend.repair_items.doubt IS 'Why the row may be somebody else''s: undo leaves it';
COMMENT ON COLUMN regmend.repair_items.rescan_after IS 'A result of its project with a higher scan number has seen what was done';

ALTER TABLE regmend.settings
    DROP CONSTRAINT settings_key_check,
    DROP CONSTRAINT value_fits_key,
    ADD CONSTRAINT settings_key_check CHECK (key IN (
        'max_concurrency', 'scan_enabled', 'batch_size', 'page_size', 'stash_limit',
        'flush_after', 'queue_minutes', 'lap_interval', 'witness_share', 'scope', 'strategy',
        'requests_per_second', 'brake', 'active_hours', 'confirm_after', 'min_age',
        'retain_snapshots', 'retain_snapshots_for', 'shrink_share', 'repair_concurrency', 'repair_enabled')),
    ADD CONSTRAINT value_fits_key CHECK (
        CASE
            WHEN key IN ('scan_enabled', 'repair_enabled') THEN value IN ('true', 'false')
            WHEN key = 'brake' THEN value IN ('on', 'off')
            WHEN key = 'strategy' THEN value IN ('project', 'sweep', 'auto')
            WHEN key IN ('flush_after', 'lap_interval', 'confirm_after', 'min_age', 'retain_snapshots_for')
                THEN value ~ '^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$'
            WHEN key = 'active_hours' THEN value ~ '^$|^[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}(,[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2})* [^ ]+$'
            WHEN key <> 'scope' THEN value ~ '^[0-9]{1,9}$'
            ELSE true
        END);

-- +goose Down
DELETE FROM regmend.settings WHERE key IN ('repair_concurrency', 'repair_enabled');

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

DROP TABLE regmend.repair_items;
DROP TABLE regmend.repair_plans;
DROP TABLE regmend.repair_audit;
DROP FUNCTION regmend.refuse_change();
