package registry

import (
	"net/http"
	"strings"
	"time"
)

// What parses outside input or decides by itself is tested by itself.
var (
	Affected   = affected
	Ancestor   = ancestor
	NextLink   = nextLink
	ErrorCode  = errorCode
	RetryAfter = retryAfter
	NewSigner  = newSigner
)

func DecodeListing(body string) (paths []string, err error) {
	entries, err := decodeListing(strings.NewReader(body))
	for _, e := range entries {
		paths = append(paths, e.path)
	}
	return paths, err
}
func DecodeCatalog(body string) ([]string, error) { return decodeCatalog(strings.NewReader(body)) }
func DecodeTagged(body string) (bool, error)      { return decodeTagged(strings.NewReader(body)) }

func DecodeSize(body string) (bytes int64, exists bool, err error) {
	s, err := decodeSize(strings.NewReader(body))
	return s.bytes, s.exists, err
}

// Ask sends a request with the client's credentials, wherever it leads.
func (c *Client) Ask(url string) error {
	resp, err := c.http.Get(url)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// Through sends the client's requests by another way than the network.
func (c *Client) Through(way http.RoundTripper) { c.http.Transport = way }

// ListToken is the signer's token for the listing of a path.
func (s *signer) ListToken(path string) (string, error) { return s.token(pullBelow(path)) }

// TokenLife and TokenMargin are in export for the test of reuse.
const (
	TokenLife   time.Duration = tokenLife
	TokenMargin time.Duration = tokenMargin
)
