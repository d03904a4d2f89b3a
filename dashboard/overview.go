package dashboard

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"

	"github.com/sirupsen/logrus"
)

//go:embed overview.html
var overviewHTML string

//go:embed assets
var embedded embed.FS

// assets serves the overview's style sheet and icon.
func assets() http.Handler { return http.FileServerFS(embedded) }

// overview is the page at the root: one snapshot, rendered. It loads itself
// again every few seconds and needs no script.
func overview(r *reader, log logrus.FieldLogger, cfg Config) http.Handler {
	page := template.Must(template.New("overview.html").Funcs(template.FuncMap{
		"count":  number[int],
		"number": number[int64],
		"bytes":  size,
		"span":   span,
		"moment": moment,
	}).Parse(overviewHTML))

	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var html bytes.Buffer
		if err := page.Execute(&html, newView(r.read(req.Context()), cfg)); err != nil {
			log.WithError(err).Error("render the overview")
			http.Error(w, "the page could not be rendered: see the log", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = html.WriteTo(w) // who went away needs no page
	})
}
