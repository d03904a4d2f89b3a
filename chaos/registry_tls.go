package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"sync/atomic"
	"time"
)

// authority signs certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(name string) (authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return authority{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return authority{}, err
	}
	certificate, err := x509.ParseCertificate(der)
	return authority{certificate, key}, err
}

// pem is the file by which others trust the authority.
func (a authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
}

// issue makes a certificate for a server at that address until then.
func (a authority) issue(ip string, until time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: ip}, IPAddresses: []net.IP{net.ParseIP(ip)},
		NotBefore: until.Add(-48 * time.Hour), NotAfter: until,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// handshake decides what clients see of the server when they connect.
type handshake struct {
	right *tls.Certificate
	wrong []*tls.Certificate
	// shown is what is shown instead of the right one; a certificate without
	// content stands for none at all.
	shown atomic.Pointer[tls.Certificate]
	// http2 offers it to those who ask for it.
	http2 atomic.Bool
}

// newHandshake has a certificate that the authority signed, and three that no
// client may take: a foreign authority's, another host's, and one of last month.
func newHandshake(ca authority) (*handshake, error) {
	foreign, err := newAuthority("nobody's authority")
	if err != nil {
		return nil, err
	}
	tomorrow := time.Now().Add(24 * time.Hour)
	var errs [4]error
	h := &handshake{wrong: make([]*tls.Certificate, 3, 4)}
	h.right, errs[0] = ca.issue("127.0.0.1", tomorrow)
	h.wrong[0], errs[1] = foreign.issue("127.0.0.1", tomorrow)
	h.wrong[1], errs[2] = ca.issue("192.0.2.1", tomorrow)
	h.wrong[2], errs[3] = ca.issue("127.0.0.1", time.Now().AddDate(0, -1, 0))
	h.wrong = append(h.wrong, &tls.Certificate{})
	return h, errors.Join(errs[:]...)
}

func (h *handshake) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			config := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: h.certificate, NextProtos: []string{"http/1.1"}}
			if h.http2.Load() {
				config.NextProtos = []string{"h2", "http/1.1"}
			}
			return config, nil
		},
		GetCertificate: h.certificate,
	}
}

func (h *handshake) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	switch shown := h.shown.Load(); {
	case shown == nil:
		return h.right, nil
	case len(shown.Certificate) == 0:
		return nil, errors.New("no certificate today")
	default:
		return shown, nil
	}
}
