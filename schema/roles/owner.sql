-- What the role needs that runs `regmend migrate` and `regmend uninstall`.
--
--   psql -v role=regmend_owner -d gitlabhq_production -f owner.sql
--
-- Run it as a superuser or as the owner of the database and of projects.
-- REFERENCES is for the foreign key alone: with --no-foreign-key it can go.

\set ON_ERROR_STOP on

SELECT format('GRANT CREATE ON DATABASE %I TO %I', current_database(), :'role')
\gexec

GRANT USAGE ON SCHEMA public TO :"role";
GRANT SELECT, REFERENCES ON public.projects TO :"role";
