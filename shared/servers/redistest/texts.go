package redistest

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Texts are all keys of the client's database with what they hold, as text.
func Texts(ctx context.Context, client *redis.Client) (map[string]string, error) {
	texts := map[string]string{}
	for cursor := uint64(0); ; {
		keys, next, err := client.Scan(ctx, cursor, "", 1000).Result()
		if err != nil {
			return nil, err
		}
		if err := readKeys(ctx, client, keys, texts); err != nil {
			return nil, err
		}
		if cursor = next; cursor == 0 {
			return texts, nil
		}
	}
}

// readKeys adds what the keys hold; those that are gone hold nothing.
func readKeys(ctx context.Context, client *redis.Client, keys []string, texts map[string]string) error {
	kinds, err := client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, key := range keys {
			pipe.Type(ctx, key)
		}
		return nil
	})
	if err != nil {
		return err
	}
	values, err := client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for i, key := range keys {
			command := readCommand(kinds[i].(*redis.StatusCmd).Val(), key)
			if command == nil {
				return fmt.Errorf("key %s is a %v, which cannot be read here", key, kinds[i])
			}
			pipe.Do(ctx, command...)
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	for i, value := range values {
		texts[keys[i]] = fmt.Sprint(value.(*redis.Cmd).Val())
	}
	return nil
}

// readCommand reads all of a key of that type; nil if it knows no such type.
func readCommand(kind, key string) []any {
	return map[string][]any{
		"string": {"GET", key},
		"hash":   {"HGETALL", key},
		"list":   {"LRANGE", key, 0, -1},
		"set":    {"SMEMBERS", key},
		"zset":   {"ZRANGE", key, 0, -1, "WITHSCORES"},
		"none":   {"PING"},
	}[kind]
}
