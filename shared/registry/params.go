package registry

import (
	"errors"
	"strings"
)

// errSyntax says that a header is not of the form its RFC gives it.
var errSyntax = errors.New("malformed header")

// scanner reads header values made of tokens and quoted strings (RFC 9110).
type scanner struct{ rest string }

func (s *scanner) space() { s.rest = strings.TrimLeft(s.rest, " \t") }

func (s *scanner) end() bool {
	s.space()
	return s.rest == ""
}

// take skips white space and then c, and tells whether c was there.
func (s *scanner) take(c byte) bool {
	s.space()
	if s.rest == "" || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// token is the run of characters that can be in a token, perhaps "".
func (s *scanner) token() string {
	s.space()
	n := 0
	for n < len(s.rest) && isTokenByte(s.rest[n]) {
		n++
	}
	token := s.rest[:n]
	s.rest = s.rest[n:]
	return token
}

func isTokenByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// quoted is the content of a quoted string whose opening quote is taken.
func (s *scanner) quoted() (string, error) {
	var b strings.Builder
	for i := 0; i < len(s.rest); i++ {
		switch c := s.rest[i]; {
		case c == '"':
			s.rest = s.rest[i+1:]
			return b.String(), nil
		case c == '\\' && i+1 < len(s.rest):
			i++
			b.WriteByte(s.rest[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", errSyntax
}

// param reads name[=value], the name in lower case.
func (s *scanner) param() (name, value string, err error) {
	name = strings.ToLower(s.token())
	if name == "" {
		return "", "", errSyntax
	}
	if !s.take('=') {
		return name, "", nil
	}
	if s.take('"') {
		value, err = s.quoted()
		return name, value, err
	}
	return name, s.token(), nil
}
