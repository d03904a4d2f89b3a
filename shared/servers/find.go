package servers

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// MissingError says that a program is not installed.
type MissingError struct {
	Program string
	Package string // Debian's, and Ubuntu's, that has it
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("%s is not installed (Debian package %s)", e.Program, e.Package)
}

// find returns the path of a program, looked for in PATH and then in folders,
// which may be patterns.
func find(program, debianPackage string, folders ...string) (string, error) {
	if path, err := exec.LookPath(program); err == nil {
		return filepath.Abs(path)
	}
	for _, folder := range folders {
		found, err := filepath.Glob(filepath.Join(folder, program))
		if err != nil {
			return "", err
		}
		slices.SortFunc(found, newestFirst)
		for _, path := range found {
			if isExecutable(path) {
				return path, nil
			}
		}
	}
	return "", &MissingError{Program: program, Package: debianPackage}
}

func isExecutable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// newestFirst orders paths such as /usr/lib/postgresql/15/bin/initdb.
func newestFirst(a, b string) int {
	return cmp.Or(cmp.Compare(version(b), version(a)), cmp.Compare(a, b))
}

// version is the number at the end of the folder's name, 15 in
// postgresql/15/bin/initdb as in postgresql@15/bin/initdb, or 0.
func version(path string) int {
	name := filepath.Base(filepath.Dir(filepath.Dir(path)))
	n, err := strconv.Atoi(name[strings.LastIndex(name, "@")+1:])
	if err != nil {
		return 0
	}
	return n
}
