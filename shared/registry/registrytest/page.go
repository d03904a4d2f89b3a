package registrytest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
)

// CutShare sends that share of the right body, 0 to 1, and drops the connection.
func CutShare(share float64) Fault {
	return change(func(w http.ResponseWriter, _ *http.Request, right *httptest.ResponseRecorder) {
		cut(w, right, int(share*float64(right.Body.Len())))
	})
}

// Truncate sends that share of the right body, 0 to 1, as if it were all.
func Truncate(share float64) Fault {
	return change(func(w http.ResponseWriter, _ *http.Request, right *httptest.ResponseRecorder) {
		send(w, right, right.Body.Bytes()[:int(share*float64(right.Body.Len()))])
	})
}

// NextLink sends the right page with the Link that is made of its request and of
// the path of its last entry, "" if it has none.
func NextLink(link func(req *http.Request, last string) string) Fault {
	return change(func(w http.ResponseWriter, req *http.Request, right *httptest.ResponseRecorder) {
		last := ""
		if entries := entriesOf(right); len(entries) > 0 {
			last = entries[len(entries)-1].Path
		}
		right.Header().Set("Link", link(req, last))
		send(w, right, right.Body.Bytes())
	})
}

// LinkParameter sends the right page, and adds a parameter to its Link's query.
// Those who take their next query from the Link send it back.
func LinkParameter(name, value string) Fault {
	return change(func(w http.ResponseWriter, _ *http.Request, right *httptest.ResponseRecorder) {
		if link := right.Header().Get("Link"); link != "" {
			right.Header().Set("Link", strings.Replace(link, ">", "&"+name+"="+value+">", 1))
		}
		send(w, right, right.Body.Bytes())
	})
}

// entriesOf are those of a page of GitLab's list API, nil if it is none.
func entriesOf(right *httptest.ResponseRecorder) []listEntry {
	var entries []listEntry
	if right.Code != http.StatusOK || json.Unmarshal(right.Body.Bytes(), &entries) != nil {
		return nil
	}
	return entries
}

// Intruders puts entries with these paths around those of a right page of
// GitLab's list API. Where it is no page, it stays as it is.
func Intruders(paths ...string) Fault {
	return change(func(w http.ResponseWriter, _ *http.Request, right *httptest.ResponseRecorder) {
		entries := entriesOf(right)
		if entries == nil {
			send(w, right, right.Body.Bytes())
			return
		}
		for i, path := range paths {
			entry := listEntry{Name: path[strings.LastIndexByte(path, '/')+1:], Path: path}
			if i%2 == 0 {
				entries = append([]listEntry{entry}, entries...)
			} else {
				entries = append(entries, entry)
			}
		}
		body, err := json.Marshal(entries)
		if err != nil {
			panic(err) // it was JSON before
		}
		send(w, right, body)
	})
}

// Entry sends a page of one entry. Its path is put between quotes as it is: bytes
// that are not UTF-8, or \u0000, are for the client to find.
func Entry(path string) Fault {
	return Answer(http.StatusOK, nil, `[{"path":"`+path+`"}]`)
}

// RefuseToken answers 401 with a challenge, whatever token was sent.
func RefuseToken(realm string) Fault {
	return Answer(http.StatusUnauthorized, map[string]string{
		"Www-Authenticate": `Bearer realm="` + realm + `",service="container_registry",error="invalid_token"`,
	}, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
}
