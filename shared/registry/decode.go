package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxEntry bounds one string of a listing in bytes; the longest path a
// repository can have is 255.
const maxEntry = 1024

// decoder reads a JSON document strictly and as a stream, so that a page costs
// no more memory than one of its entries: of what encoding/json forgives, a key
// that comes twice, text after the end and bytes that are not UTF-8 are errors.
type decoder struct{ json *json.Decoder }

func newDecoder(r io.Reader) *decoder { return &decoder{json: json.NewDecoder(r)} }

// document reads one value by read and makes sure that nothing follows it.
func (d *decoder) document(read func() error) error {
	if err := read(); err != nil {
		return err
	}
	switch _, err := d.json.Token(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return fmt.Errorf("after its end: %w", err)
	default:
		return errors.New("something follows after its end")
	}
}

// token is the next token; the document may not end here.
func (d *decoder) token() (json.Token, error) {
	token, err := d.json.Token()
	if errors.Is(err, io.EOF) {
		return nil, io.ErrUnexpectedEOF
	}
	return token, err
}

func (d *decoder) open(delim json.Delim) error {
	token, err := d.token()
	if err != nil {
		return err
	}
	if token != delim {
		return fmt.Errorf("%s where %q should open", describe(token), rune(delim))
	}
	return nil
}

// array calls element at each element, which has to read it.
func (d *decoder) array(element func() error) error {
	if err := d.open('['); err != nil {
		return err
	}
	for d.json.More() {
		if err := element(); err != nil {
			return err
		}
	}
	_, err := d.token()
	return err
}

// object calls value at each key, which has to read the value.
func (d *decoder) object(value func(key string) error) error {
	if err := d.open('{'); err != nil {
		return err
	}
	seen := make(map[string]bool, 4)
	for d.json.More() {
		key, err := d.text()
		if err != nil {
			return err
		}
		if seen[key] {
			return fmt.Errorf("key %q comes twice", key)
		}
		seen[key] = true
		if err := value(key); err != nil {
			return err
		}
	}
	_, err := d.token()
	return err
}

// text reads a string that can be a name.
func (d *decoder) text() (string, error) {
	token, err := d.token()
	if err != nil {
		return "", err
	}
	text, ok := token.(string)
	if !ok {
		return "", fmt.Errorf("%s where a string should be", describe(token))
	}
	return text, checkText(text)
}

func checkText(text string) error {
	switch {
	case len(text) > maxEntry:
		return fmt.Errorf("a string of %d bytes, %d at most are expected", len(text), maxEntry)
	case strings.ContainsRune(text, 0):
		return errors.New("a string holds a NUL")
	// encoding/json puts this rune in the place of bytes that are not UTF-8.
	case strings.ContainsRune(text, utf8.RuneError):
		return errors.New("a string is not valid UTF-8")
	// Names go into terminals, logs and files of lines; none that a registry can
	// hold has such a character.
	case strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }):
		return errors.New("a string holds a character that cannot be printed")
	}
	return nil
}

// time reads a value that should be a time. What is none, or lies outside of what
// can be stored, is zero: a listing is not to fail for it.
func (d *decoder) time() (time.Time, error) {
	token, err := d.token()
	if err != nil {
		return time.Time{}, err
	}
	text, ok := token.(string)
	if !ok {
		return time.Time{}, d.skipFrom(token)
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil || at.Year() < 1970 || at.Year() > 9999 {
		return time.Time{}, nil //nolint:nilerr // not legible is not told
	}
	return at.UTC(), nil
}

// skip reads a value nobody needs.
func (d *decoder) skip() error {
	token, err := d.token()
	if err != nil {
		return err
	}
	return d.skipFrom(token)
}

// skipFrom reads the rest of a value that begins with the token.
func (d *decoder) skipFrom(token json.Token) error {
	for depth := 0; ; {
		switch token {
		case json.Delim('['), json.Delim('{'):
			depth++
		case json.Delim(']'), json.Delim('}'):
			depth--
		}
		if depth == 0 {
			return nil
		}
		var err error
		if token, err = d.token(); err != nil {
			return err
		}
	}
}

func describe(token json.Token) string {
	switch token := token.(type) {
	case nil:
		return "null"
	case string:
		return "a string"
	case json.Delim:
		return fmt.Sprintf("%q", rune(token))
	default:
		return fmt.Sprintf("a %T", token)
	}
}
