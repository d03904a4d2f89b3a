package cmd

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// configuration is what environment and flags say. Values of parts that a verb
// does not need stay empty.
type configuration struct {
	databaseURL string
	redisURL    string

	registryURL, registryAPI             string
	registryUsername, registryPassword   string
	tokenKeyFile, tokenIssuer            string
	tokenService, tokenRealm, registryCA string

	gitlabURL, gitlabUsername, gitlabPassword string

	listen, metricsListen    string
	webUsername, webPassword string

	logLevel, logFormat string
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
