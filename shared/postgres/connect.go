package postgres

import (
	"context"
	"database/sql/driver"
	"net"
	"sync"
	"time"

	"github.com/lib/pq"
)

const (
	// briefLimit is how long a statement may take that is no long one: behind a
	// connection that swallows what it is given, it would wait for ever.
	briefLimit = 20 * time.Second
	// silenceLimit is how long a server may take to end a statement that it was
	// asked to cancel.
	silenceLimit = time.Second
)

// briefly bounds a statement that reads or writes no more than a batch.
func briefly(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, briefLimit)
}

// connector makes connections on which a statement ends with its context. The
// driver alone asks the server to cancel it, on another connection, and then
// waits for the answer to the first: for ever if that is lost.
type connector struct{ config pq.Config }

func (c connector) Driver() driver.Driver { return &pq.Driver{} }

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	made, err := pq.NewConnectorConfig(c.config)
	if err != nil {
		return nil, err
	}
	line := &line{}
	made.Dialer(line)
	defer context.AfterFunc(ctx, line.hangUp)()
	conn, err := made.Connect(ctx)
	if err != nil {
		return nil, err
	}
	line.connected()
	return connection{conn.(driversConn), line}, nil
}

// driversConn is all that the driver's connection can do and this one passes on.
type driversConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

// connection is the driver's, but for the one statement that the driver does not
// cancel.
type connection struct {
	driversConn
	line *line
}

func (c connection) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	defer context.AfterFunc(ctx, c.line.hangUpSoon)()
	return c.driversConn.BeginTx(ctx, options)
}

// line dials for one connection, and again whenever the driver wants a statement
// on it cancelled.
type line struct {
	dialer net.Dialer

	mu    sync.Mutex
	conn  net.Conn
	ready bool // what is dialled from now on is to cancel a statement on conn
}

func (l *line) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	l.hangUpSoon()
	conn, err := l.dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ready {
		l.conn = conn
	}
	return conn, nil
}

// Dial and DialTimeout are the driver's older ways to dial.
func (l *line) Dial(network, address string) (net.Conn, error) {
	return l.DialContext(context.Background(), network, address)
}

// DialTimeout is Dial with a limit.
func (l *line) DialTimeout(network, address string, limit time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return l.DialContext(ctx, network, address)
}

func (l *line) connected() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ready = true
}

// hangUpSoon gives a statement that is being cancelled its time to end. The
// driver does not use the connection again.
func (l *line) hangUpSoon() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ready {
		_ = l.conn.SetDeadline(time.Now().Add(silenceLimit)) // a closed one needs none
	}
}

// hangUp ends the making of a connection.
func (l *line) hangUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ready && l.conn != nil {
		_ = l.conn.SetDeadline(time.Now()) // a closed one needs none
	}
}
