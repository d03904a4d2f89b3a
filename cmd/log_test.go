package cmd_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode"

	"regmend/cmd"

	"github.com/sirupsen/logrus"
)

// Redis and the registry get their words into messages and fields; neither may
// begin a line, or steer the terminal that the log is read on.
func TestTheLogIsOneLineOfTextForEachEntry(t *testing.T) {
	const evil = "\x1b]0;x\x07\r\nlevel=info msg=\"all is well\"\x1b[2K\u009b"
	for _, format := range []string{"text", "json", "colours"} {
		t.Run(format, func(t *testing.T) {
			var out bytes.Buffer
			log := cmd.NewLog(cmd.Process{Stderr: &out}, strings.Replace(format, "colours", "text", 1))
			if format == "colours" {
				log.Formatter.(*logrus.TextFormatter).ForceColors = true
			}
			log.WithError(errors.New(evil)).WithField("reason", evil).Warn("Dequeue error: " + evil)
			text := out.String()
			for _, colour := range []string{"\x1b[33m", "\x1b[0m"} { // logrus' own
				text = strings.ReplaceAll(text, colour, "")
			}
			line, ended := strings.CutSuffix(text, "\n")
			if !ended || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%q is not one line of text", text)
			}
		})
	}
}
