package registry

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// entry is a repository that a listing names.
type entry struct {
	path      string
	createdAt time.Time // zero where the listing does not tell, or not legibly
}

// ageless are entries of a listing that tells paths and nothing else.
func ageless(paths []string) []entry {
	entries := make([]entry, len(paths))
	for i, path := range paths {
		entries[i].path = path
	}
	return entries
}

// decodeListing reads a page of GitLab's list API.
func decodeListing(r io.Reader) (entries []entry, err error) {
	start, ended, err := begin(r)
	switch {
	case err != nil:
		return nil, err
	case ended && string(start) == "[]":
		return nil, nil // most are, and need no decoder
	}
	dec := newDecoder(io.MultiReader(bytes.NewReader(start), r))
	err = dec.document(func() error {
		return dec.array(func() error {
			e, err := dec.listingEntry()
			entries = append(entries, e)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

// begin reads the first bytes of a body, and tells whether they are all of it. (A
// body that is cut has another error than io.EOF.)
func begin(r io.Reader) (start []byte, ended bool, err error) {
	start = make([]byte, 0, 3)
	for len(start) < cap(start) {
		n, err := r.Read(start[len(start):cap(start)])
		start = start[:len(start)+n]
		switch {
		case errors.Is(err, io.EOF):
			return start, true, nil
		case err != nil:
			return nil, false, err
		}
	}
	return start, false, nil
}

func (d *decoder) listingEntry() (e entry, err error) {
	err = d.object(func(key string) (err error) {
		switch key {
		case "path":
			e.path, err = d.text()
		case "created_at":
			e.createdAt, err = d.time()
		default:
			err = d.skip()
		}
		return err
	})
	if err == nil && e.path == "" {
		err = errors.New("an entry has no path")
	}
	return e, err
}

// decodeCatalog reads a page of the catalog.
//
// "repositories": null is refused: distribution writes a slice it has made
// beforehand, so its empty catalog is [] in all versions; null comes from
// something that could not list.
func decodeCatalog(r io.Reader) (paths []string, err error) {
	dec := newDecoder(r)
	found := false
	err = dec.document(func() error {
		return dec.object(func(key string) error {
			if key != "repositories" {
				return dec.skip()
			}
			found = true
			return dec.array(func() error {
				path, err := dec.text()
				if err == nil && path == "" {
					err = errors.New("an entry has no path")
				}
				paths = append(paths, path)
				return err
			})
		})
	})
	if err == nil && !found {
		err = errors.New("it has no repositories")
	}
	if err != nil {
		return nil, err
	}
	return paths, nil
}

// errEnough ends the reading of a body whose rest nobody needs.
var errEnough = errors.New("enough")

// decodeTagged tells whether a list of tags has one. It stops at the first:
// distribution sends them all, whatever n was.
func decodeTagged(r io.Reader) (tagged bool, err error) {
	dec := newDecoder(r)
	found := false
	err = dec.document(func() error {
		return dec.object(func(key string) error {
			if key != "tags" {
				return dec.skip()
			}
			found = true
			return dec.firstTag()
		})
	})
	switch {
	case errors.Is(err, errEnough):
		return true, nil
	case err == nil && !found:
		err = errors.New("it has no tags")
	}
	return false, err
}

// firstTag is errEnough if there is a tag. null stands for none: so GitLab's
// registry answers for an emptied repository.
func (d *decoder) firstTag() error {
	token, err := d.token()
	if err != nil || token == nil {
		return err
	}
	if describe(token) != `'['` {
		return fmt.Errorf("%s where tags should be", describe(token))
	}
	if !d.json.More() {
		_, err = d.token()
		return err
	}
	if _, err := d.text(); err != nil {
		return err
	}
	return errEnough
}

// size is what the details of a repository say of it and its descendants.
type size struct {
	bytes int64
	// exists: the path is itself a repository.
	exists bool
}

func decodeSize(r io.Reader) (size, error) {
	dec := newDecoder(r)
	s := size{bytes: -1}
	err := dec.document(func() error {
		return dec.object(func(key string) error {
			switch key {
			case "size_bytes":
				bytes, err := dec.count()
				s.bytes = bytes
				return err
			case "created_at":
				at, err := dec.text()
				s.exists = at != ""
				return err
			default:
				return dec.skip()
			}
		})
	})
	if err == nil && s.bytes < 0 {
		err = errors.New("it has no size_bytes")
	}
	return s, err
}

func (d *decoder) count() (int64, error) {
	token, err := d.token()
	if err != nil {
		return 0, err
	}
	n, ok := token.(float64)
	if !ok || n < 0 || n != math.Trunc(n) || n > math.MaxInt64/2 {
		return 0, fmt.Errorf("%s where a size should be", describe(token))
	}
	return int64(n), nil
}

// decodeEmpty reads the {} with which a registry says that an API is there.
func decodeEmpty(r io.Reader) error {
	dec := newDecoder(r)
	return dec.document(func() error {
		return dec.object(func(string) error { return dec.skip() })
	})
}
