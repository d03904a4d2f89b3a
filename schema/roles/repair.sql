-- What `regmend repair apply` and `undo` need on top of runtime.sql, for the role
-- of the consumers: to insert the rows that were lost, and to delete the rows they
-- inserted. All else a role without it can do: plan, show, scan. With --via gitlab
-- GitLab itself inserts, and apply does without it, too.
--
--   psql -v role=regmend_repair -d gitlabhq_production -f repair.sql
--
-- Run it as a superuser or as the owner of container_repositories.

\set ON_ERROR_STOP on

GRANT USAGE ON SCHEMA public TO :"role";
GRANT SELECT, INSERT, DELETE ON public.container_repositories TO :"role";
GRANT USAGE ON SEQUENCE public.container_repositories_id_seq TO :"role";
