package dashboard

import (
	"net/http"

	"github.com/sirupsen/logrus"
)

func overview(r *reader, log logrus.FieldLogger, cfg Config) http.Handler {
	return http.NotFoundHandler()
}
func assets() http.Handler { return http.NotFoundHandler() }
