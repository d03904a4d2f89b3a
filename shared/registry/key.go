package registry

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base32"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// key is a private key to sign tokens with.
type key struct {
	private crypto.Signer
	method  jwt.SigningMethod
	id      string // kid
}

// keyFile is the file of a key, with what shows that it has changed.
type keyFile struct {
	path     string
	modified time.Time
	size     int64
}

// changed tells whether the file is another than the one read last, and
// remembers it.
func (f *keyFile) changed() (bool, error) {
	info, err := os.Stat(f.path)
	if err != nil {
		return false, fmt.Errorf("token key file: %w", err)
	}
	changed := !info.ModTime().Equal(f.modified) || info.Size() != f.size
	f.modified, f.size = info.ModTime(), info.Size()
	return changed, nil
}

// read parses the file's key. No error repeats any of its content.
func (f *keyFile) read() (key, error) {
	content, err := os.ReadFile(f.path)
	if err != nil {
		return key{}, fmt.Errorf("token key file: %w", err)
	}
	k, err := parseKey(content)
	if err != nil {
		return key{}, fmt.Errorf("token key file %s: %w", f.path, err)
	}
	return k, nil
}

// parseKey finds the private key in a PEM file, which may hold other blocks
// before it: EC parameters, a certificate.
func parseKey(content []byte) (key, error) {
	for {
		var block *pem.Block
		if block, content = pem.Decode(content); block == nil {
			return key{}, errors.New("it holds no private key in PEM form")
		}
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return newKey(block)
		}
	}
}

func newKey(block *pem.Block) (key, error) {
	private, err := parsePrivate(block)
	if err != nil {
		return key{}, err
	}
	k := key{private: private}
	switch private := private.(type) {
	case *rsa.PrivateKey:
		k.method = jwt.SigningMethodRS256
	case *ecdsa.PrivateKey:
		if private.Curve != elliptic.P256() {
			return key{}, errors.New("of elliptic curves the registry accepts P-256 only")
		}
		k.method = jwt.SigningMethodES256
	default:
		return key{}, errors.New("the registry accepts RSA and P-256 keys only")
	}
	k.id, err = keyID(private.Public())
	return k, err
}

func parsePrivate(block *pem.Block) (crypto.Signer, error) {
	var (
		parsed any
		err    error
	)
	switch block.Type {
	case "RSA PRIVATE KEY":
		parsed, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		parsed, err = x509.ParseECPrivateKey(block.Bytes)
	case "PRIVATE KEY":
		parsed, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("a private key of the type %q cannot be used: give it without a passphrase", block.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("its private key is damaged or has a passphrase: %w", err)
	}
	signer, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, errors.New("its private key cannot sign")
	}
	return signer, nil
}

// keyID is the kid by which GitLab's registry finds the public key: the first
// 30 bytes of the SHA-256 of its DER form, in base32, in groups of four.
func keyID(public crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", fmt.Errorf("its public key: %w", err)
	}
	sum := sha256.Sum256(der)
	text := base32.StdEncoding.EncodeToString(sum[:30])
	groups := make([]string, 0, len(text)/4)
	for ; text != ""; text = text[4:] {
		groups = append(groups, text[:4])
	}
	return strings.Join(groups, ":"), nil
}
