package registrytest

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
)

// DropAtBorder leaves the first name out of each page of the catalog but the
// first one, as versions of distribution do.
func DropAtBorder() Fault {
	return changeCatalog(func(req *http.Request, _ http.Header, paths []string) []string {
		if !req.URL.Query().Has("last") || len(paths) == 0 {
			return paths
		}
		return paths[1:]
	})
}

// Shuffle sends the names of a page of the catalog in a random order.
func Shuffle() Fault {
	return changeCatalog(func(_ *http.Request, _ http.Header, paths []string) []string {
		rand.Shuffle(len(paths), func(i, j int) { paths[i], paths[j] = paths[j], paths[i] })
		return paths
	})
}

// Overlap lets each page of the catalog begin with so many names of the one
// before it.
func Overlap(names int) Fault {
	return changeCatalog(func(_ *http.Request, header http.Header, paths []string) []string {
		if link := header.Get("Link"); link != "" && len(paths) > names+1 {
			back, last := paths[len(paths)-1-names], paths[len(paths)-1]
			header.Set("Link", strings.Replace(link, "last="+url.QueryEscape(last), "last="+url.QueryEscape(back), 1))
		}
		return paths
	})
}

// Hide leaves repositories out of the catalog, as where it shows only what
// somebody may see.
func Hide(hidden func(path string) bool) Fault {
	return changeCatalog(func(_ *http.Request, _ http.Header, paths []string) []string {
		return slices.DeleteFunc(paths, hidden)
	})
}

// changeCatalog sends what edit makes of a right page of the catalog. What is
// none stays as it is.
func changeCatalog(edit func(req *http.Request, header http.Header, paths []string) []string) Fault {
	return change(func(w http.ResponseWriter, req *http.Request, right *httptest.ResponseRecorder) {
		var page map[string][]string
		if right.Code != http.StatusOK || json.Unmarshal(right.Body.Bytes(), &page) != nil || page["repositories"] == nil {
			send(w, right, right.Body.Bytes())
			return
		}
		page["repositories"] = edit(req, right.Header(), page["repositories"])
		body, err := json.Marshal(page)
		if err != nil {
			panic(err) // it was JSON before
		}
		send(w, right, body)
	})
}
