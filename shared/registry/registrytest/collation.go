package registrytest

import "strings"

// Collation is that of the doubled registry's database.
type Collation int

// The collations that were measured.
const (
	C     Collation = iota
	Glibc           // en_US.UTF-8 of the C library
	ICU             // en-US of ICU
)

// Collations are all of them, by name.
func Collations() map[string]Collation {
	return map[string]Collation{"C": C, "glibc en_US": Glibc, "ICU en-US": ICU}
}

// key turns a string into one whose bytewise order is the collation's. Only what
// occurs in paths and in their neighbouring strings is known.
func (c Collation) key(s string) string {
	switch c {
	case Glibc:
		return glibcKey(s)
	case ICU:
		return weigh(s, icuOrder)
	default:
		return s
	}
}

// icuOrder and glibcOrder are the characters in the order of their weights.
const (
	icuOrder   = "_-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789abcdefghijklmnopqrstuvwxyz"
	glibcOrder = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~0123456789abcdefghijklmnopqrstuvwxyz"
)

func weigh(s, order string) string {
	weights := make([]byte, len(s))
	for i := range len(s) {
		weights[i] = byte(strings.IndexByte(order, s[i]) + 2)
	}
	return string(weights)
}

// glibcKey leaves punctuation out at first, and looks at it only between strings
// that are equal without it.
func glibcKey(s string) string {
	bare := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, s)
	return bare + "\x00" + weigh(s, glibcOrder)
}
