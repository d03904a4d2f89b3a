package cmd

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// part is something outside that a verb may need.
type part uint

const (
	database part = 1 << iota
	queue         // Redis
	registryHost
	pages   // what web listens on
	metrics // what producer and consumer listen on
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

// configuration is what environment and flags say. Values of parts that a verb
// does not need stay empty.
type configuration struct {
	databaseURL string
	redisURL    string

	registryURL, registryAPI             string
	registryUsername, registryPassword   string
	tokenKeyFile, tokenIssuer            string
	tokenService, tokenRealm, registryCA string

	listen, metricsListen    string
	webUsername, webPassword string

	logLevel, logFormat string
}

func (c *configuration) variables() []variable {
	return slices.Concat(c.serverVariables(), c.registryVariables(), c.ownVariables())
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

// of keeps the variables of the parts a verb needs.
func of(parts part, variables []variable) []variable {
	return slices.DeleteFunc(slices.Clone(variables), func(v variable) bool { return v.part&parts == 0 })
}

// addFlags gives the command a flag for each variable that may be one.
func (c *configuration) addFlags(command *cobra.Command, parts part) {
	for _, v := range of(parts, c.variables()) {
		help := v.help + " ($" + v.name + ")"
		switch v.secrecy {
		case secret:
			continue
		case withPassword:
			help = v.help + "\nwithout a password here: that goes into $" + v.name + " or the file $" + v.file()
		case open:
		}
		command.Flags().StringVar(v.value, v.flag(), v.preset, help)
	}
}

// fault is something wrong with the configuration of one part.
type fault struct {
	part part
	err  error
}

// load fills in what no flag has given and checks all of it. The flags must
// have been parsed.
func (c *configuration) load(command *cobra.Command, parts part, environ []string) []fault {
	env := environment(environ)
	var faults []fault
	for _, v := range of(parts, c.variables()) {
		if err := v.load(command, env); err != nil {
			faults = append(faults, fault{v.part, err})
		}
	}
	return faults
}

func (v variable) load(command *cobra.Command, env map[string]string) error {
	f := command.Flags().Lookup(v.flag())
	if f != nil && f.Changed {
		return v.loadFlag()
	}
	from, err := v.read(env)
	if err != nil {
		return err
	}
	if *v.value == "" && v.required {
		return fmt.Errorf("%s is not set: %s", v.name, v.wanted())
	}
	return v.examine(from)
}

// loadFlag checks what the command line has put in the value already.
func (v variable) loadFlag() error {
	if v.secrecy == withPassword && carriesPassword(*v.value) {
		*v.value = ""
		return fmt.Errorf("--%s has a password in it, which every user of this machine can read: put the URL into %s or the file %s",
			v.flag(), v.name, v.file())
	}
	return v.examine("--" + v.flag())
}

// wanted is the help without the marks of flags.
func (v variable) wanted() string {
	return strings.ReplaceAll(strings.ReplaceAll(v.help, "`", ""), "\n", " ")
}

// read takes the value from the environment or its file and returns the name
// of the variable it came from.
func (v variable) read(env map[string]string) (from string, err error) {
	value, file := env[v.name], ""
	if v.file() != "" {
		file = env[v.file()]
	}
	switch {
	case value != "" && file != "":
		return v.name, fmt.Errorf("%s and %s are both set: unset one of them", v.name, v.file())
	case value != "":
		*v.value = value
	case file != "":
		content, err := os.ReadFile(file)
		if err != nil {
			return v.file(), fmt.Errorf("%s: %w", v.file(), err)
		}
		*v.value = strings.TrimRight(string(content), "\r\n")
		if *v.value == "" {
			return v.file(), fmt.Errorf("%s: the file %s is empty", v.file(), file)
		}
		return v.file(), nil
	}
	return v.name, nil
}

func (v variable) examine(from string) error {
	if *v.value == "" || v.check == nil {
		return nil
	}
	if err := v.check(*v.value); err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	return nil
}

// environment makes a map of the variables that are not empty.
func environment(environ []string) map[string]string {
	env := map[string]string{}
	for _, entry := range environ {
		if name, value, _ := strings.Cut(entry, "="); value != "" {
			env[name] = value
		}
	}
	return env
}

// unknownVariables are those that look like regmend's and are not: misspelt
// ones, most likely.
func unknownVariables(environ []string) []string {
	known := map[string]bool{}
	for _, v := range new(configuration).variables() {
		known[v.name] = true
		known[v.file()] = true
	}
	var unknown []string
	for name := range environment(environ) {
		if strings.HasPrefix(name, prefix) && !known[name] {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	return unknown
}

// faultsOf joins the faults of some parts, a line each; nil if there are none.
func faultsOf(faults []fault, parts part) error {
	var errs []error
	for _, f := range faults {
		if f.part&parts != 0 {
			errs = append(errs, f.err)
		}
	}
	return errors.Join(errs...)
}
