package registry

import (
	"strings"

	"regmend/shared/gitlab"
)

// affected tells whether GitLab's registry may answer a listing of this path
// wrongly although it answers 200.
//
// Its query bounds the path by two neighbouring strings: below by the path
// whose last byte other than 'a' is one less, above by the one whose last byte
// other than 'z' is one more. They are neighbours as bytes; but the database
// compares them in its collation, and there "app9" is not below "app:", nor
// "-z" with what is under it below ".". Only where a letter became a letter or a
// digit a digit is the order the same in all collations that were measured. (Paths
// that are no repository's get an error from the API, so are of no use either;
// those with a segment that begins with "-" or "_" are among them.)
func affected(path string) bool {
	if !gitlab.ValidRepositoryPath(path) {
		return true
	}
	below := len(strings.TrimRight(path, "a")) - 1
	above := len(strings.TrimRight(path, "z")) - 1
	return below < 0 || above < 0 ||
		!sameClass(path[below], path[below]-1) || !sameClass(path[above], path[above]+1)
}

func sameClass(a, b byte) bool {
	return isLetter(a) && isLetter(b) || isDigit(a) && isDigit(b)
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }

// ancestor is the nearest path above the given one whose listing can be
// believed, "" if there is none.
func ancestor(path string) string {
	for {
		slash := strings.LastIndexByte(path, '/')
		if slash < 0 {
			return ""
		}
		if path = path[:slash]; !affected(path) {
			return path
		}
	}
}
