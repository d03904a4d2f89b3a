package main

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// redisSide is a master and a replica of it, and the Sentinel that knows both.
type redisSide struct{}

func (in *installation) startRedis(context.Context) (*redisSide, error) {
	return nil, errors.ErrUnsupported
}

func (*redisSide) stop() error { return nil }

func (*redisSide) env() map[string]string { return nil }

func (*redisSide) client() *redis.Client { return nil }

func (*redisSide) options() *redis.UniversalOptions { return nil }

func (*redisSide) lost() []time.Time { return nil }

func (*redisSide) text(context.Context) (map[string]string, error) {
	return nil, errors.ErrUnsupported
}
