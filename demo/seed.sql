-- Three projects of a GitLab, for docker-compose.yml: acme/shop, which has a
-- container repository, acme/web/Frontend and acme/docs.

INSERT INTO public.namespaces (id, name, path, type, parent_id, traversal_ids, created_at, updated_at)
VALUES
    (1, 'Acme', 'acme', 'Group', NULL, '{1}', now(), now()),
    (2, 'Web', 'web', 'Group', 1, '{1,2}', now(), now()),
    (3, 'Shop', 'shop', 'Project', 1, '{1,3}', now(), now()),
    (4, 'Frontend', 'Frontend', 'Project', 2, '{1,2,4}', now(), now()),
    (5, 'Docs', 'docs', 'Project', 1, '{1,5}', now(), now());

INSERT INTO public.projects (id, name, path, namespace_id, project_namespace_id, created_at, updated_at)
VALUES
    (1, 'Shop', 'shop', 1, 3, now(), now()),
    (2, 'Frontend', 'Frontend', 2, 4, now(), now()),
    (3, 'Docs', 'docs', 1, 5, now(), now());

INSERT INTO public.routes (source_id, source_type, path, name, namespace_id, created_at, updated_at)
VALUES
    (1, 'Namespace', 'acme', 'Acme', 1, now(), now()),
    (2, 'Namespace', 'acme/web', 'Acme / Web', 2, now(), now()),
    (1, 'Project', 'acme/shop', 'Acme / Shop', 3, now(), now()),
    (2, 'Project', 'acme/web/Frontend', 'Acme / Web / Frontend', 4, now(), now()),
    (3, 'Project', 'acme/docs', 'Acme / Docs', 5, now(), now());

INSERT INTO public.project_features (project_id, pages_access_level, container_registry_access_level)
SELECT id, 20, 20 FROM public.projects;

INSERT INTO public.container_repositories (project_id, name, created_at, updated_at)
VALUES (1, '', now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc');
