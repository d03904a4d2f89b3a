-- The slice of GitLab's schema that regmend reads (GitLab 17 to 18). Types,
-- defaults, constraints and indexes are GitLab's; columns and indexes that
-- have nothing to do with paths, projects or container repositories are left
-- out, as are those that need an extension.

CREATE TABLE public.namespaces (
    id bigserial NOT NULL,
    name character varying NOT NULL,
    path character varying NOT NULL,
    owner_id bigint,
    created_at timestamp without time zone,
    updated_at timestamp without time zone,
    type character varying DEFAULT 'User'::character varying NOT NULL,
    visibility_level integer DEFAULT 20 NOT NULL,
    parent_id bigint,
    traversal_ids bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    organization_id bigint DEFAULT 1,
    CONSTRAINT namespaces_pkey PRIMARY KEY (id)
);

CREATE UNIQUE INDEX index_namespaces_name_parent_id_type ON public.namespaces USING btree (name, parent_id, type);
CREATE UNIQUE INDEX index_namespaces_on_parent_id_and_id ON public.namespaces USING btree (parent_id, id);
CREATE INDEX index_namespaces_on_path ON public.namespaces USING btree (path);
CREATE INDEX index_namespaces_on_traversal_ids ON public.namespaces USING gin (traversal_ids);
CREATE INDEX index_namespaces_on_type_and_id ON public.namespaces USING btree (type, id);

ALTER TABLE ONLY public.namespaces
    ADD CONSTRAINT fk_7f813d8c90 FOREIGN KEY (parent_id) REFERENCES public.namespaces(id) ON DELETE RESTRICT;

CREATE TABLE public.projects (
    id bigserial NOT NULL,
    name character varying,
    path character varying,
    description text,
    created_at timestamp without time zone,
    updated_at timestamp without time zone,
    creator_id bigint,
    namespace_id bigint NOT NULL,
    last_activity_at timestamp without time zone,
    visibility_level integer DEFAULT 0 NOT NULL,
    archived boolean DEFAULT false NOT NULL,
    pending_delete boolean DEFAULT false,
    repository_storage character varying DEFAULT 'default'::character varying NOT NULL,
    delete_error text,
    storage_version smallint,
    marked_for_deletion_at date,
    marked_for_deletion_by_user_id bigint,
    hidden boolean DEFAULT false NOT NULL,
    project_namespace_id bigint,
    organization_id bigint,
    CONSTRAINT projects_pkey PRIMARY KEY (id)
);

CREATE INDEX index_projects_on_created_at_and_id ON public.projects USING btree (created_at, id);
CREATE INDEX index_projects_on_lower_name ON public.projects USING btree (lower((name)::text));
CREATE INDEX index_projects_on_marked_for_deletion_at ON public.projects USING btree (marked_for_deletion_at) WHERE (marked_for_deletion_at IS NOT NULL);
CREATE INDEX index_projects_on_namespace_id_and_id ON public.projects USING btree (namespace_id, id);
CREATE INDEX index_projects_on_path_and_id ON public.projects USING btree (path, id);
CREATE UNIQUE INDEX index_projects_on_project_namespace_id ON public.projects USING btree (project_namespace_id);

ALTER TABLE ONLY public.projects
    ADD CONSTRAINT fk_71625606ac FOREIGN KEY (project_namespace_id) REFERENCES public.namespaces(id) ON DELETE CASCADE;

CREATE TABLE public.project_features (
    id bigserial NOT NULL,
    project_id bigint NOT NULL,
    merge_requests_access_level integer,
    issues_access_level integer,
    wiki_access_level integer,
    snippets_access_level integer DEFAULT 20 NOT NULL,
    builds_access_level integer,
    created_at timestamp without time zone,
    updated_at timestamp without time zone,
    repository_access_level integer DEFAULT 20 NOT NULL,
    pages_access_level integer NOT NULL,
    forking_access_level integer,
    container_registry_access_level integer DEFAULT 0 NOT NULL,
    package_registry_access_level integer DEFAULT 0 NOT NULL,
    CONSTRAINT project_features_pkey PRIMARY KEY (id)
);

CREATE UNIQUE INDEX index_project_features_on_project_id ON public.project_features USING btree (project_id);

ALTER TABLE ONLY public.project_features
    ADD CONSTRAINT fk_18513d9b92 FOREIGN KEY (project_id) REFERENCES public.projects(id) ON DELETE CASCADE;

CREATE TABLE public.routes (
    id bigserial NOT NULL,
    source_id bigint NOT NULL,
    source_type character varying NOT NULL,
    path character varying NOT NULL,
    created_at timestamp without time zone,
    updated_at timestamp without time zone,
    name character varying,
    namespace_id bigint,
    CONSTRAINT routes_pkey PRIMARY KEY (id)
);

CREATE INDEX index_on_routes_lower_path ON public.routes USING btree (lower((path)::text));
CREATE INDEX index_routes_on_namespace_id ON public.routes USING btree (namespace_id);
CREATE UNIQUE INDEX index_routes_on_path ON public.routes USING btree (path);
CREATE INDEX index_routes_on_path_text_pattern_ops ON public.routes USING btree (path varchar_pattern_ops);
CREATE UNIQUE INDEX index_routes_on_source_type_and_source_id ON public.routes USING btree (source_type, source_id);

ALTER TABLE ONLY public.routes
    ADD CONSTRAINT fk_679ff8213d FOREIGN KEY (namespace_id) REFERENCES public.namespaces(id) ON DELETE CASCADE;

CREATE TABLE public.redirect_routes (
    id bigserial NOT NULL,
    source_id bigint NOT NULL,
    source_type character varying NOT NULL,
    path character varying NOT NULL,
    created_at timestamp without time zone NOT NULL,
    updated_at timestamp without time zone NOT NULL,
    namespace_id bigint,
    CONSTRAINT redirect_routes_pkey PRIMARY KEY (id)
);

CREATE UNIQUE INDEX index_redirect_routes_on_path ON public.redirect_routes USING btree (path);
CREATE UNIQUE INDEX index_redirect_routes_on_path_unique_text_pattern_ops ON public.redirect_routes USING btree (lower((path)::text) varchar_pattern_ops);
CREATE INDEX index_redirect_routes_on_source_type_and_source_id ON public.redirect_routes USING btree (source_type, source_id);

CREATE TABLE public.container_repositories (
    id bigserial NOT NULL,
    project_id bigint NOT NULL,
    name character varying NOT NULL,
    created_at timestamp without time zone NOT NULL,
    updated_at timestamp without time zone NOT NULL,
    status smallint,
    expiration_policy_started_at timestamp with time zone,
    expiration_policy_cleanup_status smallint DEFAULT 0 NOT NULL,
    expiration_policy_completed_at timestamp with time zone,
    last_cleanup_deleted_tags_count integer,
    delete_started_at timestamp with time zone,
    status_updated_at timestamp with time zone,
    failed_deletion_count integer DEFAULT 0 NOT NULL,
    next_delete_attempt_at timestamp with time zone,
    CONSTRAINT container_repositories_pkey PRIMARY KEY (id),
    CONSTRAINT check_container_repositories_non_negative_failed_deletion_count CHECK ((failed_deletion_count >= 0))
);

CREATE INDEX idx_container_repositories_on_exp_cleanup_status_and_start_date ON public.container_repositories USING btree (expiration_policy_cleanup_status, expiration_policy_started_at);
CREATE INDEX index_container_repositories_on_project_id_and_id ON public.container_repositories USING btree (project_id, id);
CREATE UNIQUE INDEX index_container_repositories_on_project_id_and_name ON public.container_repositories USING btree (project_id, name);
CREATE INDEX index_container_repositories_on_status_and_id ON public.container_repositories USING btree (status, id) WHERE (status IS NOT NULL);

-- Without ON DELETE: a project that still has repositories cannot be deleted.
ALTER TABLE ONLY public.container_repositories
    ADD CONSTRAINT fk_rails_32f7bf5aad FOREIGN KEY (project_id) REFERENCES public.projects(id);

CREATE TABLE public.container_expiration_policies (
    project_id bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    next_run_at timestamp with time zone,
    name_regex character varying(255) DEFAULT '.*'::character varying,
    cadence character varying(12) DEFAULT '1d'::character varying NOT NULL,
    older_than character varying(12) DEFAULT '90d'::character varying,
    keep_n integer DEFAULT 10,
    enabled boolean DEFAULT false NOT NULL,
    name_regex_keep text,
    CONSTRAINT container_expiration_policies_pkey PRIMARY KEY (project_id),
    CONSTRAINT container_expiration_policies_name_regex_keep CHECK ((char_length(name_regex_keep) <= 255))
);

CREATE INDEX idx_container_exp_policies_on_project_id_next_run_at ON public.container_expiration_policies USING btree (project_id, next_run_at) WHERE (enabled = true);
CREATE INDEX index_container_expiration_policies_on_next_run_at_and_enabled ON public.container_expiration_policies USING btree (next_run_at, enabled);

ALTER TABLE ONLY public.container_expiration_policies
    ADD CONSTRAINT fk_rails_73d6ae9a2a FOREIGN KEY (project_id) REFERENCES public.projects(id) ON DELETE CASCADE;
