package cmd

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// environmentHelp is the help topic that lists every variable.
func environmentHelp() *cobra.Command {
	return &cobra.Command{
		Use:   "environment",
		Short: "Every variable of the environment",
		Long:  describeEnvironment(new(configuration).variables()),
	}
}

func describeEnvironment(variables []variable) string {
	var text strings.Builder
	text.WriteString("Variables of the environment. A flag of the same name wins; an empty one counts as unset.\n")
	for _, v := range variables {
		fmt.Fprintf(&text, "\n%s\n    %s\n", v.name, strings.ReplaceAll(strings.ReplaceAll(v.help, "`", ""), "\n", "\n    "))
		if v.preset != "" {
			fmt.Fprintf(&text, "    Default: %s\n", v.preset)
		}
		switch v.secrecy {
		case secret:
			fmt.Fprintf(&text, "    A secret: no flag; or %s names a file that holds it.\n", v.file())
		case withPassword:
			fmt.Fprintf(&text, "    Or %s names a file that holds it; --%s takes it without a password.\n", v.file(), v.flag())
		case open:
		}
	}
	return text.String()
}
