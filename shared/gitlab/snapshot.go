package gitlab

import (
	"crypto/sha256"
	"errors"
	"io"
	"slices"
	"strings"
)

// A set of repositories is written in one way only, its canonical form: each
// name, in the order of its bytes and once, followed by a newline. No name holds
// one: what the registry answers with a character that cannot be printed is
// refused. The root repository's name is empty, so it is an empty line, and the
// empty set is no line at all.

// NameSet sorts names, in place, and drops repetitions.
func NameSet(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// Digest is the SHA-256 of the canonical form of names, a set as NameSet makes
// it.
func Digest(names []string) (digest [sha256.Size]byte) {
	h := sha256.New()
	for _, name := range names {
		_, _ = io.WriteString(h, name) // a hash takes everything
		_, _ = h.Write([]byte{'\n'})
	}
	h.Sum(digest[:0])
	return digest
}

// Canonical is the canonical form of names, a set as NameSet makes it.
func Canonical(names []string) string {
	var b strings.Builder
	size := len(names)
	for _, name := range names {
		size += len(name)
	}
	b.Grow(size)
	for _, name := range names {
		b.WriteString(name)
		b.WriteByte('\n')
	}
	return b.String()
}

// ErrNotCanonical says that a text is not the canonical form of any set.
var ErrNotCanonical = errors.New("not the canonical form of a set of names")

// ParseCanonical returns the names of the set of that canonical form.
func ParseCanonical(text string) ([]string, error) {
	if text == "" {
		return nil, nil
	}
	text, ended := strings.CutSuffix(text, "\n")
	if !ended {
		return nil, ErrNotCanonical
	}
	names := strings.Split(text, "\n")
	for i := range names[1:] {
		if names[i] >= names[i+1] {
			return nil, ErrNotCanonical
		}
	}
	return names, nil
}

// Changes tells what of two sets, as NameSet makes them, only the second has,
// and only the first.
func Changes(before, after []string) (appeared, vanished []string) {
	for len(before) > 0 || len(after) > 0 {
		switch {
		case len(before) == 0 || len(after) > 0 && after[0] < before[0]:
			appeared, after = append(appeared, after[0]), after[1:]
		case len(after) == 0 || before[0] < after[0]:
			vanished, before = append(vanished, before[0]), before[1:]
		default:
			before, after = before[1:], after[1:]
		}
	}
	return appeared, vanished
}
