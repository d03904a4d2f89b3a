package cmd

import (
	"slices"
	"strings"
)

// part is something outside that a verb may need.
type part uint

const (
	database part = 1 << iota
	queue         // Redis
	registryHost
	gitlabHost // its token endpoint, for repairs
	pages      // what web listens on
	metrics    // what producer and consumer listen on
	logging
)

// secrecy says where a value may come from.
type secrecy int

const (
	// open values may be flags.
	open secrecy = iota
	// withPassword is a URL that may carry a password: a flag only without it.
	withPassword
	// secret values are never a flag.
	secret
)

// variable is one of the environment's variables.
type variable struct {
	name     string
	part     part
	secrecy  secrecy
	required bool
	value    *string
	preset   string
	help     string
	// check tells what is wrong with a value, as the end of a sentence.
	check func(value string) error
}

const prefix = "REGMEND_"

// flag is the variable's name on the command line.
func (v variable) flag() string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(v.name, prefix)), "_", "-")
}

// file is the variable that names a file with the value, or "".
func (v variable) file() string {
	if v.secrecy == open {
		return ""
	}
	return v.name + "_FILE"
}

func (c *configuration) variables() []variable {
	return slices.Concat(c.serverVariables(), c.registryVariables(), c.gitlabVariables(), c.ownVariables())
}

func (c *configuration) serverVariables() []variable {
	return []variable{
		{
			name: "REGMEND_DATABASE_URL", part: database, secrecy: withPassword, required: true, value: &c.databaseURL,
			help:  "GitLab's main `database`, postgres://user:password@host:5432/gitlabhq_production",
			check: checkDatabaseURL,
		},
		{
			name: "REGMEND_REDIS_URL", part: queue, secrecy: withPassword, required: true, value: &c.redisURL,
			help: "regmend's Redis: `URL` redis://user:password@host:6379/0, rediss:// for TLS,\n" +
				"redis+sentinel://user:password@host1:26379,host2:26379/master/0",
			check: checkRedisURL,
		},
	}
}

func (c *configuration) registryVariables() []variable {
	return []variable{
		{
			name: "REGMEND_REGISTRY_URL", part: registryHost, required: true, value: &c.registryURL,
			help: "the registry's `URL`, https://registry.example.com", check: checkRegistryURL,
		},
		{
			name: "REGMEND_REGISTRY_API", part: registryHost, value: &c.registryAPI, preset: "auto",
			help: "which `API` to list with: auto, gitlab or distribution", check: oneOf("auto", "gitlab", "distribution"),
		},
		{
			name: "REGMEND_REGISTRY_USERNAME", part: registryHost, value: &c.registryUsername,
			help: "`user` for a registry with basic authentication or a token server",
		},
		{
			name: "REGMEND_REGISTRY_PASSWORD", part: registryHost, secrecy: secret, value: &c.registryPassword,
			help: "that user's password",
		},
		{
			name: "REGMEND_REGISTRY_TOKEN_KEY_FILE", part: registryHost, value: &c.tokenKeyFile,
			help: "`file` with the key GitLab signs its registry tokens with (PEM)",
		},
		{
			name: "REGMEND_REGISTRY_TOKEN_ISSUER", part: registryHost, value: &c.tokenIssuer, preset: "gitlab-issuer",
			help: "`issuer` the registry expects; Omnibus: omnibus-gitlab-issuer",
		},
		{
			name: "REGMEND_REGISTRY_TOKEN_SERVICE", part: registryHost, value: &c.tokenService, preset: "container_registry",
			help: "`service` the registry expects",
		},
		{
			name: "REGMEND_REGISTRY_TOKEN_REALM", part: registryHost, value: &c.tokenRealm,
			help: "`origin` of the token server that may be sent the password, if it is not the registry's",
		},
		{
			name: "REGMEND_REGISTRY_CA_FILE", part: registryHost, value: &c.registryCA,
			help: "`file` with the certificates to trust besides the system's (PEM)",
		},
	}
}

func (c *configuration) gitlabVariables() []variable {
	return []variable{
		{
			name: "REGMEND_GITLAB_URL", part: gitlabHost, value: &c.gitlabURL,
			help: "GitLab's `URL`, https://gitlab.example.com: whom a consumer asks to make rows,\n" +
				"where a repair is applied with --via gitlab",
			check: checkGitLabURL,
		},
		{
			name: "REGMEND_GITLAB_USERNAME", part: gitlabHost, value: &c.gitlabUsername,
			help: "`user` of GitLab's, an administrator",
		},
		{
			name: "REGMEND_GITLAB_PASSWORD", part: gitlabHost, secrecy: secret, value: &c.gitlabPassword,
			help: "that user's password, or a personal access token",
		},
	}
}

func (c *configuration) ownVariables() []variable {
	return []variable{
		{
			name: "REGMEND_LISTEN", part: pages, value: &c.listen, preset: "127.0.0.1:9780",
			help: "`address` of the web pages", check: checkListen,
		},
		{
			name: "REGMEND_WEB_USERNAME", part: pages, value: &c.webUsername,
			help: "`user` who may see the web pages; needed beyond loopback",
		},
		{
			name: "REGMEND_WEB_PASSWORD", part: pages, secrecy: secret, value: &c.webPassword,
			help: "that user's password",
		},
		{
			name: "REGMEND_METRICS_LISTEN", part: metrics, value: &c.metricsListen,
			help: "`address` for /metrics, /healthz and /readyz; none: off", check: checkListen,
		},
		{
			name: "REGMEND_LOG_LEVEL", part: logging, value: &c.logLevel, preset: "info",
			help: "log `level`: debug, info, warn or error", check: oneOf("debug", "info", "warn", "error"),
		},
		{
			name: "REGMEND_LOG_FORMAT", part: logging, value: &c.logFormat, preset: "text",
			help: "log `format`: text or json", check: oneOf("text", "json"),
		},
	}
}
