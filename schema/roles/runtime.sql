-- What the role needs that runs regmend's other verbs: producer, consumer,
-- web, enqueue, status, settings, run. Everything but migrate and uninstall.
--
--   psql -v role=regmend -d gitlabhq_production -f runtime.sql
--
-- Run it after `regmend migrate`, and again after each upgrade: as a
-- superuser, or the first part as the owner of projects and the second as the
-- owner of the schema regmend.

\set ON_ERROR_STOP on

GRANT USAGE ON SCHEMA public TO :"role";
GRANT SELECT ON public.projects, public.routes, public.container_repositories TO :"role";
-- What speaks against a repair is read from these.
GRANT SELECT ON public.project_features, public.container_expiration_policies, public.redirect_routes TO :"role";

GRANT USAGE ON SCHEMA regmend TO :"role";
GRANT SELECT ON ALL TABLES IN SCHEMA regmend TO :"role";
GRANT INSERT, UPDATE, DELETE ON regmend.data_repair_details TO :"role";
GRANT INSERT, DELETE ON regmend.missing_repositories, regmend.young_repositories TO :"role";
GRANT INSERT, UPDATE, DELETE ON regmend.looks, regmend.looked_repositories TO :"role";
GRANT INSERT, UPDATE, DELETE ON regmend.snapshots TO :"role";
GRANT INSERT, DELETE ON regmend.snapshot_contents TO :"role";
GRANT INSERT, UPDATE ON regmend.shrinkage TO :"role";
GRANT INSERT, UPDATE ON regmend.settings TO :"role";
GRANT INSERT, UPDATE ON regmend.sweeps TO :"role";
GRANT INSERT, UPDATE, DELETE ON regmend.sweep_projects, regmend.sweep_candidates, regmend.sweep_sample TO :"role";
GRANT INSERT, DELETE ON regmend.unowned_repositories TO :"role";
GRANT INSERT, DELETE ON regmend.brake_steps TO :"role";
GRANT INSERT, UPDATE ON regmend.repair_plans, regmend.repair_items TO :"role";
GRANT INSERT ON regmend.repair_audit TO :"role";
GRANT INSERT ON regmend.settings_history, regmend.runs TO :"role";
GRANT SELECT, USAGE, UPDATE ON SEQUENCE regmend.scan_number TO :"role";
