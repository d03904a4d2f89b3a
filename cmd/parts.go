package cmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"regmend/schema"
	"regmend/shared/postgres"
	"regmend/shared/registry"

	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"
)

// parts opens the outside systems for one command, and closes what it opened.
type parts struct {
	process Process
	config  *configuration
	faults  []fault
	log     *logrus.Logger
	closers []func() error
}

// reachWithin is how long a part may take to answer a person's command.
const reachWithin = 10 * time.Second

// database makes the pool; it connects when first used.
func (x *parts) database() (*postgres.DB, error) {
	db, err := postgres.Open(x.config.databaseURL)
	if err != nil {
		return nil, fmt.Errorf("REGMEND_DATABASE_URL: %w", err)
	}
	x.closers = append(x.closers, db.Close)
	return db, nil
}

// redis makes the client; it connects when first used.
func (x *parts) redis() (redis.UniversalClient, error) {
	rdb, err := newRedis(x.config.redisURL)
	if err != nil {
		return nil, fmt.Errorf("REGMEND_REDIS_URL: %w", err)
	}
	x.closers = append(x.closers, rdb.Close)
	return rdb, nil
}

// registry makes the client; it connects when first used. tune changes the
// configuration before; nil changes nothing.
func (x *parts) registry(tune func(*registry.Config)) (*registry.Client, error) {
	c := x.config
	cfg := registry.Config{
		URL:          c.registryURL,
		API:          registry.API(c.registryAPI),
		Username:     c.registryUsername,
		Password:     c.registryPassword,
		TokenKeyFile: c.tokenKeyFile,
		TokenIssuer:  c.tokenIssuer,
		TokenService: c.tokenService,
		TokenRealm:   c.tokenRealm,
		CAFile:       c.registryCA,
		Log:          x.log,
	}
	if tune != nil {
		tune(&cfg)
	}
	reg, err := registry.New(cfg)
	if err != nil {
		return nil, misuse{err}
	}
	return reg, nil
}

// readyDatabase is a database that answers and has this program's schema.
func (x *parts) readyDatabase(ctx context.Context) (*postgres.DB, error) {
	db, err := x.reachedDatabase(ctx)
	if err != nil {
		return nil, err
	}
	if err := db.CheckSchema(ctx, schema.Migrations); err != nil {
		return nil, err
	}
	return db, nil
}

// reachedDatabase is a database that answers.
func (x *parts) reachedDatabase(ctx context.Context) (*postgres.DB, error) {
	db, err := x.database()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, reachWithin)
	defer cancel()
	if err := db.Ping(ctx); err != nil {
		return nil, fmt.Errorf("Postgres cannot be reached: %w (check REGMEND_DATABASE_URL, and that Postgres runs)", err) //nolint:revive,staticcheck // a name
	}
	return db, nil
}

// readyRedis is a Redis that answers.
func (x *parts) readyRedis(ctx context.Context) (redis.UniversalClient, error) {
	rdb, err := x.redis()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, reachWithin)
	defer cancel()
	if err := rdb.Ping(ctx).Err(); err != nil {
		return nil, unreachedRedis(err)
	}
	return rdb, nil
}

func unreachedRedis(err error) error {
	return fmt.Errorf("Redis cannot be reached: %w (check REGMEND_REDIS_URL, and that Redis runs)", err) //nolint:revive,staticcheck // a name
}

// both are the database and Redis, ready. What is wrong with either is said at
// once.
func (x *parts) both(ctx context.Context) (*postgres.DB, redis.UniversalClient, error) {
	db, dbErr := x.readyDatabase(ctx)
	rdb, redisErr := x.readyRedis(ctx)
	return db, rdb, errors.Join(dbErr, redisErr)
}

// close closes in the opposite order of opening.
func (x *parts) close() error {
	var errs []error
	for i := len(x.closers) - 1; i >= 0; i-- {
		errs = append(errs, x.closers[i]())
	}
	return errors.Join(errs...)
}
